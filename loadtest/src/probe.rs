//! How long it takes until a change shows: written, then read until it is there, on an account that nobody else reads.

use std::time::Duration;

use stack::Source;

use crate::client::{Answer, Failure, Write};
use crate::histogram::Durations;
use crate::target::Target;

/// How the search is done.
#[derive(Clone, Copy, Debug)]
pub struct Probing {
    /// How many changes are looked for.
    pub changes: u32,
    /// How long each is looked for.
    pub each_within: Duration,
    /// After how many that were never seen in a row no more are looked for: a TTL of a minute shows none of them.
    pub give_up_after: u32,
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
            give_up_after: 2,
        }
    }
}

/// Changes the target's only account at each source in turn, and looks for each change.
///
/// Fails with what went wrong: what cannot be written or read cannot be timed.
///
/// # Panics
/// If the target has no account.
pub async fn probe(target: &Target, probing: Probing) -> Result<Probed, Failure> {
    let account = &target.accounts[0];
    // Nobody measures a cold page here: what a change to a page that is being read takes to show is the question.
    read(target).await?;
    let mut probed = Probed::default();
    let mut in_vain = 0;
    for source in Source::ALL.into_iter().cycle().take(probing.changes as usize) {
        let write = target.write(source, account).await?;
        probed.probes += 1;
        let visible = look_for(&write, target, probing.each_within, &mut probed.mismatches);
        if let Some(visible) = visible.await? {
            in_vain = 0;
            probed.visible.record(visible);
        } else {
            in_vain += 1;
            probed.never_visible += 1;
        }
        if in_vain == probing.give_up_after {
            break;
        }
    }
    Ok(probed)
}

/// Reads until the change is shown; answers how long that took, or nothing if it took too long.
async fn look_for(
    write: &Write,
    target: &Target,
    within: Duration,
    mismatches: &mut u64,
) -> Result<Option<Duration>, Failure> {
    while write.acked.elapsed() < within {
        let answer = read(target).await?;
        *mismatches += u64::from(target.oracle.judge(&answer)?.mismatch);
        let shown = answer.versions[write.source];
        if shown.is_some_and(|version| version.revision >= write.version.revision) {
            return Ok(Some(answer.ended.duration_since(write.acked)));
        }
    }
    Ok(None)
}

async fn read(target: &Target) -> Result<Answer, Failure> {
    target.client.read(target.accounts[0].id, target.reading).await
}
