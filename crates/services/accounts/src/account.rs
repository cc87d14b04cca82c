//! What an account is, and which values it cannot have.

use event_bus::Nonce;
use http_edge::text::{is_plain, is_visible};
use jiff::Timestamp;

/// The id of an account. A database gives out each id once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountId(pub(crate) i64);

/// 1 to 100 characters, not all of them invisible, none a control character of lines or directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// At most 280 characters, none of them a control character of lines or directions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Description(String);

/// What is wrong with a value, in words for the client.
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

impl Description {
    pub(crate) fn parse(text: String) -> Result<Self, Invalid> {
        let fits = text.chars().count() <= 280;
        if fits && is_plain(&text) {
            Ok(Self(text))
        } else {
            Err(Invalid(
                "must be at most 280 characters, without control characters, line breaks or characters that change the text's direction",
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

/// An account as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) revision: u64,
    /// The random number of the change that made this revision.
    pub(crate) nonce: Nonce,
    /// The nonce of the creation: tells this account from a later one with the same id, after a reset (rule 24).
    pub(crate) life: Nonce,
    pub(crate) name: Name,
    pub(crate) description: Description,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What to create.
#[derive(Debug, Clone)]
pub(crate) struct NewAccount {
    pub(crate) name: Name,
    pub(crate) description: Description,
}

/// What to change; a field that is `None` stays as it is.
#[derive(Debug, Clone)]
pub(crate) struct AccountChange {
    pub(crate) name: Option<Name>,
    pub(crate) description: Option<Description>,
}

impl Account {
    /// The account after the change; `None` if no field changes: then there is nothing to announce.
    pub(crate) fn changed(&self, change: AccountChange, nonce: Nonce, now: Timestamp) -> Option<Self> {
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let description = change.description.unwrap_or_else(|| self.description.clone());
        if name == self.name && description == self.description {
            return None;
        }
        Some(Self {
            revision: self.revision + 1,
            nonce,
            name,
            description,
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
        assert!(Description::parse("x".repeat(280)).is_ok());
        assert!(Description::parse("x".repeat(281)).is_err());
    }

    #[test]
    fn a_name_can_be_seen_and_leaves_its_line_and_its_direction() {
        for wrong in ["\u{200b}", "a\u{202e}b", "a\u{2028}b"] {
            assert!(Name::parse(wrong.to_owned()).is_err(), "{wrong:?}");
        }
        assert!(Description::parse("a\u{202e}b".to_owned()).is_err());
    }

    #[test]
    fn a_change_to_the_same_values_is_no_change() {
        let account = Account {
            id: AccountId(1),
            revision: 4,
            nonce: Nonce(9),
            life: Nonce(5),
            name: Name("a".to_owned()),
            description: Description::default(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let same = AccountChange {
            name: Some(Name("a".to_owned())),
            description: None,
        };
        assert!(account.changed(same, Nonce(10), Timestamp::now()).is_none());
        let other = AccountChange {
            name: Some(Name("b".to_owned())),
            description: None,
        };
        let changed = account.changed(other, Nonce(10), Timestamp::now()).unwrap();
        assert_eq!(
            (changed.revision, changed.nonce, changed.life),
            (5, Nonce(10), Nonce(5))
        );
    }
}
