//! How long it takes until a change shows: written, then read until it is there, on an account that nobody else reads.

use std::time::{Duration, Instant};

use stack::Source;

use crate::client::{Answer, Failure, Write};
use crate::generator::Target;
use crate::histogram::Durations;

/// How the search is done.
#[derive(Clone, Copy, Debug)]
pub struct Probing {
    /// How many changes are looked for.
    pub changes: u32,
    /// How long each is looked for.
    pub each_within: Duration,
    /// After how many that were never seen in a row no more are looked for: a TTL of a minute shows none of them.
    pub hopeless_after: u32,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// From the answer to a change until the end of the first read that showed it, or a later one.
    pub visible: Durations,
    /// Changes that were looked for.
    pub probes: u64,
    /// Of these, those that were not seen in time.
    pub never_visible: u64,
    /// Answers that lacked a change which had been acknowledged before their own date.
    pub mismatches: u64,
}

impl Default for Probing {
    fn default() -> Self {
        Self {
            changes: 20,
            each_within: Duration::from_secs(1),
            hopeless_after: 2,
        }
    }
}

/// Changes the target's only account at each source in turn, and looks for each change.
///
/// Fails with what went wrong: what cannot be written or read cannot be timed.
///
/// # Panics
/// If the target has no account.
pub async fn probe(target: &Target, probing: Probing) -> Result<Probed, String> {
    let account = &target.accounts[0];
    // Nobody measures a cold page here: what a change to a page that is being read takes to show is the question.
    read(target).await?;
    let mut probed = Probed::default();
    let mut in_vain = 0;
    for source in Source::ALL.into_iter().cycle().take(probing.changes as usize) {
        let change = target.next_change(source, account);
        let change = target.client.change(&change).await.map_err(told)?;
        target.oracle.learn(&change).map_err(|other| other.to_string())?;
        probed.probes += 1;
        if let Some(visible) = look_for(&change, target, probing.each_within, &mut probed.mismatches).await? {
            in_vain = 0;
            probed.visible.record(visible);
        } else {
            in_vain += 1;
            probed.never_visible += 1;
        }
        if in_vain == probing.hopeless_after {
            break;
        }
    }
    Ok(probed)
}

/// Reads until the change is shown; answers how long that took, or nothing if it took too long.
async fn look_for(
    change: &Write,
    target: &Target,
    within: Duration,
    mismatches: &mut u64,
) -> Result<Option<Duration>, String> {
    while change.acked.elapsed() < within {
        let answer = read(target).await?;
        let judgement = target.oracle.judge(&answer).map_err(|other| other.to_string())?;
        *mismatches += u64::from(judgement.mismatch);
        let shown = answer.versions[change.source];
        if shown.is_some_and(|version| version.revision >= change.version.revision) {
            return Ok(Some(since(change.acked, &answer)));
        }
    }
    Ok(None)
}

async fn read(target: &Target) -> Result<Answer, String> {
    let read = target.client.read(target.accounts[0].id, target.strategy);
    read.await.map_err(told)
}

fn since(at: Instant, answer: &Answer) -> Duration {
    answer.ended.duration_since(at)
}

fn told(failure: Failure) -> String {
    failure.to_string()
}
