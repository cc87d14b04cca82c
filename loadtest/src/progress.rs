//! Says how far a run is: a bar on a terminal, a line per step elsewhere, lines of JSON for another program.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::histogram::micros;
use crate::output::print_json;

/// How often the bar moves: seldom enough not to disturb what is measured.
const MOVES_EVERY: Duration = Duration::from_millis(500);

/// How far a run is; copies are the same.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Whether each move is a line of JSON on standard output.
    json: bool,
}

impl Progress {
    /// A bar on standard error, still without a step.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
        Self { bar, json: false }
    }

    /// No bar.
    pub fn silent() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            json: false,
        }
    }

    /// No bar, but a line of JSON on standard output for each move.
    pub fn json() -> Self {
        Self {
            json: true,
            ..Self::silent()
        }
    }

    /// A line above the bar.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.bar.is_hidden() {
            eprintln!("{}", line.as_ref());
        } else {
            self.bar.println(line);
        }
    }

    /// The next step is to count up to so many.
    pub fn count(&self, what: &'static str, up_to: usize) {
        self.begin(what, up_to as u64, "{msg:32} {wide_bar} {pos:>6} of {len}");
    }

    /// So many are done.
    pub fn counted(&self, number: usize) {
        self.move_to(number as u64);
    }

    /// The next step takes so long.
    pub fn wait(&self, what: &'static str, lasting: Duration) {
        let left = "{msg:32} {wide_bar} {percent:>3} %, {eta} left";
        self.begin(what, micros(lasting), left);
    }

    /// Does a part of it that takes so long, and moves the bar while it runs.
    pub async fn during<T>(&self, what: &str, lasting: Duration, work: impl Future<Output = T>) -> T {
        self.bar.set_message(what.to_owned());
        let (from, began) = (self.bar.position(), Instant::now());
        let mut moves = tokio::time::interval(MOVES_EVERY);
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = moves.tick() => self.move_to(from + micros(began.elapsed().min(lasting))),
            }
        };
        self.move_to(from + micros(lasting));
        done
    }

    /// The bar goes away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&self, what: &'static str, length: u64, template: &str) {
        if self.bar.is_hidden() && !self.json {
            eprintln!("{what}");
        }
        let style = ProgressStyle::with_template(template).expect("the templates of this file are right");
        self.bar.set_style(style);
        self.bar.set_length(length);
        self.bar.set_position(0);
        self.bar.reset();
        self.bar.set_message(what);
        self.move_to(0);
    }

    fn move_to(&self, position: u64) {
        self.bar.set_position(position);
        if self.json {
            let of = self.bar.length();
            print_json(&json!({"step": self.bar.message(), "done": position, "of": of}));
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
