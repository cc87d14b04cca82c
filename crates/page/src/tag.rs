//! The `ETag` of a source's answer.

use fresh_cache::Version;

/// A source's `ETag`: which incarnation of its database, which revision of the account, and for metrics which
/// bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The header's value, to be asked about with `If-None-Match`.
    pub(crate) text: String,
    /// The id minted with the source's database.
    pub(crate) incarnation: u128,
    /// How often the account changed in it.
    pub(crate) revision: u64,
}

impl Tag {
    /// The tag of an answer that an event carries.
    pub(crate) fn of(version: Version) -> Self {
        let Version {
            incarnation,
            revision,
        } = version;
        Self {
            text: format!("\"{incarnation:032x}-{revision}\""),
            incarnation,
            revision,
        }
    }

    /// The version that it names.
    pub(crate) const fn version(&self) -> Version {
        Version {
            incarnation: self.incarnation,
            revision: self.revision,
        }
    }

    /// Reads `"<incarnation>-<revision>"`, or the same with a bucket's end behind it.
    pub(crate) fn parse(text: &str) -> Result<Self, NotATag> {
        Self::read(text).ok_or_else(|| NotATag {
            found: text.chars().take(80).collect(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        let words: Vec<&str> = inner.split('-').collect();
        let (incarnation, revision) = match words[..] {
            [incarnation, revision] => (incarnation, revision),
            [incarnation, revision, bucket] if bucket.parse::<i64>().is_ok() => (incarnation, revision),
            _ => return None,
        };
        let hexadecimal = incarnation.len() == 32 && incarnation.bytes().all(|byte| byte.is_ascii_hexdigit());
        let incarnation = hexadecimal.then(|| u128::from_str_radix(incarnation, 16).ok())??;
        Some(Self {
            text: text.to_owned(),
            incarnation,
            revision: revision.parse().ok()?,
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

    const TAG: &str = "\"0199f7c5a1b27cc38d4e5f6071829304-17\"";

    #[test]
    fn a_tag_gives_its_incarnation_and_revision_with_or_without_a_bucket() {
        let tag = Tag::parse(TAG).unwrap();
        assert_eq!(
            (tag.incarnation, tag.revision),
            (0x0199_f7c5_a1b2_7cc3_8d4e_5f60_7182_9304, 17)
        );
        let tag = Tag::parse("\"0199f7c5a1b27cc38d4e5f6071829304-17-1795384800\"").unwrap();
        assert_eq!((tag.revision, tag.text.len()), (17, 48));
    }

    #[test]
    fn a_tag_of_another_form_is_refused() {
        let id = "0199f7c5a1b27cc38d4e5f6071829304";
        for text in [
            "",
            "\"",
            "\"abc\"",
            &format!("{id}-1"),
            &format!("W/\"{id}-1\""),
            &format!("\"{id}\""),
            &format!("\"{id}-\""),
            &format!("\"{id}-1-x\""),
            &format!("\"{id}-1-2-3\""),
            &format!("\"{}-1\"", id.replace('0', "z")),
        ] {
            assert!(Tag::parse(text).is_err(), "{text:?}");
        }
    }
}
