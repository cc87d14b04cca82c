//! Reading pages as any reader does, and noting what is checked later.

mod shown;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use stack::{PageClient, PageRequest, ReadError, Source, Version, Window};

use crate::history::{Outcome, Replica, Response};
use crate::recorder::ProcessRuns;

/// Longer than any pause: an answer that comes late is the more worth checking.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// What is read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose page.
    pub account: u64,
    /// Which variant.
    pub window: Window,
    /// Whether it must be composed for this read.
    pub fully_consistent: bool,
    /// What it must reflect at least.
    pub token: Option<Token>,
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
        let fully_consistent = wanted.fully_consistent.then_some(("cache-control", "no-cache"));
        let token = wanted.token.as_ref();
        let token = token.map(|token| ("consistency-token", token.text.as_str()));
        let headers: Vec<_> = fully_consistent.into_iter().chain(token).collect();
        let request = PageRequest {
            account: wanted.account,
            window: Some(wanted.window),
            headers: &headers,
        };
        let run = self.runs.of(replica);
        let answer = self.client.read(url, &request).await?;
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
            fully_consistent: wanted.fully_consistent,
            asked: answer.head.asked,
        };
        Ok(Answer {
            response,
            body: answer.body,
        })
    }
}
