//! The strategies, next to each other: what each of them decides. Everything else is common to all.
//!
//! They are the steps that a page service usually takes, in this order, each to mend what the one before it
//! lacks. Only what can differ is here: when a known fragment may be shown, what is asked of a source, and what an event
//! does besides raising a fence.

mod invalidate;
mod none;
mod prepopulate;
mod ttl;
mod versioned;

use std::time::Duration;

use crate::feed::ids::{FenceIndex, Position};
use crate::feed::state::FeedState;
use crate::fragment::FragmentMeta;
use crate::freshness::{Freshness, FreshnessCheck, StaleReason};

/// How a cache keeps its pages fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Compose every page for its reader: the problem.
    None,
    /// Show a page until it is this old: common practice. Fast, and wrong in between, without a mark.
    Ttl(Duration),
    /// Ask every source, at every read, whether its fragment still is the answer: correct, and never cheaper than the sources.
    Versioned,
    /// Show a page while no event came that touched it.
    #[default]
    Invalidate,
    /// The same, and compose the page anew when an event came, before anybody asks.
    Prepopulate,
}

/// What is done with a resident page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the answer.
    Show,
    /// It is the answer, and is loaded anew in the background (rule 27).
    ShowAndRenew,
    /// It is no answer: the reader waits for a load.
    Load,
}

/// What a strategy decides.
pub(crate) trait Policy: Send + Sync {
    /// Whether a known fragment may be shown without a request, and up to when it is complete.
    fn freshness(&self, check: &FreshnessCheck<'_>, fence: FenceIndex, meta: FragmentMeta) -> Freshness;

    /// What is done with a resident page: it may be stale, and yet not older than its reader accepts.
    fn verdict(&self, stale: Option<StaleReason>, young_enough: bool) -> Verdict {
        match stale {
            None => Verdict::Show,
            Some(_) if young_enough => Verdict::ShowAndRenew,
            Some(_) => Verdict::Load,
        }
    }

    /// Whether a page is kept for those who read it later.
    fn keeps_pages(&self) -> bool {
        true
    }

    /// Whether the source of a known fragment gets a conditional request; if not, it is asked for a full answer.
    fn asks_about_known(&self) -> bool {
        true
    }

    /// Whether a reader who arrives now may have the answer to a request that went out at this position.
    fn may_join(&self, feed: &FeedState, fence: FenceIndex, position: Position) -> bool;

    /// Whether an event makes its pages be composed anew.
    fn refreshes(&self) -> bool {
        false
    }
}

impl Strategy {
    pub(crate) fn policy(self) -> Box<dyn Policy> {
        match self {
            Self::None => Box::new(none::ComposeAlways),
            Self::Ttl(ttl) => Box::new(ttl::ShowUntilOld { ttl }),
            Self::Versioned => Box::new(versioned::AskAlways),
            Self::Invalidate => Box::new(invalidate::ShowWhileFresh),
            Self::Prepopulate => Box::new(prepopulate::RefreshOnEvent),
        }
    }
}
