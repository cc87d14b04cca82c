//! The JSON of an account: what `GET` answers, and what its events carry.

use event_bus::Version;
use serde::Serialize;
use utoipa::ToSchema;

use crate::account::Account;

/// The version of the layout of the answers in this file (rule 25). It is part of every `ETag`, so no cache takes an answer of an
/// older layout for the current one. Raise it with every change of what `GET` answers.
pub const FORM: u32 = 1;

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountAnswer {
    /// Used once, unless the database is reset: see `life`.
    #[schema(example = 1)]
    id: i64,
    /// Counts the changes of this account, from 1.
    #[schema(example = 3)]
    revision: u64,
    /// A random number from the account's creation. After a reset of this service another account may get the same id, but
    /// another `life`. 16 hexadecimal digits.
    #[schema(example = "9f86d081884c7d65", pattern = "^[0-9a-f]{16}$")]
    life: String,
    #[schema(example = "d33bs/upptime-curc", min_length = 1, max_length = 100)]
    name: String,
    #[schema(example = "Uptime of a research computing centre", max_length = 280)]
    description: String,
    /// RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Account> for AccountAnswer {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.0,
            revision: account.revision,
            life: account.life.to_string(),
            name: account.name.as_str().to_owned(),
            description: account.description.as_str().to_owned(),
            created_at: format!("{:.3}", account.created_at),
            updated_at: format!("{:.3}", account.updated_at),
        }
    }
}

/// Some accounts of the list, by id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountList {
    pub(crate) accounts: Vec<AccountAnswer>,
    /// The `after` of the next request; null at the end.
    pub(crate) next: Option<i64>,
}

/// The `ETag` of an answer: which state it shows, and in which layout.
pub(crate) fn etag(version: Version) -> String {
    format!("\"{version}-v{FORM}\"")
}
