//! How strategies look: a class each, which the style gives a colour and a dash, so that they differ in print as well.

use maud::{Markup, html};

use crate::strategy::StrategyInfo;

/// The class of a strategy; a name that is not known looks like no other.
pub(super) fn class(strategy: &str) -> String {
    let name = StrategyInfo::named(strategy).map_or("other", |info| info.name);
    format!("s-{name}")
}

/// A piece of the strategy's line, to stand before its name.
pub(super) fn sample(strategy: &str) -> Markup {
    html! {
        svg.sample.(class(strategy)) viewBox="0 0 44 10" aria-hidden="true" { path.line d="M2 5H42" {} }
    }
}

/// What a strategy does, in one sentence.
pub(super) fn does(strategy: &str, ttl_seconds: u64) -> Option<String> {
    let info = StrategyInfo::named(strategy)?;
    Some(info.does.replace("{ttl}", &ttl_seconds.to_string()))
}
