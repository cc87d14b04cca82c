//! What an endpoint is, and which values it cannot have.

use event_bus::{Nonce, Version};
use http_edge::text::{is_plain, is_visible};
use jiff::Timestamp;
use url::Url;

/// How many endpoints an account may have: their list is one answer, and goes into each of their events.
pub(crate) const ENDPOINTS_PER_ACCOUNT: u64 = 500;

const URL_BYTES: usize = 2048;
/// What is kept has a path, which the parser adds where there is none.
const KEPT_URL_BYTES: usize = URL_BYTES + 1;

/// Given out by the accounts service, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountId(pub(crate) i64);

/// Used once, unless the database is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndpointId(pub(crate) i64);

/// 1 to 100 characters, not all of them invisible, none a control character of lines or directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// An http or https URL with a host and without credentials, as the URL standard's parser writes it: `HTTPS://Example.ORG`
/// is kept as `https://example.org/`. So two spellings of one address are one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointUrl(String);

/// What is wrong with a value, to be said to whoever sent it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Invalid(pub(crate) &'static str);

impl Name {
    pub(crate) fn parse(text: String) -> Result<Self, Invalid> {
        let fits = (1..=100).contains(&text.chars().count()) && is_visible(&text);
        if fits && is_plain(&text) {
            Ok(Self(text))
        } else {
            Err(Invalid(
                "must be 1 to 100 characters, not all invisible, without control characters, line breaks or characters that change the text's direction",
            ))
        }
    }

    /// One that was parsed before it was stored, perhaps when more was allowed.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl EndpointUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        // The parser drops tabs and line ends wherever they are, and goes on: who sends them made a mistake.
        if !is_plain(text) {
            return Err(Invalid("must not have control characters"));
        }
        let url = Url::parse(text).map_err(|_| Invalid("must be an absolute URL with a host"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Invalid("must begin with http:// or https://"));
        }
        // Whoever may see the page would see them.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid("must not have a user name or a password"));
        }
        // What the parser escapes grows, so both forms are measured.
        if text.len() > URL_BYTES || url.as_str().len() > KEPT_URL_BYTES {
            return Err(Invalid("must be at most 2048 bytes"));
        }
        Ok(Self(url.into()))
    }

    /// One that was parsed before it was stored: an answer has up to 500 of them.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// An endpoint as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) account_id: AccountId,
    pub(crate) name: Name,
    pub(crate) url: EndpointUrl,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// The endpoints of an account as they are at a version.
#[derive(Debug)]
pub(crate) struct EndpointList {
    pub(crate) account_id: AccountId,
    /// Of the account, where it is known.
    pub(crate) life: Option<Nonce>,
    pub(crate) version: Version,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// What to add.
#[derive(Debug, Clone)]
pub(crate) struct NewEndpoint {
    pub(crate) name: Name,
    pub(crate) url: EndpointUrl,
}

/// What to change; what is absent stays.
#[derive(Debug, Clone)]
pub(crate) struct EndpointChange {
    pub(crate) name: Option<Name>,
    pub(crate) url: Option<EndpointUrl>,
}

impl Endpoint {
    /// The endpoint after the change, or none if the change changes nothing: then there is nothing to announce.
    pub(crate) fn changed(&self, change: EndpointChange, now: Timestamp) -> Option<Self> {
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let url = change.url.unwrap_or_else(|| self.url.clone());
        if name == self.name && url == self.url {
            return None;
        }
        Some(Self {
            name,
            url,
            updated_at: now,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_in_characters_and_hold_no_control_characters() {
        assert!(Name::parse("é".repeat(100)).is_ok());
        assert!(Name::parse("é".repeat(101)).is_err());
        assert!(Name::parse(String::new()).is_err());
        assert!(Name::parse("  ".to_owned()).is_err());
        assert!(Name::parse("a\nb".to_owned()).is_err());
    }

    #[test]
    fn a_url_is_kept_as_the_parser_writes_it_and_parses_to_itself() {
        for (given, kept) in [
            ("https://example.org", "https://example.org/"),
            ("HTTP://Example.ORG:80/a/../b?q=1#f", "http://example.org/b?q=1#f"),
            (
                "https://bücher.example/ä ö",
                "https://xn--bcher-kva.example/%C3%A4%20%C3%B6",
            ),
            (" https://[::1]:8443/ ", "https://[::1]:8443/"),
        ] {
            let url = EndpointUrl::parse(given).unwrap();
            assert_eq!(url.as_str(), kept, "{given}");
            assert_eq!(EndpointUrl::parse(kept).unwrap(), url);
        }
    }

    #[test]
    fn a_url_that_cannot_be_monitored_is_refused() {
        for given in [
            "",
            "example.org",
            "//example.org/",
            "http://",
            "https://:443/",
            "https://exa mple.org/",
            "https://example.org:99999/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,hello",
            "https://user@example.org/",
            "https://user:secret@example.org/",
            "https://:secret@example.org/",
            "https://example.org/a\nb",
            "https://example.org/\u{0}",
            "\thttps://example.org/",
        ] {
            assert!(EndpointUrl::parse(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn a_url_is_measured_as_it_was_given_and_as_it_is_kept() {
        let path_of = |length: usize| format!("https://example.org/{}", "x".repeat(length - 20));
        assert_eq!(path_of(URL_BYTES).len(), URL_BYTES);
        assert!(EndpointUrl::parse(&path_of(URL_BYTES)).is_ok());
        assert!(EndpointUrl::parse(&path_of(URL_BYTES + 1)).is_err());
        let grows = format!("https://example.org/{}", "ä".repeat(500));
        assert!(grows.len() < URL_BYTES);
        assert!(EndpointUrl::parse(&grows).is_err());
        let shrinks = format!("https://example.org/{}", "a/../".repeat(500));
        assert!(EndpointUrl::parse(&shrinks).is_err());
    }

    #[test]
    fn a_name_can_be_seen_and_leaves_its_line_and_its_direction() {
        for wrong in ["\u{200b}", "a\u{202e}b", "a\u{2028}b"] {
            assert!(Name::parse(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_change_to_the_same_values_is_no_change() {
        let endpoint = Endpoint {
            id: EndpointId(3),
            account_id: AccountId(1),
            name: Name("a".to_owned()),
            url: EndpointUrl("https://example.org/".to_owned()),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let same = EndpointChange {
            name: None,
            url: EndpointUrl::parse("HTTPS://EXAMPLE.ORG").ok(),
        };
        assert!(endpoint.changed(same, Timestamp::now()).is_none());
        let other = EndpointChange {
            name: Name::parse("b".to_owned()).ok(),
            url: None,
        };
        let changed = endpoint.changed(other, Timestamp::MAX).unwrap();
        assert_eq!((changed.name.as_str(), changed.updated_at), ("b", Timestamp::MAX));
    }
}
