//! What this service announces. Subjects are `events.accounts.<account id>`.

use event_bus::Nonce;
use event_bus::outbox::Announcement;
use serde_json::json;
use serde_json::value::to_raw_value;
use source_service::event_type;

use crate::account::{Account, AccountId};
use crate::answer::{AccountAnswer, FORM};

/// This source's name on the bus.
pub(crate) const SOURCE: &str = "accounts";
/// The type of its watermarks.
pub(crate) const WATERMARK: &str = event_type!("accounts.watermark");
/// The type of its publishers' claims.
pub(crate) const CLAIM: &str = event_type!("accounts.claim");

const CREATED: &str = event_type!("account.created");
const UPDATED: &str = event_type!("account.updated");
const DELETED: &str = event_type!("account.deleted");

pub(crate) fn created(account: &Account) -> Announcement<'static> {
    with_fragment(CREATED, account)
}

pub(crate) fn updated(account: &Account) -> Announcement<'static> {
    with_fragment(UPDATED, account)
}

pub(crate) fn deleted(id: AccountId, life: Nonce, revision: u64, nonce: Nonce) -> Announcement<'static> {
    Announcement {
        kind: DELETED,
        entity: id.0,
        revision,
        nonce,
        data: json!({ "account_id": id.0, "life": life.to_string() }),
        fragment: None,
    }
}

/// An account is small: its events carry it whole.
fn with_fragment(kind: &'static str, account: &Account) -> Announcement<'static> {
    Announcement {
        kind,
        entity: account.id.0,
        revision: account.revision,
        nonce: account.nonce,
        data: json!({ "account_id": account.id.0, "life": account.life.to_string(), "form": FORM }),
        fragment: Some(to_raw_value(&AccountAnswer::from(account)).expect("texts and numbers make JSON")),
    }
}
