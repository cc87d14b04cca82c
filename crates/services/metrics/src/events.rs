//! What this service announces, on `events.metrics.<account id>`, and what it consumes.
//!
//! No event carries a fragment: a summary costs much to make, and there is one per window. Its readers ask when they need it.

use event_bus::Version;
use event_bus::outbox::Announcement;
use serde_json::json;
use source_service::{EntityEventTypes, event_type};

use crate::sample::AccountId;

/// This source's name on the bus.
pub(crate) const SOURCE: &str = "metrics";
/// The type of its watermarks.
pub(crate) const WATERMARK: &str = event_type!("metrics.watermark");
/// The type of its publishers' claims.
pub(crate) const CLAIM: &str = event_type!("metrics.claim");

/// The source whose events this service consumes.
pub(crate) const ACCOUNTS: &str = "accounts";
/// The types of its events.
pub(crate) const ACCOUNT: EntityEventTypes = EntityEventTypes {
    created: event_type!("account.created"),
    updated: event_type!("account.updated"),
    deleted: event_type!("account.deleted"),
};

const RECORDED: &str = event_type!("samples.recorded");
const DELETED: &str = event_type!("metrics.deleted");

/// `samples` of them are new or different.
pub(crate) fn recorded(account: AccountId, version: Version, samples: usize) -> Announcement<'static> {
    Announcement {
        kind: RECORDED,
        entity: account.0,
        revision: version.revision,
        nonce: version.nonce,
        data: json!({ "account_id": account.0, "samples": samples }),
        fragment: None,
    }
}

/// The account is gone, and its samples with it.
pub(crate) fn deleted(account: AccountId, version: Version) -> Announcement<'static> {
    Announcement {
        kind: DELETED,
        entity: account.0,
        revision: version.revision,
        nonce: version.nonce,
        data: json!({ "account_id": account.0 }),
        fragment: None,
    }
}
