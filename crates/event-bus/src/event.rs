//! CloudEvents 1.0 in the NATS binding's binary mode: attributes as `ce-` headers, the data as the payload.
//!
//! By hand: the CloudEvents SDK knows only the structured mode over NATS.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md>

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;

use crate::Incarnation;
use crate::outbox::Pending;

/// The type of a watermark is the source's; this is how it ends.
pub(crate) const WATERMARK: &str = "watermark";

/// One announced change, as it was heard.
#[derive(Debug, Clone)]
pub struct Event {
    /// `<source>:<incarnation>:<sequence>`; also the broker's key for duplicates.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// What it is about.
    pub entity: String,
    /// When its mutation was committed, by the source's clock; stamped just before the commit.
    pub time: Timestamp,
    /// Contiguous per source and incarnation.
    pub sequence: u64,
    /// The entity's, after the mutation.
    pub revision: u64,
    /// Of the source's database.
    pub incarnation: Incarnation,
    /// A JSON object; with the entity's new state under `fragment` where one is carried.
    pub data: Bytes,
}

/// What a message on the stream says.
#[derive(Debug)]
pub(crate) enum Message {
    Change(Event),
    Watermark {
        incarnation: Incarnation,
        complete_until: Timestamp,
        sequence: u64,
    },
}

/// A message on one of our subjects that does not say what it must.
#[derive(Debug, thiserror::Error)]
#[error("the message has no usable {0}")]
pub(crate) struct Unreadable(&'static str);

/// The body of a watermark: everything committed before `complete_until` was published, up to `sequence`.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct WatermarkData {
    complete_until: Timestamp,
    sequence: u64,
}

pub(crate) fn change_headers(source: &str, incarnation: Incarnation, row: &Pending) -> HeaderMap {
    let id = format!("{source}:{incarnation}:{}", row.sequence);
    let mut headers = common_headers(source, incarnation, &id, &row.kind, &row.time, row.sequence);
    headers.insert("ce-subject", row.entity.as_str());
    headers.insert("ce-revision", row.revision.to_string());
    headers.insert(NATS_MESSAGE_ID, id);
    headers
}

/// A watermark takes no sequence and no message id of its own: it may be lost, and must never be deduplicated.
pub(crate) fn watermark(
    source: &str,
    kind: &str,
    incarnation: Incarnation,
    complete_until: Timestamp,
    sequence: u64,
) -> (HeaderMap, Bytes) {
    let time = format!("{complete_until:.6}");
    let id = format!("{source}:{incarnation}:{WATERMARK}:{time}");
    let headers = common_headers(source, incarnation, &id, kind, &time, sequence);
    let body = format!(r#"{{"complete_until":"{time}","sequence":{sequence}}}"#);
    (headers, body.into())
}

fn common_headers(
    source: &str,
    incarnation: Incarnation,
    id: &str,
    kind: &str,
    time: &str,
    sequence: u64,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", id);
    headers.insert("ce-source", source);
    headers.insert("ce-type", kind);
    headers.insert("ce-time", time);
    headers.insert("ce-sequence", sequence.to_string());
    headers.insert("ce-incarnation", incarnation.to_string());
    headers.insert("content-type", "application/json");
    headers
}

/// Reads a message whose subject is `<prefix>.<source>.<entity>`.
pub(crate) fn read(
    entity: &str,
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Message, Unreadable> {
    let headers = headers.ok_or(Unreadable("headers"))?;
    let text = |name: &'static str| headers.get(name).map(HeaderValue::as_str).ok_or(Unreadable(name));
    let incarnation = text("ce-incarnation")?
        .parse()
        .map_err(|_| Unreadable("ce-incarnation"))?;
    if entity == WATERMARK {
        let data: WatermarkData = serde_json::from_slice(payload).map_err(|_| Unreadable("watermark"))?;
        return Ok(Message::Watermark {
            incarnation,
            complete_until: data.complete_until,
            sequence: data.sequence,
        });
    }
    let number = |name| text(name)?.parse::<u64>().map_err(|_| Unreadable(name));
    Ok(Message::Change(Event {
        id: text("ce-id")?.to_owned(),
        kind: text("ce-type")?.to_owned(),
        entity: entity.to_owned(),
        time: text("ce-time")?.parse().map_err(|_| Unreadable("ce-time"))?,
        sequence: number("ce-sequence")?,
        revision: number("ce-revision")?,
        incarnation,
        data: payload.clone(),
    }))
}
