//! What this service announces, on `events.endpoints.<account id>`, and what it consumes.

use event_bus::Version;
use event_bus::outbox::Announcement;
use serde_json::json;
use serde_json::value::to_raw_value;
use source_service::{EntityEventTypes, event_type};

use crate::answer::{EndpointListAnswer, FORM};
use crate::endpoint::{AccountId, EndpointId, EndpointList};

/// This source's name on the bus.
pub(crate) const SOURCE: &str = "endpoints";
/// The type of its watermarks.
pub(crate) const WATERMARK: &str = event_type!("endpoints.watermark");
/// The type of its publishers' claims.
pub(crate) const CLAIM: &str = event_type!("endpoints.claim");

/// The source whose events this service consumes.
pub(crate) const ACCOUNTS: &str = "accounts";
/// The types of its events.
pub(crate) const ACCOUNT: EntityEventTypes = EntityEventTypes {
    created: event_type!("account.created"),
    updated: event_type!("account.updated"),
    deleted: event_type!("account.deleted"),
};

const ADDED: &str = event_type!("endpoint.added");
const CHANGED: &str = event_type!("endpoint.changed");
const REMOVED: &str = event_type!("endpoint.removed");
const DELETED: &str = event_type!("endpoints.deleted");

pub(crate) fn added(id: EndpointId, list: &EndpointList) -> Announcement<'static> {
    with_fragment(ADDED, id, list)
}

pub(crate) fn changed(id: EndpointId, list: &EndpointList) -> Announcement<'static> {
    with_fragment(CHANGED, id, list)
}

pub(crate) fn removed(id: EndpointId, list: &EndpointList) -> Announcement<'static> {
    with_fragment(REMOVED, id, list)
}

/// The account is gone, and all its endpoints with it.
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

/// The fragment is the whole list, because that is what `GET` answers. The outbox leaves out one that is too large.
fn with_fragment(kind: &'static str, id: EndpointId, list: &EndpointList) -> Announcement<'static> {
    let mut data = json!({ "account_id": list.account_id.0, "endpoint_id": id.0, "form": FORM });
    if let Some(life) = list.life {
        data["account_life"] = life.to_string().into();
    }
    Announcement {
        kind,
        entity: list.account_id.0,
        revision: list.version.revision,
        nonce: list.version.nonce,
        data,
        fragment: Some(to_raw_value(&EndpointListAnswer::from(list)).expect("texts and numbers make JSON")),
    }
}
