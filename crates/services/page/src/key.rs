//! What a page is asked for by: an account and a window of time.
//!
//! The cache's key holds these two and nothing else, because the composition depends on nothing else: both
//! formats are made at once, and whoever asks gets the same page.

use std::fmt;
use std::str::FromStr;

use http_edge::document;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The id of an account, as its source gave it. After a reset of accounts it may name another account, of another life (rule 24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AccountId(u64);

impl AccountId {
    /// The account that an event names.
    pub(crate) const fn of(entity: u64) -> Self {
        Self(entity)
    }

    /// The number itself, by which requests, events and the cache's dependencies name the account.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AccountId {
    type Err = NotAnAccountId;

    /// Takes digits alone, without zeros before them, up to the greatest id a source can give (63 bits): one
    /// page has one name.
    fn from_str(text: &str) -> Result<Self, NotAnAccountId> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = if plain { text.parse::<i64>().ok() } else { None };
        number
            .and_then(|number| u64::try_from(number).ok())
            .map(Self)
            .ok_or(NotAnAccountId)
    }
}

/// The text is not the id of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account's id is a whole number, such as 7")]
pub(crate) struct NotAnAccountId;

/// The span of time whose measurements a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum Window {
    /// The last hour, by the minute.
    Hour,
    /// The last day, by half hours.
    #[default]
    Day,
    /// The last week, by three hours.
    Week,
}

impl Window {
    /// All of them, shortest first: the order of the switch on the page.
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// The name for a reader.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::Day => "24 hours",
            Self::Week => "7 days",
        }
    }
}

/// A window in a query, as the OpenAPI document describes it.
impl PartialSchema for Window {
    fn schema() -> RefOr<Schema> {
        document::one_of(&Self::ALL.map(Self::as_str), Self::default().as_str())
    }
}

impl ToSchema for Window {}

impl FromStr for Window {
    type Err = NotAWindow;

    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        Self::ALL
            .into_iter()
            .find(|window| window.as_str() == text)
            .ok_or(NotAWindow)
    }
}

/// The text names no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("window is one of {}", Window::ALL.map(Window::as_str).join(", "))]
pub(crate) struct NotAWindow;

/// Which page: the key of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    /// Whose page.
    pub(crate) account: AccountId,
    /// Over which span.
    pub(crate) window: Window,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_spelling() {
        assert_eq!("7".parse(), Ok(AccountId(7)));
        for text in [
            "",
            "0",
            "07",
            "+7",
            "-7",
            " 7",
            "7.0",
            "seven",
            "9223372036854775808",
        ] {
            assert_eq!(text.parse::<AccountId>(), Err(NotAnAccountId), "{text:?}");
        }
    }

    #[test]
    fn windows_read_back_what_they_are_called() {
        for window in Window::ALL {
            assert_eq!(window.as_str().parse(), Ok(window));
        }
        assert_eq!("24H".parse::<Window>(), Err(NotAWindow));
    }
}
