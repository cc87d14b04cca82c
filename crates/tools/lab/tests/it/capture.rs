//! A console whose lines a test can read.

use std::io::{Result, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stack::console::Console;
use tokio::sync::watch;
use tokio::time::timeout;

/// Everything that was written so far.
#[derive(Clone)]
pub(crate) struct Captured {
    text: Arc<Mutex<Vec<u8>>>,
    grew: Arc<watch::Sender<()>>,
}

impl Captured {
    pub(crate) fn console() -> (Console, Self) {
        let captured = Self {
            text: Arc::default(),
            grew: Arc::new(watch::Sender::new(())),
        };
        (Console::new(captured.clone(), false), captured)
    }

    /// What one speaker said, without its name.
    pub(crate) fn said_by(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().expect("no writer panics").clone())
            .expect("the lab writes text");
        let lines = text.lines().filter_map(|line| line.split_once(" | "));
        lines
            .filter(|(speaker, _)| speaker.trim() == name)
            .map(|(_, line)| line.to_owned())
            .collect()
    }

    /// Waits until a speaker has said as many lines.
    pub(crate) async fn lines_of(&self, name: &str, count: usize) -> Vec<String> {
        let mut grown = self.grew.subscribe();
        let enough = async {
            while self.said_by(name).len() < count {
                grown.changed().await.expect("the console is still there");
            }
        };
        timeout(Duration::from_secs(10), enough)
            .await
            .expect("the lines come");
        self.said_by(name)
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.text
            .lock()
            .expect("no reader panics")
            .extend_from_slice(bytes);
        self.grew.send_replace(());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
