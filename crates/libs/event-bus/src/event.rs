//! CloudEvents 1.0 in the NATS binding's binary mode: attributes as `ce-` headers, the data as the payload.
//!
//! By hand: the CloudEvents SDK knows only the structured mode over NATS.
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md>

use std::str::FromStr;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;

use crate::incarnation::Nonce;
use crate::outbox::{Count, Pending};
use crate::{Claim, Incarnation};

/// The last token of the subject of watermarks and claims.
pub(crate) const WATERMARK: &str = "watermark";
/// The type of a claim is the source's; this is how it ends.
const CLAIM: &str = ".claim.v1";

/// One announced change, as it was received.
#[derive(Debug, Clone)]
pub struct Event {
    /// `<source>:<incarnation>:<sequence>:<nonce>`; also the broker's key for duplicates.
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
    /// Of the mutation: two histories of a database may share a revision, and never this.
    pub nonce: Nonce,
    /// Of the source's database.
    pub incarnation: Incarnation,
    /// Of whoever published it; none from a program of before claims were made.
    pub claim: Option<Claim>,
    /// A JSON object; with the entity's new state under `fragment` where one is carried.
    pub data: Bytes,
}

impl Event {
    pub(crate) fn count(&self) -> Count {
        Count {
            incarnation: self.incarnation,
            sequence: self.sequence,
            nonce: Some(self.nonce),
        }
    }
}

/// What a message on the stream says.
#[derive(Debug)]
pub(crate) enum Message {
    Change(Event),
    /// Everything committed before a moment was published, up to a count.
    Watermark {
        claim: Option<Claim>,
        count: Count,
        complete_until: Timestamp,
    },
    /// This process now publishes for the source.
    Claim {
        claim: Claim,
        count: Count,
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

/// Who sent a message: what all headers of one publisher share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageOrigin<'a> {
    pub(crate) source: &'a str,
    pub(crate) claim: Claim,
    pub(crate) incarnation: Incarnation,
}

impl MessageOrigin<'_> {
    /// The id of a change, which is the same however often it is published.
    pub(crate) fn id(self, row: &Pending) -> String {
        let Self {
            source, incarnation, ..
        } = self;
        format!("{source}:{incarnation}:{}:{}", row.sequence, row.nonce)
    }

    pub(crate) fn change_headers(self, row: &Pending) -> HeaderMap {
        let id = self.id(row);
        let mut headers = self.headers(&id, &row.kind, &row.time, row.sequence, row.nonce);
        headers.insert("ce-subject", row.entity.as_str());
        headers.insert("ce-revision", row.revision.to_string());
        headers.insert(NATS_MESSAGE_ID, id);
        headers
    }

    /// A watermark takes no sequence and no message id of its own: it may be lost, and must never be deduplicated.
    pub(crate) fn watermark(
        self,
        kind: &str,
        complete_until: Timestamp,
        sequence: u64,
        nonce: Nonce,
    ) -> (HeaderMap, Bytes) {
        let Self {
            source, incarnation, ..
        } = self;
        let time = format!("{complete_until:.6}");
        let id = format!("{source}:{incarnation}:{WATERMARK}:{time}");
        let headers = self.headers(&id, kind, &time, sequence, nonce);
        let body = format!(r#"{{"complete_until":"{time}","sequence":{sequence}}}"#);
        (headers, body.into())
    }

    /// The claim itself. It counts what its publisher has, so that a database that was set back is found out.
    pub(crate) fn claim(self, kind: &str, now: Timestamp, sequence: u64, nonce: Nonce) -> (HeaderMap, Bytes) {
        let Self { source, claim, .. } = self;
        let id = format!("{source}:claim:{claim}");
        let headers = self.headers(&id, kind, &format!("{now:.6}"), sequence, nonce);
        (headers, format!(r#"{{"claim":"{claim}"}}"#).into())
    }

    fn headers(self, id: &str, kind: &str, time: &str, sequence: u64, nonce: Nonce) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-id", id);
        headers.insert("ce-source", self.source);
        headers.insert("ce-type", kind);
        headers.insert("ce-time", time);
        // The sequence extension of CloudEvents: two values are ordered as strings. Twenty digits hold every u64.
        headers.insert("ce-sequence", format!("{sequence:020}"));
        headers.insert("ce-nonce", nonce.to_string());
        headers.insert("ce-incarnation", self.incarnation.to_string());
        headers.insert("ce-claim", self.claim.to_string());
        headers.insert("content-type", "application/json");
        headers
    }
}

/// Reads a message whose subject is `<prefix>.<source>.<entity>`.
pub(crate) fn read(
    entity: &str,
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Message, Unreadable> {
    let headers = headers.ok_or(Unreadable("headers"))?;
    let text = |name: &'static str| headers.get(name).map(HeaderValue::as_str).ok_or(Unreadable(name));
    let number = |name| text(name)?.parse::<u64>().map_err(|_| Unreadable(name));
    let incarnation = text("ce-incarnation")?
        .parse()
        .map_err(|_| Unreadable("ce-incarnation"))?;
    // Messages of a program of before have neither claim nor nonce, and are read all the same.
    let claim = optional(headers, "ce-claim")?;
    let nonce = optional(headers, "ce-nonce")?;
    if entity == WATERMARK {
        let count = |sequence| Count {
            incarnation,
            sequence,
            nonce,
        };
        if text("ce-type")?.ends_with(CLAIM) {
            return Ok(Message::Claim {
                claim: claim.ok_or(Unreadable("ce-claim"))?,
                count: count(number("ce-sequence")?),
            });
        }
        let data: WatermarkData = serde_json::from_slice(payload).map_err(|_| Unreadable("watermark"))?;
        return Ok(Message::Watermark {
            claim,
            count: count(data.sequence),
            complete_until: data.complete_until,
        });
    }
    Ok(Message::Change(Event {
        id: text("ce-id")?.to_owned(),
        kind: text("ce-type")?.to_owned(),
        entity: entity.to_owned(),
        time: text("ce-time")?.parse().map_err(|_| Unreadable("ce-time"))?,
        sequence: number("ce-sequence")?,
        revision: number("ce-revision")?,
        nonce: nonce.unwrap_or_default(),
        incarnation,
        claim,
        data: payload.clone(),
    }))
}

fn optional<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, Unreadable> {
    let text = headers.get(name).map(HeaderValue::as_str);
    text.map(|text| text.parse().map_err(|_| Unreadable(name)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(incarnation: u128, sequence: u64, nonce: u64) -> HeaderMap {
        let row = Pending {
            sequence,
            kind: "test.changed.v1".to_owned(),
            entity: "7".to_owned(),
            revision: 1,
            nonce: Nonce(nonce),
            time: "2026-01-01T00:00:00Z".to_owned(),
            data: "{}".to_owned(),
            fragment: None,
            trace: None,
        };
        let origin = MessageOrigin {
            source: "things",
            claim: Claim(1),
            incarnation: Incarnation(incarnation),
        };
        origin.change_headers(&row)
    }

    fn message_id(incarnation: u128, sequence: u64, nonce: u64) -> String {
        let headers = headers(incarnation, sequence, nonce);
        let id = headers.get(NATS_MESSAGE_ID).expect("every change has one");
        assert_eq!(headers.get("ce-id"), Some(id));
        id.to_string()
    }

    #[test]
    fn sequences_are_in_order_as_text_too() {
        let written = |sequence| headers(1, sequence, 3).get("ce-sequence").unwrap().to_string();
        let numbers = [0, 9, 10, 99, 100, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        assert!(numbers.map(written).is_sorted(), "{:?}", numbers.map(written));
        assert_eq!(written(9).len(), written(u64::MAX).len());
    }

    #[test]
    fn a_sequence_is_read_as_it_is_written_now_and_as_it_was_before() {
        for text in ["42", "00000000000000000042"] {
            let mut headers = headers(1, 42, 3);
            headers.insert("ce-sequence", text);
            let read = read("7", Some(&headers), &Bytes::new()).unwrap();
            assert!(
                matches!(read, Message::Change(Event { sequence: 42, .. })),
                "{read:?}"
            );
        }
    }

    #[test]
    fn a_row_keeps_its_message_id_and_shares_it_with_no_row_of_another_history() {
        let id = message_id(1, 2, 3);
        assert_eq!(message_id(1, 2, 3), id);
        for (other, (incarnation, sequence, nonce)) in [
            ("database", (9, 2, 3)),
            ("sequence", (1, 9, 3)),
            ("history of the same database", (1, 2, 9)),
        ] {
            assert_ne!(message_id(incarnation, sequence, nonce), id, "another {other}");
        }
    }
}
