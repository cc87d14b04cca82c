//! Errors of the client and of the server as reasons that a person can act on.

use std::error::Error;
use std::fmt;

use super::known::{CONNECTING, Kind, Known, USING};

/// Why something does not work, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) kind: Kind,
    pub(super) what: String,
    /// Empty if nothing is known.
    pub(super) to_do: &'static str,
}

impl Reason {
    /// Of an attempt to use the connection. The server answers nothing to what it forbids, and complains beside that.
    pub(super) fn of(error: &dyn Error, complaint: Option<&str>) -> Self {
        let text = chain(error);
        match complaint {
            Some(complaint) if text.contains("timed out") => Self::known(complaint.to_owned(), USING),
            _ => Self::known(text, USING),
        }
    }

    /// Of an attempt to connect.
    pub(super) fn of_connecting(error: &str) -> Self {
        Self::known(error.to_owned(), CONNECTING)
    }

    pub(super) fn not_yet() -> Self {
        Self::known("not connected yet".to_owned(), &[])
    }

    pub(super) fn lost() -> Self {
        Self::known("the connection was lost".to_owned(), &[])
    }

    pub(super) fn hung_up() -> Self {
        Self {
            kind: Kind::Unusable,
            what: "it hung up as soon as it was connected".to_owned(),
            to_do: "look at its log, and at what is between",
        }
    }

    pub(super) fn client_ended() -> Self {
        Self {
            kind: Kind::Unusable,
            what: "the NATS client ended by itself".to_owned(),
            to_do: "a new one is made; look for a panic above, and for what listens at NATS_URL",
        }
    }

    /// What tells reasons apart: numbers do not.
    pub(super) fn key(&self) -> String {
        self.what.chars().filter(|char| !char.is_ascii_digit()).collect()
    }

    fn known(text: String, known: &[Known]) -> Self {
        let Some(known) = known.iter().find(|known| known.is(&text)) else {
            return Self {
                kind: Kind::Away,
                what: text,
                to_do: "",
            };
        };
        Self {
            kind: known.kind,
            what: known.what.map_or(text, str::to_owned),
            to_do: known.to_do,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the stream cannot be read")]
    struct Outer(#[source] async_nats::ConnectError);

    #[test]
    fn a_cause_that_its_error_names_is_not_repeated() {
        let inner = async_nats::ConnectError::with_source(async_nats::ConnectErrorKind::Io, "broken pipe");
        assert_eq!(
            chain(&Outer(inner)),
            "the stream cannot be read: IO error: broken pipe"
        );
    }

    #[test]
    fn what_the_server_complains_of_is_why_it_does_not_answer() {
        let late = std::io::Error::other("jetstream request timed out");
        let complaint = r#"nats: Permissions Violation for Publish to "events.accounts.7""#;
        let reason = Reason::of(&late, Some(complaint));
        assert_eq!(reason.what, complaint);
        assert_eq!(Reason::of(&late, None).what, "the broker does not answer");
        let other = std::io::Error::other("stream not found");
        assert_eq!(Reason::of(&other, Some(complaint)).what, "stream not found");
    }
}
