//! What readers asked for besides a page: that they are answered within their wait, and are told so (rule 26).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use stack::{Asked, Moment, Preferences, Window};

use super::{Exercised, Rule, Violation, violation};
use crate::history::{Outcome, Replica, Response, Round, Stall, Subject, What};

/// How much longer than its wait an answer may take, beside the time for which its replica answered nothing at all.
///
/// The page itself says that a wait was honoured if its answer was made within 25 ms more. The remaining delay is scheduling on two
/// cores that a dozen processes share: the reader, the page's tasks and the sources. In a run beside others that kept ten processes
/// waiting for a core, the longest was 0.21 s. It is less than half of the 900 ms that a source has to answer, so that a page that
/// does not heed a wait is found.
pub(super) const SLACK: Duration = Duration::from_millis(400);

/// One variant of one page, in one run of a replica.
type Page = (Replica, u64, u64, Window);

/// The pages of which a replica has something to show.
#[derive(Debug, Default)]
pub(super) struct KnownPages {
    /// When its first answer was there that showed something of the page.
    since: HashMap<Page, Moment>,
}

impl KnownPages {
    /// Takes in what a round brought.
    ///
    /// Of the accounts that somebody deleted in it, or tried to, their fragments must not be shown, so nothing may be known. When a
    /// round ends, every deletion was applied: an answer of a later round shows an account that is there again.
    pub(super) fn learn(&mut self, round: &Round) {
        let deleted = deleted_in(round);
        self.since.retain(|page, _| !deleted.contains(&page.2));
        for response in &round.responses {
            if let Some(page) = page(response)
                && response.status == 200
                && !deleted.contains(&response.account)
                && response.shown().next().is_some()
            {
                let since = self.since.entry(page).or_insert(response.received_at);
                *since = (*since).min(response.received_at);
            }
        }
    }

    /// An answer that came after its reader's wait. As long as nothing at all is known of a page, its reader goes on waiting: so an
    /// answer is due in time if it says that it came in time, or if the replica had shown something of the page before.
    ///
    /// The time for which the replica answered nothing at all is not counted.
    pub(super) fn late(
        &self,
        response: &Response,
        stalls: &[Stall],
        exercised: &mut Exercised,
    ) -> Option<Violation> {
        let wait = longest_wait(response.preferences)?;
        if !response.wait_applied && !self.was_known(response) {
            return None;
        }
        exercised.waits += 1;
        let over = overdue(response, wait, stalls);
        let told = format!("{:.3} s after its wait of {wait:?}", over.as_secs_f64());
        (over > SLACK).then(|| violation(Rule::Late, response, [told]))
    }

    fn was_known(&self, response: &Response) -> bool {
        let since = page(response).and_then(|page| self.since.get(&page));
        since.is_some_and(|since| *since < response.sent_at)
    }
}

/// The accounts that somebody deleted, or tried to.
fn deleted_in(round: &Round) -> HashSet<u64> {
    let mutations = round.mutations.iter();
    let deletions = mutations.filter(|mutation| mutation.what == What::Deleted);
    let attempts = round.attempts.iter();
    let attempts = attempts.filter(|attempt| attempt.what == What::Deleted);
    let deleted = deletions.map(|mutation| mutation.account);
    deleted
        .chain(attempts.filter_map(|attempt| attempt.account))
        .collect()
}

/// How long a reader may be kept waiting for requests to the sources, if it says that.
const fn longest_wait(preferences: Preferences) -> Option<Duration> {
    if preferences.only_if_cached {
        Some(Duration::ZERO)
    } else {
        preferences.wait
    }
}

fn page(response: &Response) -> Option<Page> {
    Some((response.replica, response.run?, response.account, response.window))
}

/// By how much an answer took longer than the wait, not counting the time for which its replica answered nothing.
pub fn overdue(response: &Response, wait: Duration, stalls: &[Stall]) -> Duration {
    let stalls = stalls.iter().filter(|stall| stall.replica == response.replica);
    let stalled = stalls.map(|stall| {
        let until = stall.until.min(response.received_at);
        until.since(stall.from.max(response.sent_at))
    });
    let took = response.took().saturating_sub(stalled.sum());
    took.saturating_sub(wait)
}

/// An answer that came within the wait and does not say so: the page had even less time than its reader saw.
pub(super) fn unsaid(response: &Response) -> Option<Violation> {
    let wait = response.preferences.wait?;
    let unsaid =
        response.replica.subject == Subject::Page && !response.wait_applied && response.took() <= wait;
    unsaid.then(|| violation(Rule::WaitUnsaid, response, []))
}

/// An answer for which a source was asked, to a reader who wanted none to be asked.
pub(super) fn not_from_memory(response: &Response) -> Option<Violation> {
    let waited = response.outcome != Outcome::Hit || response.asked != Asked::default();
    (response.preferences.only_if_cached && waited).then(|| violation(Rule::NotFromMemory, response, []))
}
