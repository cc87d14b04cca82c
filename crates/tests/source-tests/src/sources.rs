//! What every source shows, whatever it owns.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response};
use serde_json::Value;

use crate::running::form;
use crate::{Running, Service, header};

/// A source, by one thing that can be created, read and changed.
#[expect(async_fn_in_trait, reason = "the tests run on one thread")]
pub trait Source: Service {
    /// Whose version a refused change names, as the problem's text begins.
    const WHOSE: &str;
    /// Where the thing is read. The first is what pages read.
    const READS: &[&str];
    /// Where nothing is, and is not found.
    const ABSENT: &[&str];
    /// What else is answered, and by which status.
    const OTHERS: &[(&str, u16)];

    /// What creates the thing.
    fn creation() -> Change;

    /// A change of the thing; two of them are different.
    fn change(n: i64) -> Change;

    /// Changes of other kinds. What deletes the thing is the last of them.
    fn other_changes() -> Vec<Change>;

    /// The entity tag that a change can name, given the tag of the first read.
    fn written_tag(read: &str) -> String {
        read.to_owned()
    }

    /// Fails unless the thing is what a change answered. All changes were made by [`change`](Self::change).
    async fn assert_shows(&self, answered: &Value);
}

/// A change that a client may ask for.
#[derive(Debug)]
pub struct Change {
    method: Method,
    path: &'static str,
    body: Option<Value>,
    /// Of its success.
    status: u16,
}

impl Change {
    /// What creates something.
    pub fn post(path: &'static str, body: Value) -> Self {
        Self {
            method: Method::POST,
            path,
            body: Some(body),
            status: 201,
        }
    }

    /// What changes it.
    pub fn patch(path: &'static str, body: Value) -> Self {
        Self {
            method: Method::PATCH,
            path,
            body: Some(body),
            status: 200,
        }
    }

    /// What deletes it.
    pub fn delete(path: &'static str) -> Self {
        Self {
            method: Method::DELETE,
            path,
            body: None,
            status: 204,
        }
    }

    /// Whether it creates something, so that nothing has to exist before.
    pub(crate) fn creates(&self) -> bool {
        self.method == Method::POST
    }

    /// Asks for it under these headers.
    pub(crate) async fn send<S: Source>(&self, app: &Running<S>, headers: &[(&str, &str)]) -> Response {
        send(app, self.method.clone(), self.path, self.body.as_ref(), headers).await
    }

    /// Asks for it under these headers, and expects that it is made.
    pub(crate) async fn make<S: Source>(&self, app: &Running<S>, headers: &[(&str, &str)]) -> Response {
        let response = self.send(app, headers).await;
        assert_eq!(response.status(), self.status, "{self:?} {headers:?}");
        response
    }

    pub(crate) fn is_made_by(&self, response: &Response) -> bool {
        response.status() == self.status
    }
}

/// Reads under these headers.
pub(crate) async fn read<S: Source>(
    app: &Running<S>,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response {
    send(app, method, path, None, headers).await
}

async fn send<S: Source>(
    app: &Running<S>,
    method: Method,
    path: &str,
    body: Option<&Value>,
    headers: &[(&str, &str)],
) -> Response {
    let request = app.request(method, path);
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    request.send().await.unwrap()
}

/// The entity tag that a change can name now.
pub(crate) async fn etag<S: Source>(app: &Running<S>) -> String {
    let answer = app.get(S::READS[0]).await;
    let read = header(&answer, "etag");
    assert_eq!(form(read), S::FORM);
    S::written_tag(read)
}

/// Fails unless what was acknowledged survives a restart, and unless a renewed incarnation has other versions.
pub async fn what_was_written_survives_a_restart_and_a_renewed_incarnation_is_another<S: Source>() {
    let app = Running::<S>::spawn().await;
    let created = S::creation().make(&app, &[]).await;
    let created: Value = created.json().await.unwrap();
    let before = etag(&app).await;
    let app = app.respawn(&[]).await;
    assert_eq!(etag(&app).await, before);
    app.assert_shows(&created).await;
    let app = app.respawn(&["--renew-incarnation"]).await;
    assert_ne!(etag(&app).await, before);
    app.assert_shows(&created).await;
}

/// Fails unless the injected latency delays reads, and is named in them, and in nothing else.
pub async fn injected_latency_is_felt_by_readers_alone_and_always_named<S: Source>() {
    const NAMED: &str = "injected;dur=150";
    let app = Running::<S>::spawn_with(&["--inject-latency", "150"]).await;
    let path = S::READS[0];
    let nothing_yet = app.get(path).await;
    assert_eq!(header(&nothing_yet, "server-timing"), NAMED);
    let written = S::creation().make(&app, &[]).await;
    assert!(written.headers().get("server-timing").is_none());
    let asked = Instant::now();
    let slow = app.get(path).await;
    assert!(asked.elapsed() >= Duration::from_millis(150));
    assert_eq!(header(&slow, "server-timing"), NAMED);
    let unchanged = app.get_if_none_match(path, header(&slow, "etag")).await;
    assert_eq!(
        (unchanged.status().as_u16(), header(&unchanged, "server-timing")),
        (304, NAMED)
    );

    let app = app.respawn(&[]).await;
    assert!(app.get(path).await.headers().get("server-timing").is_none());
}

/// Fails unless the offset of the source's clock is in the time of its events.
pub async fn a_clock_that_is_set_back_on_purpose_dates_what_is_announced<S: Source>() {
    let app = Running::<S>::spawn_with(&["--inject-clock-offset-ms", "-3600000"]).await;
    let before = Timestamp::now();
    S::creation().make(&app, &[]).await;
    let received = app.changes(1).await;
    let time: Timestamp = received[0].attribute("ce-time").parse().unwrap();
    assert!(time < before - SignedDuration::from_mins(59), "{time}");
}
