//! Errors of the client and of the server as reasons that a person can act on.

use std::error::Error;
use std::fmt;

/// Why something does not work, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) what: String,
    /// Empty if the error says all that is known.
    pub(super) to_do: &'static str,
}

impl Reason {
    /// The error with its causes, and what to do if it is a known one.
    pub(super) fn of(error: &dyn Error) -> Self {
        let what = chain(error);
        let to_do = "";
        Self { what, to_do }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.to_do.is_empty() {
            write!(f, " ({})", self.to_do)?;
        }
        Ok(())
    }
}

/// The error and its causes in one line. Some errors repeat their cause in their own text; it is not said twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
