//! What is on the stream, read without our own subscriptions.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::push};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::time::timeout;

use crate::app::TestApp;

/// A change as it was published.
pub(crate) struct Published {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Value,
    pub(crate) payload: Vec<u8>,
}

impl Published {
    pub(crate) fn attribute(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
            .as_str()
    }
}

/// The first `count` changes of endpoints, in the stream's order, once they are there; watermarks left out.
pub(crate) async fn changes(app: &TestApp, count: usize) -> Vec<Published> {
    let client = async_nats::connect(app.nats.url()).await.unwrap();
    let deliver_subject = client.new_inbox();
    let stream = test_support::eventually(Duration::from_secs(10), async || {
        jetstream::new(client.clone()).get_stream("EVENTS").await
    })
    .await;
    let consumer = stream
        .create_consumer(push::OrderedConfig {
            deliver_subject,
            filter_subject: "events.endpoints.*".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    let received = consumer.messages().await.unwrap().map(Result::unwrap);
    let received = received.filter(|message| std::future::ready(!message.subject.ends_with(".watermark")));
    let received = received.map(|message| Published {
        subject: message.subject.to_string(),
        headers: message.headers.clone().unwrap(),
        data: serde_json::from_slice(&message.payload).unwrap(),
        payload: message.payload.to_vec(),
    });
    timeout(Duration::from_secs(20), received.take(count).collect())
        .await
        .expect("the changes are published")
}
