//! How strategies look: a class each, which the style gives a colour and a dash, so that they differ in print as well.

use maud::{Markup, html};

/// The class of a strategy; a name that is not known looks like no other.
pub(super) fn class(strategy: &str) -> &'static str {
    match strategy {
        "none" => "s-none",
        "ttl" => "s-ttl",
        "versioned" => "s-versioned",
        "invalidate" => "s-invalidate",
        "prepopulate" => "s-prepopulate",
        _ => "s-other",
    }
}

/// A piece of the strategy's line, to stand before its name.
pub(super) fn sample(strategy: &str) -> Markup {
    html! {
        svg.sample.(class(strategy)) viewBox="0 0 44 10" aria-hidden="true" { path.line d="M2 5H42" {} }
    }
}

/// What a strategy does, in one sentence.
pub(super) fn does(strategy: &str, ttl_seconds: u64) -> Option<String> {
    let does = match strategy {
        "none" => "composes every page afresh, by a request to each source",
        "ttl" => {
            return Some(format!(
                "shows what it composed for {ttl_seconds} s, whatever changes meanwhile"
            ));
        }
        "versioned" => "asks every source at every read whether anything changed, and keeps what did not",
        "invalidate" => "shows what it composed until an event says that it changed",
        "prepopulate" => {
            "does the same, and composes a changed page anew before somebody asks, if it was read before"
        }
        _ => return None,
    };
    Some(does.to_owned())
}
