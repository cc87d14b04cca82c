#![doc = include_str!("../README.md")]

mod broker;
mod claim;
mod clock;
mod config;
mod event;
mod feed;
pub mod history;
mod incarnation;
pub mod lives;
mod outage;
pub mod outbox;
mod readiness;
mod relay;
mod sequence;
mod subscription;
mod trouble;

pub use broker::{Broker, ConnectError, StreamReplicas, Topology};
pub use claim::Claim;
pub use clock::Clock;
pub use config::NatsConfig;
pub use event::Event;
pub use feed::{Change, ChangeKind, Claimed, Feed, FeedItem, Loss, Watermark};
pub use incarnation::{Incarnation, Nonce, NotAnIncarnation, NotSixteenDigits, Version};
pub use readiness::readiness;
pub use relay::{FailPoint, Publishing, Relay, RelayOptions};
pub use sequence::Cause;
pub use subscription::{Place, Subscription};
pub use trouble::Trouble;

use async_nats::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};

/// Reads the trace context out of a message's headers.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(async_nats::HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.0.get_all(key).map(async_nats::HeaderValue::as_str);
        Some(values.collect())
    }
}

/// Writes it into a message's headers.
struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key, value);
    }
}
