//! What is asked of a source, and how.

use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde_json::{Value, json};

use super::{AccountId, EndpointId};
use crate::Source;
use crate::data::State;

/// The most samples that the metrics service takes at once.
pub const LARGEST_BATCH: usize = 1000;

/// What is asked of a source: each makes a new revision of the account there.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Who is asked.
    pub source: Source,
    /// Whose data changes; none for an account that is created.
    pub account: Option<AccountId>,
    method: Method,
    /// Below the account, or below the list of them.
    path: String,
    body: Option<Value>,
}

/// A sample on its way to the metrics service.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NewSample {
    /// What was checked.
    pub endpoint_id: EndpointId,
    /// When, as RFC 3339; without it, the service's own now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
    /// How it was found.
    pub state: State,
    /// The HTTP status, 0 if no answer came.
    pub status_code: u16,
    /// How long the answer took.
    pub response_ms: u32,
}

impl Change {
    /// Creates an account.
    pub fn create_account(name: &str, description: &str) -> Self {
        let body = json!({ "name": name, "description": description });
        Self {
            account: None,
            ..Self::of(Source::Accounts, 0, Method::POST, "", Some(body))
        }
    }

    /// Gives an account another name.
    pub fn rename_account(account: AccountId, name: &str) -> Self {
        Self::of(
            Source::Accounts,
            account,
            Method::PATCH,
            "",
            Some(json!({ "name": name })),
        )
    }

    /// Gives an account another description.
    pub fn describe_account(account: AccountId, description: &str) -> Self {
        let body = json!({ "description": description });
        Self::of(Source::Accounts, account, Method::PATCH, "", Some(body))
    }

    /// Deletes an account; the other sources follow.
    pub fn delete_account(account: AccountId) -> Self {
        Self::of(Source::Accounts, account, Method::DELETE, "", None)
    }

    /// Adds an endpoint to an account.
    pub fn add_endpoint(account: AccountId, name: &str, url: &str) -> Self {
        let body = json!({ "name": name, "url": url });
        Self::of(Source::Endpoints, account, Method::POST, "/endpoints", Some(body))
    }

    /// Gives an endpoint another name.
    pub fn rename_endpoint(account: AccountId, endpoint: EndpointId, name: &str) -> Self {
        let path = format!("/endpoints/{endpoint}");
        Self::of(
            Source::Endpoints,
            account,
            Method::PATCH,
            &path,
            Some(json!({ "name": name })),
        )
    }

    /// Removes an endpoint from an account.
    pub fn remove_endpoint(account: AccountId, endpoint: EndpointId) -> Self {
        Self::of(
            Source::Endpoints,
            account,
            Method::DELETE,
            &format!("/endpoints/{endpoint}"),
            None,
        )
    }

    /// Records one batch of samples, at most [`LARGEST_BATCH`] of them.
    pub fn record(account: AccountId, samples: &[NewSample]) -> Self {
        let body = json!({ "samples": samples });
        Self::of(Source::Metrics, account, Method::POST, "/samples", Some(body))
    }

    fn of(source: Source, account: AccountId, method: Method, path: &str, body: Option<Value>) -> Self {
        Self {
            source,
            account: Some(account),
            method,
            path: path.to_owned(),
            body,
        }
    }

    /// The request for it, to the source at `root`.
    pub(super) fn request(&self, http: &Client, root: &str) -> RequestBuilder {
        let account = self.account.map(|id| format!("/{id}")).unwrap_or_default();
        let request = http.request(
            self.method.clone(),
            format!("{root}/accounts{account}{}", self.path),
        );
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: NewSample = NewSample {
        endpoint_id: 70,
        at: None,
        state: State::Up,
        status_code: 200,
        response_ms: 3,
    };

    /// Method, path and body, as they go out.
    fn sent(change: &Change) -> String {
        let request = change.request(&Client::new(), "http://127.0.0.1:1/base");
        let request = request.build().unwrap();
        let body = request.body().and_then(|body| body.as_bytes());
        let body = String::from_utf8_lossy(body.unwrap_or_default());
        format!("{} {} {body}", request.method(), request.url().path())
    }

    #[test]
    fn each_change_has_its_source_and_its_request() {
        let at = "2026-11-23T08:00:00Z".parse().ok();
        let samples = [SAMPLE, NewSample { at, ..SAMPLE }];
        let table = [
            (
                Source::Accounts,
                Change::create_account("a", "b"),
                r#"POST /base/accounts {"description":"b","name":"a"}"#,
            ),
            (
                Source::Accounts,
                Change::rename_account(7, "a"),
                r#"PATCH /base/accounts/7 {"name":"a"}"#,
            ),
            (
                Source::Accounts,
                Change::describe_account(7, "b"),
                r#"PATCH /base/accounts/7 {"description":"b"}"#,
            ),
            (
                Source::Accounts,
                Change::delete_account(7),
                "DELETE /base/accounts/7 ",
            ),
            (
                Source::Endpoints,
                Change::add_endpoint(7, "a", "http://b"),
                r#"POST /base/accounts/7/endpoints {"name":"a","url":"http://b"}"#,
            ),
            (
                Source::Endpoints,
                Change::rename_endpoint(7, 70, "a"),
                r#"PATCH /base/accounts/7/endpoints/70 {"name":"a"}"#,
            ),
            (
                Source::Endpoints,
                Change::remove_endpoint(7, 70),
                "DELETE /base/accounts/7/endpoints/70 ",
            ),
            (
                Source::Metrics,
                Change::record(7, &samples),
                concat!(
                    r#"POST /base/accounts/7/samples {"samples":["#,
                    r#"{"endpoint_id":70,"response_ms":3,"state":"up","status_code":200},"#,
                    r#"{"at":"2026-11-23T08:00:00Z","endpoint_id":70,"response_ms":3,"state":"up","status_code":200}]}"#,
                ),
            ),
        ];
        for (source, change, request) in table {
            assert_eq!((change.source, sent(&change).as_str()), (source, request));
            let of = (!request.starts_with("POST /base/accounts {")).then_some(7);
            assert_eq!(change.account, of, "{request}");
        }
    }
}
