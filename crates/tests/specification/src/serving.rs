//! Loading and serving: loads, merges, checks, dates (rules 9–14, P1, P5).

use crate::Specification;
use crate::rule::Rule;
use crate::state::{
    Claim, Database, Fragment, Load, Moment, Mutations, Process, Reader, Replica, State, Token, Waiting,
};

impl Replica {
    /// Rule 9: whether no event of the account was applied, and nothing lost, since this position.
    fn passes(&self, spec: &Specification, account: u8, position: u8) -> bool {
        let fence = self.fences[usize::from(account)];
        fence <= position && (self.floor <= position || !spec.keeps(Rule::FloorChecked))
    }
}

/// Which of two was asked for later (rule 9).
fn recency(fragment: Fragment) -> (u8, Option<(u8, Moment)>) {
    (fragment.position, fragment.start)
}

impl Specification {
    /// Rules 9 and 11: a load notes position and date before its request goes out.
    pub(crate) fn begin(state: &mut State, account: u8, applied: Mutations) -> Option<()> {
        state.spend(|left| &mut left.loads)?;
        let number = state.fresh[2];
        state.fresh[2] += 1;
        let Replica { position, ref cache, .. } = state.replica;
        let asked = cache[usize::from(account)];
        state.replica.loads.push(Load {
            number,
            account,
            position,
            start: state.now,
            asked,
            answer: None,
            applied,
            waiting: Vec::new(),
        });
        Some(())
    }

    /// Rules 9, P1, P5: the address answers from its database as it is now, stating its claim while it holds one. "Not
    /// modified" shows what was asked about.
    pub(crate) fn answer(&self, state: &mut State, load: usize) {
        let Process { database, .. } = state.processes[state.address];
        let Load { number, account, position, start, asked, .. } = state.replica.loads[load];
        let Database { incarnation, ref accounts, claims, .. } = state.databases[database];
        let mut found = accounts[usize::from(account)];
        found.version.incarnation = incarnation;
        let asked = asked.filter(|asked| asked.state.version == found.version);
        let stored = || u8::try_from(claims.checked_ilog2()?).ok();
        let stated = self.stated(state, state.address);
        let claim = if self.keeps(Rule::OnlyHolderStatesClaim) { stated } else { stored() };
        let complete = asked.map_or(start, |asked| asked.complete.max(start));
        let start = Some((number, start));
        let found = asked.map_or(found, |asked| asked.state);
        let answer = Fragment { state: found, claim, position, start, complete, finished: 0, database };
        state.replica.loads[load].answer = Some(answer);
    }

    /// Rules 9 and 11: an answer is merged with what is known by now, kept, and shown to who waited for it, dated by
    /// its start alone. Of two answers that crossed and do not merge, neither is known to be newer: ask once more.
    pub(crate) fn finish(&self, state: &mut State, load: usize) -> Option<()> {
        let Load { account, number, start, applied, answer, .. } = state.replica.loads.remove(load);
        let known = state.replica.cache[usize::from(account)];
        let Some((new, merged)) = self.arrived(state, account, number, answer?) else {
            return Self::begin(state, account, applied);
        };
        state.replica.cache[usize::from(account)] = Some(merged);
        let date = merged.start.map_or(0, |(_, date)| date);
        Self::show(state, account, merged, date, applied, true);
        let known = known.filter(|_| self.keeps(Rule::LoadMerges));
        let lost = merged.state != new.state && known.is_some_and(|known| !self.one_history(known, new));
        let asked_since = !lost || !self.keeps(Rule::LostAnswerShowsKept);
        self.show_by_token(state, account, merged, start, asked_since);
        Some(())
    }

    /// Rule 9: an answer that has arrived, and its merge with what is known; none if the two crossed.
    pub(crate) fn arrived(
        &self,
        state: &State,
        account: u8,
        number: u8,
        answer: Fragment,
    ) -> Option<(Fragment, Fragment)> {
        let mut new = Fragment { finished: state.fresh[2], ..answer };
        if !self.keeps(Rule::PositionBeforeRequest) {
            new.position = state.replica.position;
        }
        let known = state.replica.cache[usize::from(account)].filter(|_| self.keeps(Rule::LoadMerges));
        let crossed = known.is_some_and(|known| {
            number < known.finished && !self.one_history(known, new) && recency(new) > recency(known)
        });
        if crossed && self.keeps(Rule::CrossedAnswersAskAgain) {
            return None;
        }
        Some((new, known.map_or(new, |known| self.merge(known, new))))
    }

    /// Rule 13: whether a fragment reflects a token: by revision within one history. Of what was kept, that takes the
    /// claim of the token; what was asked for since its reader arrived comes from the token's history or a later one.
    pub(crate) fn reflects(&self, fragment: Fragment, token: Token, asked_since: bool) -> bool {
        let (shown, wanted) = (fragment.state.version, token.version);
        let one_claim =
            fragment.claim == token.claim && token.claim.is_some() || !self.keeps(Rule::TokenWithinClaim);
        let later = shown.revision > wanted.revision && (asked_since || one_claim);
        shown.incarnation == wanted.incarnation && (shown == wanted || later)
    }

    /// Rule 9, P5: whether two fragments show states of one history, so that a higher revision reflects the lower.
    fn one_history(&self, known: Fragment, new: Fragment) -> bool {
        let (before, after) = (known.state.version, new.state.version);
        let one_claim =
            known.claim == new.claim && (known.claim.is_some() || !self.keeps(Rule::NoClaimMergesWithNone));
        before.incarnation == after.incarnation
            && (one_claim || !self.keeps(Rule::MergeWithinClaim))
            && (before.revision != after.revision || before.nonce == after.nonce)
    }

    /// Rule 9, P5: two fragments of one history merge field by field; else the one asked for later wins whole.
    pub(crate) fn merge(&self, known: Fragment, new: Fragment) -> Fragment {
        if !self.one_history(known, new) {
            return if recency(new) > recency(known) { new } else { known };
        }
        let newer = new.state.version.revision >= known.state.version.revision;
        Fragment {
            position: known.position.max(new.position),
            start: known.start.max(new.start),
            complete: known.complete.max(new.complete),
            finished: known.finished.max(new.finished),
            ..if newer { new } else { known }
        }
    }

    /// Rules 8, 9, 12, P5: the date up to which a kept fragment is fresh: by the watermark of its own claim, or for a
    /// moment by its own request; none if it is not.
    pub(crate) fn freshness(
        &self,
        replica: &Replica,
        account: u8,
        watermark: Option<(Claim, Moment)>,
        f: Fragment,
    ) -> Option<Moment> {
        if !replica.passes(self, account, f.position) {
            return None;
        }
        let vouches = |claim| f.claim == Some(claim) || !self.keeps(Rule::VouchesForItsClaim);
        let watermark = watermark.filter(|(claim, _)| vouches(*claim)).map(|(_, date)| date);
        let own = f.start.map(|_| f.complete);
        watermark.max(own)
    }

    /// Rule 10: a reader loads the watermark first, and checks the fragment second.
    pub(crate) fn arrive(&self, state: &mut State, account: u8) -> Option<()> {
        state.spend(|left| &mut left.reads)?;
        let replica = &mut state.replica;
        let watermark = replica.live.zip(replica.watermark);
        let kept_fresh = replica.cache[usize::from(account)];
        let kept_fresh = kept_fresh.filter(|f| self.freshness(replica, account, watermark, *f).is_some());
        replica.reader = Some(Reader { account, watermark, kept_fresh, applied: state.deleted });
        Some(())
    }

    /// Rules 8, 10 and 11: what is fresh, by a source that is trusted, is shown, dated; else the reader joins a load that began after all that was
    /// applied of the account, or begins one.
    pub(crate) fn look_up(&self, state: &mut State, trusts: bool) -> Option<()> {
        let Reader { account, mut watermark, kept_fresh, applied } = state.replica.reader.take()?;
        let replica = &state.replica;
        let mut kept = replica.cache[usize::from(account)];
        if !self.keeps(Rule::WatermarkBeforeCheck) {
            (watermark, kept) = (replica.live.zip(replica.watermark), kept_fresh);
        }
        let date = kept.filter(|_| trusts).and_then(|f| self.freshness(replica, account, watermark, f));
        if let Some((fragment, date)) = kept.zip(date) {
            let complete = fragment.complete.max(date);
            state.replica.cache[usize::from(account)] = Some(Fragment { complete, ..fragment });
            Self::show(state, account, fragment, date, applied, true);
            let now = state.now;
            self.show_by_token(state, account, fragment, now, false);
            return Some(());
        }
        let joins =
            |l: &Load| replica.passes(self, account, l.position) || !self.keeps(Rule::JoinsNoEarlierLoad);
        let next = state.fresh[2];
        let load = replica.loads.iter().position(|l| l.account == account && joins(l));
        match load {
            Some(load) => state.replica.loads[load].applied |= applied,
            None => Self::begin(state, account, applied)?,
        }
        if self.case.budget.give_ups > 0 {
            let waiting = Waiting { next, now: state.now, deletions: applied, changes: state.changes };
            let load = load.unwrap_or(state.replica.loads.len() - 1);
            state.replica.loads[load].waiting.push(waiting);
        }
        Some(())
    }

    /// Rule 12: a source that does not answer: the last known fragment is shown, marked, unless a deletion was applied.
    pub(crate) fn time_out(state: &mut State, load: usize) -> Option<()> {
        state.spend(|left| &mut left.timeouts)?;
        let Load { account, applied, .. } = state.replica.loads.remove(load);
        let deleted = state.replica.deletions[usize::from(account)];
        let known = state.replica.cache[usize::from(account)].filter(|known| deleted <= known.position);
        if let Some(known) = known {
            Self::show(state, account, known, known.complete, applied, false);
        }
        Some(())
    }
}
