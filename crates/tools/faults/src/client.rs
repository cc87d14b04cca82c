//! Reading pages as any reader does, and noting what is checked later.

mod shown;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stack::{PageClient, PageRequest, Preferences, ReadError, Source, Version, Window};

use crate::history::{Outcome, Replica, Response};
use crate::recorder::ProcessRuns;

/// Longer than any pause: an answer that comes late is the more worth checking.
pub const READ_WITHIN: Duration = Duration::from_secs(10);
/// The answer to a reader who wants the page from memory alone, and it is not there.
pub const NOT_CACHED: ReadError = ReadError::Refused(504);

/// What is read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose page.
    pub account: u64,
    /// Which variant.
    pub window: Window,
    /// What it must reflect at least.
    pub token: Option<Token>,
    /// What else the reader asks for.
    pub preferences: Preferences,
}

/// A version as its source handed it out.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who handed it out.
    pub source: Source,
    /// The version.
    pub version: Version,
    /// The header's value.
    pub text: String,
}

/// An answer, taken apart, and its body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it says.
    pub response: Response,
    /// The page as JSON; of a 404, the problem.
    pub body: Bytes,
}

/// A client of every replica.
#[derive(Clone, Debug)]
pub struct Reader {
    client: PageClient,
    runs: Arc<ProcessRuns>,
}

impl Reader {
    /// A client that notes in which run of a replica it was answered.
    pub fn new(runs: Arc<ProcessRuns>) -> Self {
        Self {
            client: PageClient::new(READ_WITHIN),
            runs,
        }
    }

    /// Reads one page as JSON.
    pub async fn read(&self, replica: Replica, url: &str, wanted: &Wanted) -> Result<Answer, ReadError> {
        let token = wanted.token.as_ref();
        let token = token.map(|token| ("consistency-token", token.text.as_str()));
        let request = PageRequest {
            account: wanted.account,
            window: Some(wanted.window),
            preferences: wanted.preferences,
            headers: token.as_slice(),
        };
        let run = self.runs.of(replica);
        let answer = self.client.read(url, &request).await;
        let answer = answer.map_err(|error| unless_asked_for(error, wanted.preferences))?;
        let wait_applied = wait_applied(&answer.head.preference_applied, wanted.preferences)?;
        let run = ProcessRuns::between(run, self.runs.of(replica));
        let response = Response {
            replica,
            run,
            account: wanted.account,
            window: wanted.window,
            sent_at: answer.sent_at,
            received_at: answer.received_at,
            status: answer.status,
            fresh_as_of: answer.head.fresh_as_of,
            outcome: match answer.head.outcome {
                Some(stack::Outcome::Hit) => Outcome::Hit,
                _ => Outcome::Forwarded {
                    collapsed: answer.head.collapsed,
                },
            },
            marks: answer.head.marks,
            fragments: shown::fragments(&answer).map_err(ReadError::Nonsense)?,
            demanded: wanted.token.as_ref().map(|token| (token.source, token.version)),
            preferences: wanted.preferences,
            wait_applied,
            timed_out: shown::timed_out(&answer),
            asked: answer.head.asked,
        };
        Ok(Answer {
            response,
            body: answer.body,
        })
    }
}

/// "Not in memory" is an answer for readers who want no other; to everybody else it is nonsense.
fn unless_asked_for(error: ReadError, preferences: Preferences) -> ReadError {
    if error == NOT_CACHED && !preferences.only_if_cached {
        ReadError::Nonsense("504, and the reader did not say only-if-cached".to_owned())
    } else {
        error
    }
}

/// Whether the answer says that it came within its reader's wait; or what it says instead.
fn wait_applied(applied: &str, preferences: Preferences) -> Result<bool, ReadError> {
    let prefer = preferences.prefer();
    if applied.is_empty() || prefer.as_deref() == Some(applied) {
        return Ok(!applied.is_empty());
    }
    let told = format!("Preference-Applied: {applied}, where Prefer was {prefer:?}");
    Err(ReadError::Nonsense(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_504_is_an_answer_for_readers_of_what_is_cached_alone() {
        let only_if_cached = Preferences {
            only_if_cached: true,
            ..Preferences::default()
        };
        assert_eq!(unless_asked_for(NOT_CACHED, only_if_cached), NOT_CACHED);
        let other = unless_asked_for(NOT_CACHED, Preferences::default());
        assert!(matches!(other, ReadError::Nonsense(_)), "{other:?}");
        let refused = ReadError::Refused(503);
        assert_eq!(unless_asked_for(refused.clone(), Preferences::default()), refused);
    }

    #[test]
    fn a_preference_that_was_not_asked_for_is_nonsense() {
        let wait = Preferences {
            wait: Some(Duration::from_millis(50)),
            ..Preferences::default()
        };
        assert_eq!(wait_applied("wait-ms=50", wait), Ok(true));
        assert_eq!(wait_applied("", wait), Ok(false));
        assert!(wait_applied("wait-ms=100", wait).is_err());
        assert!(wait_applied("wait-ms=50", Preferences::default()).is_err());
    }
}
