//! What the lab and its children say, line by line, each line with its speaker's name.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The one way to the terminal, so that lines of several processes never mix. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    out: Arc<Mutex<dyn Write + Send>>,
    colour: bool,
}

/// The longest name there is: `naive-page`.
const NAME_WIDTH: usize = 10;

impl Console {
    /// Writes to `out`, names in colour if asked.
    pub fn new(out: impl Write + Send + 'static, colour: bool) -> Self {
        Self {
            out: Arc::new(Mutex::new(out)),
            colour,
        }
    }

    /// Writes what the lab itself has to say.
    pub fn say(&self, text: impl fmt::Display) {
        self.line("lab", text);
    }

    /// Writes text to be read and copied as it is, set apart by blank lines.
    pub fn show(&self, text: impl fmt::Display) {
        self.write(&format!("\n{text}\n\n"));
    }

    /// Writes each line of `text` behind the name.
    pub fn line(&self, name: &str, text: impl fmt::Display) {
        let (begin, end) = if self.colour {
            (colour_of(name), "\x1b[0m")
        } else {
            ("", "")
        };
        let prefix = format!("{begin}{name:NAME_WIDTH$} |{end}");
        let text = text.to_string();
        let lines: Vec<String> = text.lines().map(|line| format!("{prefix} {line}\n")).collect();
        self.write(&lines.concat());
    }

    /// A terminal that went away is no reason to leave children running, so a failed write is ignored.
    fn write(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

fn colour_of(name: &str) -> &'static str {
    match name {
        "nats" => "\x1b[35m",
        "accounts" => "\x1b[34m",
        "endpoints" => "\x1b[33m",
        "metrics" => "\x1b[36m",
        "lab" => "\x1b[1m",
        _ => "\x1b[32m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(colour: bool) -> String {
        let out = Arc::new(Mutex::new(Vec::new()));
        let console = Console {
            out: out.clone(),
            colour,
        };
        console.line("nats", "one\ntwo");
        String::from_utf8(out.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn every_line_carries_the_name() {
        assert_eq!(written(false), "nats       | one\nnats       | two\n");
    }

    #[test]
    fn colour_is_only_on_the_name() {
        assert_eq!(
            written(true),
            "\x1b[35mnats       |\x1b[0m one\n\x1b[35mnats       |\x1b[0m two\n"
        );
    }
}
