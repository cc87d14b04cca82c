//! The page as JSON: the sources' own answers, byte for byte, and what is wrong with them.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{ShownFragment, ShownFragments};
use crate::source::Source;

/// One account's page.
#[derive(Serialize, ToSchema)]
pub(crate) struct PageJson<'a> {
    /// What accounts answers to `GET /accounts/{id}`; null while it is missing.
    #[schema(value_type = Option<Object>)]
    account: Option<&'a RawValue>,
    /// What endpoints answers to `GET /accounts/{id}/endpoints`; null while it is missing.
    #[schema(value_type = Option<Object>)]
    endpoints: Option<&'a RawValue>,
    /// What metrics answers to `GET /accounts/{id}/metrics`; null while it is missing.
    #[schema(value_type = Option<Object>)]
    metrics: Option<&'a RawValue>,
    /// The fragments that are not there, and why.
    missing: Vec<TroubleJson<'a>>,
    /// The fragments that are the last ones known, and why there is nothing newer.
    stale: Vec<TroubleJson<'a>>,
}

/// Why a fragment is not as it should be.
#[derive(Serialize, ToSchema)]
pub(crate) struct TroubleJson<'a> {
    /// `accounts`, `endpoints` or `metrics`.
    source: &'static str,
    /// What it did instead of answering.
    reason: &'a str,
}

/// Renders the page.
pub(super) fn render(fragments: &ShownFragments<'_>) -> Vec<u8> {
    let (mut missing, mut stale) = (Vec::new(), Vec::new());
    for (source, shown) in Source::ALL.into_iter().zip(fragments) {
        let Some(reason) = shown.trouble else { continue };
        let which = if shown.fragment.is_some() {
            &mut stale
        } else {
            &mut missing
        };
        which.push(TroubleJson {
            source: source.name(),
            reason,
        });
    }
    let [account, endpoints, metrics] = fragments.map(raw);
    let page = PageJson {
        account,
        endpoints,
        metrics,
        missing,
        stale,
    };
    serde_json::to_vec(&page).expect("strings and raw JSON always serialize")
}

/// The source's own bytes, as the JSON they were found to be when the fragment was read.
fn raw(shown: ShownFragment<'_>) -> Option<&RawValue> {
    serde_json::from_slice(&shown.fragment?.json).ok()
}
