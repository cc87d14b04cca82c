//! What each reader asks for: how long it waits, and how old its page may be (rules 26, 27).

use crate::Specification;
use crate::rule::Rule;
use crate::state::{Load, State};

impl Specification {
    /// Rule 26: a reader gives up. What has arrived is merged with what is known, and kept. The reader gets it: unmarked if
    /// its source was asked after the reader arrived, or if it is fresh; else marked, unless a deletion was applied. While
    /// nothing is known, it goes on waiting. The load goes on: a page has other fragments, which are not modelled.
    pub(crate) fn give_up(&self, state: &mut State, load: usize, reader: usize) -> Option<()> {
        state.spend(|left| &mut left.give_ups)?;
        let reader = state.replica.loads[load].waiting.remove(reader);
        let Load { account, number, answer, .. } = state.replica.loads[load];
        let index = usize::from(account);
        let arrived = answer.and_then(|answer| self.arrived(state, account, number, answer));
        let arrived = arrived.map(|(_, merged)| merged);
        let known = arrived.or(state.replica.cache[index])?;
        if self.keeps(Rule::EarlyAnswerIsKept) {
            state.replica.cache[index] = Some(known);
        }
        let replica = &state.replica;
        let asked_since = known.start.is_some_and(|(number, _)| number >= reader.next);
        let watermark = replica.live.zip(replica.watermark);
        let fresh = self.freshness(replica, account, watermark, known);
        let unmarked = asked_since || fresh.is_some() || !self.keeps(Rule::EarlyUnmarksAskedSince);
        let deleted = replica.deletions[index] > known.position && self.keeps(Rule::EarlyHeedsDeletions);
        if !unmarked && deleted {
            return Some(());
        }
        let date = known.complete.max(fresh.unwrap_or(0));
        Self::show(state, account, known, date, reader.deletions, unmarked);
        let asked_since = asked_since || !self.keeps(Rule::EarlyJudgesKept);
        self.show_by_token(state, account, known, reader.now, asked_since);
        if unmarked {
            Self::reflects_changes(state, account, known, reader.changes);
        }
        Some(())
    }

    /// Rule 27: a reader accepts an age, and perhaps knows of all writes. What is kept is shown to it without a mark, fresh or not,
    /// if it is of the live claim, nothing of it was deleted, and it reflects what the reader knows. It is then loaded.
    /// How old it is only limits this further, and is not modelled.
    pub(crate) fn read_aged(&self, state: &mut State, account: u8, knows: bool) -> Option<()> {
        state.spend(|left| &mut left.ages)?;
        state.spend(|left| &mut left.reads)?;
        let index = usize::from(account);
        let replica = &state.replica;
        let kept = replica.cache[index]?;
        let of_live_claim = kept.claim.is_some() && kept.claim == replica.live;
        let deleted = replica.deletions[index] > kept.position;
        let tokens = || state.tokens.iter().filter(|token| token.account == account);
        let asks_for_more = knows && tokens().any(|token| !self.reflects(kept, *token, false));
        if !of_live_claim && self.keeps(Rule::AgeWithinClaim)
            || deleted && self.keeps(Rule::AgeHeedsDeletions)
            || asks_for_more && self.keeps(Rule::AgeHeedsTokens)
        {
            return None;
        }
        let fresh = self.freshness(replica, account, replica.live.zip(replica.watermark), kept);
        let date = kept.complete.max(fresh.unwrap_or(0));
        Self::show(state, account, kept, date, state.deleted, true);
        Self::is_held_by_live_publisher(state, account, kept);
        if knows {
            Self::reflects_writes(state, account, kept);
        }
        if state.replica.loads.iter().all(|load| load.account != account) {
            _ = Self::begin(state, account, state.deleted);
        }
        Some(())
    }
}
