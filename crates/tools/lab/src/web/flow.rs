//! Events as they pass through the broker, for the eye alone: whoever must not miss one reads the stream instead.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, HeaderMap, Message};
use futures::StreamExt as _;
use serde::Serialize;
use stack::{SUBJECT_PREFIX, event_of_type};
use tokio::time::{Duration, sleep};

/// How many events are shown.
const SHOWN: usize = 30;

/// An absent broker is looked for this often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The newest events, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    events: Arc<Mutex<VecDeque<Flowed>>>,
    client: Arc<Mutex<Option<Client>>>,
}

/// One event that passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Flowed {
    /// Its id: tells the browser which it has drawn already.
    id: String,
    /// When its mutation was committed.
    time: String,
    source: String,
    account: String,
    kind: String,
    revision: String,
    /// The trace of the write that caused it, if it was traced.
    trace_id: Option<String>,
}

impl Flow {
    /// Listens until it is dropped.
    pub(super) async fn listen(self, url: String) {
        let options = || {
            ConnectOptions::new()
                .name("lab")
                .retry_on_initial_connect()
                .reconnect_delay_callback(|_| LOOK_AGAIN_AFTER)
        };
        loop {
            if let Ok(client) = options().connect(&url).await {
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.clone());
                // The client subscribes again by itself when the broker comes back.
                if let Ok(mut messages) = client.subscribe(format!("{SUBJECT_PREFIX}.>")).await {
                    while let Some(message) = messages.next().await {
                        self.note(&message);
                    }
                }
            }
            sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    /// Whether the broker answers; none before the first try has ended.
    pub(super) fn connected(&self) -> Option<bool> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        match client.as_ref()?.connection_state() {
            State::Connected => Some(true),
            State::Disconnected => Some(false),
            State::Pending => None,
        }
    }

    /// The newest events, newest first.
    pub(super) fn events(&self) -> Vec<Flowed> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().cloned().collect()
    }

    fn note(&self, message: &Message) {
        let Some(flowed) = message
            .headers
            .as_ref()
            .and_then(|headers| read(&message.subject, headers))
        else {
            return;
        };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // A publisher that is not sure repeats itself.
        if events.iter().any(|known| known.id == flowed.id) {
            return;
        }
        events.truncate(SHOWN - 1);
        events.push_front(flowed);
    }
}

/// Reads `events.<source>.<account>`; watermarks pass four times a second and are left out.
fn read(subject: &str, headers: &HeaderMap) -> Option<Flowed> {
    let text = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let mut tokens = subject.split('.').skip(1);
    let (source, account) = (tokens.next()?, tokens.next()?);
    if account == "watermark" {
        return None;
    }
    let event_type = text("ce-type")?;
    Some(Flowed {
        id: text("ce-id")?,
        time: text("ce-time")?,
        source: source.to_owned(),
        account: account.to_owned(),
        // A type that the lab does not know is shown as it came: the event did pass.
        kind: event_of_type(&event_type).unwrap_or(&event_type).to_owned(),
        revision: text("ce-revision")?,
        trace_id: text("traceparent").and_then(|parent| parent.split('-').nth(1).map(str::to_owned)),
    })
}

#[cfg(test)]
mod tests {
    use stack::event_type;

    use super::*;

    fn headers(event_type: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-id", "accounts:1:2"),
            ("ce-time", "2026-11-23T08:00:00Z"),
            ("ce-type", event_type),
            ("ce-revision", "3"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
        ] {
            headers.insert(name, value);
        }
        headers
    }

    #[test]
    fn an_event_is_read_from_its_headers_and_a_watermark_is_none() {
        let headers = headers(&event_type("account.updated"));
        let flowed = read("events.accounts.7", &headers).unwrap();
        assert_eq!(
            (flowed.account.as_str(), flowed.kind.as_str()),
            ("7", "account.updated")
        );
        assert_eq!(
            flowed.trace_id.as_deref(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
        assert_eq!(read("events.accounts.watermark", &headers), None);
    }

    #[test]
    fn an_event_of_a_type_that_is_not_ours_is_shown_by_its_whole_type() {
        let next_version = event_type("account.updated").replace(".v1", ".v2");
        for other in ["org.example.account.merged.v1", &next_version] {
            let flowed = read("events.accounts.7", &headers(other)).unwrap();
            assert_eq!((flowed.account.as_str(), flowed.kind.as_str()), ("7", other));
        }
    }
}
