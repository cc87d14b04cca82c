//! What is asked of a source, and how.

use reqwest::Method;
use serde_json::{Value, json};

use super::Account;
use crate::source::Source;

/// What is asked of a source: each one makes a new revision there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives an account another description.
    Describe {
        /// Whose.
        account: u64,
        /// The new one.
        text: String,
    },
    /// Gives an endpoint another name.
    RenameEndpoint {
        /// Whose.
        account: u64,
        /// Which.
        endpoint: u64,
        /// The new one.
        name: String,
    },
    /// Records one sample, taken now.
    Record {
        /// Whose.
        account: u64,
        /// Of what.
        endpoint: u64,
        /// How long the sampled answer took.
        response_ms: u32,
    },
}

impl Change {
    /// Some change of an account at a source, its `number`th: what it says is different each time.
    ///
    /// An account without endpoints has but itself to change.
    pub fn numbered(source: Source, account: &Account, number: u64) -> Self {
        let turn = usize::try_from(number).unwrap_or_default() % account.endpoints.len().max(1);
        let endpoint = account.endpoints.get(turn).copied();
        let account = account.id;
        match (source, endpoint) {
            (Source::Endpoints, Some(endpoint)) => Self::RenameEndpoint {
                account,
                endpoint,
                name: format!("endpoint, change {number}"),
            },
            (Source::Metrics, Some(endpoint)) => Self::Record {
                account,
                endpoint,
                response_ms: u32::try_from(number % 500).unwrap_or_default(),
            },
            _ => Self::Describe {
                account,
                // By its beginning, the lab finds what a load test left behind.
                text: format!("Of a load test: change {number}."),
            },
        }
    }

    /// Who is asked.
    pub const fn source(&self) -> Source {
        match self {
            Self::Describe { .. } => Source::Accounts,
            Self::RenameEndpoint { .. } => Source::Endpoints,
            Self::Record { .. } => Source::Metrics,
        }
    }

    /// Whose data changes.
    pub const fn account(&self) -> u64 {
        match self {
            Self::Describe { account, .. }
            | Self::RenameEndpoint { account, .. }
            | Self::Record { account, .. } => *account,
        }
    }

    /// How it is asked: the method, the path, and the body.
    pub(super) fn request(&self) -> (Method, Vec<String>, Value) {
        let mut path = vec!["accounts".to_owned(), self.account().to_string()];
        let (method, body) = match self {
            Self::Describe { text, .. } => (Method::PATCH, json!({ "description": text })),
            Self::RenameEndpoint { endpoint, name, .. } => {
                path.extend(["endpoints".to_owned(), endpoint.to_string()]);
                (Method::PATCH, json!({ "name": name }))
            }
            Self::Record {
                endpoint,
                response_ms,
                ..
            } => {
                path.push("samples".to_owned());
                let sample = json!({ "endpoint_id": endpoint, "state": "up", "status_code": 200, "response_ms": response_ms });
                (Method::POST, json!({ "samples": [sample] }))
            }
        };
        (method, path, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            id: 7,
            endpoints: vec![70, 71],
        }
    }

    #[test]
    fn each_source_has_its_change_and_endpoints_take_turns() {
        let requests = Source::ALL.map(|source| {
            let change = Change::numbered(source, &account(), 3);
            assert_eq!((change.source(), change.account()), (source, 7));
            let (method, path, body) = change.request();
            format!("{method} {} {body}", path.join("/"))
        });
        assert_eq!(
            requests[0],
            r#"PATCH accounts/7 {"description":"Of a load test: change 3."}"#
        );
        assert_eq!(
            requests[1],
            r#"PATCH accounts/7/endpoints/71 {"name":"endpoint, change 3"}"#
        );
        let sample = r#"{"endpoint_id":71,"response_ms":3,"state":"up","status_code":200}"#;
        assert_eq!(
            requests[2],
            format!(r#"POST accounts/7/samples {{"samples":[{sample}]}}"#)
        );
    }

    #[test]
    fn an_account_without_endpoints_changes_itself() {
        let bare = Account {
            id: 7,
            endpoints: Vec::new(),
        };
        assert_eq!(
            Change::numbered(Source::Metrics, &bare, 0).source(),
            Source::Accounts
        );
    }
}
