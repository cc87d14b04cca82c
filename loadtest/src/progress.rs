//! Says on standard error how far a run is: a bar on a terminal, a line per step elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::histogram::micros;

/// How often the bar moves: seldom enough not to disturb what is measured.
const MOVES_EVERY: Duration = Duration::from_millis(500);

/// The bar.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar on standard error, still without a step.
    pub fn new() -> Self {
        Self(ProgressBar::with_draw_target(
            None,
            ProgressDrawTarget::stderr_with_hz(2),
        ))
    }

    /// Nothing is said.
    pub fn silent() -> Self {
        Self(ProgressBar::hidden())
    }

    /// A line above the bar.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.0.is_hidden() {
            eprintln!("{}", line.as_ref());
        } else {
            self.0.println(line);
        }
    }

    /// The next step is to count up to so many.
    pub fn count(&self, what: &'static str, up_to: usize) {
        self.begin(what, up_to as u64, "{msg:32} {wide_bar} {pos:>6} of {len}");
    }

    /// So many are done.
    pub fn counted(&self, number: usize) {
        self.0.set_position(number as u64);
    }

    /// The next step takes so long.
    pub fn wait(&self, what: &'static str, lasting: Duration) {
        let left = "{msg:32} {wide_bar} {percent:>3} %, {eta} left";
        self.begin(what, micros(lasting), left);
    }

    /// Does a part of it that takes so long, and moves on meanwhile.
    pub async fn during<T>(&self, what: &str, lasting: Duration, work: impl Future<Output = T>) -> T {
        self.0.set_message(what.to_owned());
        let (from, began) = (self.0.position(), Instant::now());
        let mut moves = tokio::time::interval(MOVES_EVERY);
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = moves.tick() => self.0.set_position(from + micros(began.elapsed().min(lasting))),
            }
        };
        self.0.set_position(from + micros(lasting));
        done
    }

    /// The bar goes away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }

    fn begin(&self, what: &'static str, length: u64, template: &str) {
        if self.0.is_hidden() {
            eprintln!("{what}");
        }
        let style = ProgressStyle::with_template(template).expect("the templates of this file are right");
        self.0.set_style(style);
        self.0.set_length(length);
        self.0.set_position(0);
        self.0.reset();
        self.0.set_message(what);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
