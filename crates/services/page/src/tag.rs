//! The `ETag` of a source's answer.

use event_bus::{Incarnation, Nonce};
use fresh_cache::Version;

/// A source's `ETag`: which incarnation of its database, which revision of the account, which change made it, in which form
/// the answer is written, and for metrics which bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The header's value, to be asked about with `If-None-Match`.
    pub(crate) text: String,
    /// The state that it names.
    pub(crate) version: Version,
}

impl Tag {
    /// The tag of an answer that an event carries, in this form.
    pub(crate) fn of(version: Version, form: u32) -> Self {
        let Version {
            incarnation,
            revision,
            nonce,
        } = version;
        Self {
            text: format!("\"{incarnation:032x}-{revision}-{nonce:016x}-v{form}\""),
            version,
        }
    }

    /// Reads `"<incarnation>-<revision>-<nonce>-v<form>"`, or the same with a bucket's end behind it.
    pub(crate) fn parse(text: &str) -> Result<Self, NotATag> {
        Self::read(text).ok_or_else(|| NotATag {
            found: text.chars().take(100).collect(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        let mut words = inner.split('-');
        let version = Version {
            incarnation: words.next()?.parse::<Incarnation>().ok()?.0,
            revision: words.next()?.parse().ok()?,
            nonce: words.next()?.parse::<Nonce>().ok()?.0,
        };
        words.next()?.strip_prefix('v')?.parse::<u32>().ok()?;
        if let Some(bucket) = words.next() {
            bucket.parse::<i64>().ok()?;
        }
        words.next().is_none().then(|| Self {
            text: text.to_owned(),
            version,
        })
    }
}

/// The text is not made of an incarnation and a revision.
#[derive(Debug, thiserror::Error)]
#[error("its ETag {found:?} is not made of an incarnation and a revision")]
pub(crate) struct NotATag {
    /// The beginning of what was there.
    found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"0199f7c5a1b27cc38d4e5f6071829304-17-9f86d081884c7d65-v2\"";

    #[test]
    fn a_tag_gives_its_version_with_or_without_a_bucket() {
        let version = Version {
            incarnation: 0x0199_f7c5_a1b2_7cc3_8d4e_5f60_7182_9304,
            revision: 17,
            nonce: 0x9f86_d081_884c_7d65,
        };
        let tag = Tag::parse(TAG).unwrap();
        assert_eq!(tag.version, version);
        assert_eq!(tag, Tag::of(version, 2));
        let bucket = TAG.replace("-v2", "-v2-1795384800");
        assert_eq!(Tag::parse(&bucket).unwrap().version, version);
    }

    #[test]
    fn a_tag_of_another_form_is_refused() {
        let id = "0199f7c5a1b27cc38d4e5f6071829304";
        let nonce = "9f86d081884c7d65";
        for text in [
            "",
            "\"",
            "\"abc\"",
            &format!("{id}-1-{nonce}-v1"),
            &format!("W/\"{id}-1-{nonce}-v1\""),
            &format!("\"{id}\""),
            &format!("\"{id}-1\""),
            &format!("\"{id}-1-{nonce}\""),
            &format!("\"{id}--{nonce}-v1\""),
            &format!("\"{id}-1-{nonce}-1\""),
            &format!("\"{id}-1-{nonce}-v1-x\""),
            &format!("\"{id}-1-{nonce}-v1-2-3\""),
            &format!("\"{id}-1-{}-v1\"", &nonce[1..]),
            &format!("\"{}-1-{nonce}-v1\"", id.replace('0', "z")),
        ] {
            assert!(Tag::parse(text).is_err(), "{text:?}");
        }
    }
}
