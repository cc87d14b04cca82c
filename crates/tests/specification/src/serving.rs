//! Filling and serving: loads, merges, proofs, dates (rules 9–14, P1, P5).

use crate::Specification;
use crate::rule::Rule;
use crate::state::{
    Answer, Claim, Fragment, Load, Moment, Mutations, Process, Reader, Replica, State, Token,
};

impl Replica {
    /// Rule 9: whether nothing was heard of the account, and nothing lost, since this position.
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
    fn begin(&self, state: &mut State, account: u8, heard: Mutations) -> Option<()> {
        state.spend(|left| &mut left.loads)?;
        let number = state.fresh[2];
        state.fresh[2] += 1;
        let Replica {
            position, ref cache, ..
        } = state.replica;
        let asked = cache[usize::from(account)];
        state.replica.loads.push(Load {
            number,
            account,
            position,
            start: state.now,
            asked,
            answer: None,
            heard,
        });
        Some(())
    }

    /// Rules 9, 15, P1, P5: the address answers from its database as it is now, stating its claim while it holds one.
    pub(crate) fn answer(&self, old: &State, load: usize) -> Option<State> {
        let Load {
            account,
            asked,
            answer: None,
            ..
        } = *old.replica.loads.get(load)?
        else {
            return None;
        };
        let Process {
            up: true,
            database,
            states,
            ..
        } = old.processes[old.address]
        else {
            return None;
        };
        let mut found = old.databases[database].accounts[usize::from(account)];
        found.version.incarnation = old.databases[database].incarnation;
        let not_modified = asked.is_some_and(|asked| asked.state.version == found.version);
        let stored = || u8::try_from(old.databases[database].claims.checked_ilog2()?).ok();
        let claim = if self.keeps(Rule::OnlyHolderStatesClaim) {
            states
        } else {
            stored()
        };
        let mut state = old.clone();
        state.replica.loads[load].answer = Some(Answer {
            state: found,
            not_modified,
            claim,
            database,
        });
        Some(state)
    }

    /// Rules 9 and 11: an answer is merged with what is known by now, kept, and shown to who waited for it, dated by
    /// its start alone.
    pub(crate) fn land(&self, old: &State, load: usize) -> Option<State> {
        let Load {
            account,
            position,
            start,
            number,
            asked,
            heard,
            answer,
        } = *old.replica.loads.get(load)?;
        let answer = answer?;
        let position = if self.keeps(Rule::PositionBeforeRequest) {
            position
        } else {
            old.replica.position
        };
        let known = old.replica.cache[usize::from(account)];
        let mut state = old.clone();
        state.replica.loads.remove(load);
        let asked = if self.keeps(Rule::ConfirmsWhatWasAsked) {
            asked
        } else {
            known
        };
        let (content, complete) = match asked {
            Some(asked) if answer.not_modified => (asked.state, asked.complete.max(start)),
            _ => (answer.state, start),
        };
        let Answer { claim, database, .. } = answer;
        let new = Fragment {
            state: content,
            claim,
            position,
            start: Some((number, start)),
            complete,
            landed: old.fresh[2],
            database,
        };
        let merged = match known {
            Some(known) if self.keeps(Rule::LandingMerges) => {
                let crossed = number < known.landed && self.keeps(Rule::CrossedAnswersAskAgain);
                if crossed && !self.one_history(known, new) && recency(new) > recency(known) {
                    self.begin(&mut state, account, heard)?;
                    return Some(state);
                }
                self.merge(known, new)
            }
            _ => new,
        };
        state.replica.cache[usize::from(account)] = Some(merged);
        let date = merged.start.map_or(0, |(_, date)| date);
        self.show(&mut state, account, merged, date, heard, true);
        self.show_by_token(&mut state, account, merged, Some(start));
        Some(state)
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

    /// Rule 9, P5: two fragments of one history merge by parts; else the one asked for later wins whole.
    pub(crate) fn merge(&self, known: Fragment, new: Fragment) -> Fragment {
        if !self.one_history(known, new) {
            return if recency(new) > recency(known) { new } else { known };
        }
        let newer = new.state.version.revision >= known.state.version.revision;
        Fragment {
            position: known.position.max(new.position),
            start: known.start.max(new.start),
            complete: known.complete.max(new.complete),
            landed: known.landed.max(new.landed),
            ..if newer { new } else { known }
        }
    }

    /// Rules 8, 9, 12, P5: the date up to which a kept fragment is proven: by the watermark of its own claim, or for a
    /// moment by its own request; none if it is not.
    fn proven(
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
        let watermark = watermark
            .filter(|(claim, _)| vouches(*claim))
            .map(|(_, date)| date);
        let own = f.start.map(|_| f.complete);
        watermark.max(own)
    }

    /// Rule 10: a reader loads the watermark first, and looks at the proof second.
    pub(crate) fn arrive(&self, old: &State, account: u8) -> Option<State> {
        if old.replica.reader.is_some() {
            return None;
        }
        let mut state = old.clone();
        state.spend(|left| &mut left.reads)?;
        let watermark = old.replica.live.zip(old.replica.watermark);
        let proven = old.replica.cache[usize::from(account)];
        let proven = proven.filter(|f| self.proven(&old.replica, account, watermark, *f).is_some());
        let heard = old.deleted;
        state.replica.reader = Some(Reader {
            account,
            watermark,
            proven,
            heard,
        });
        Some(state)
    }

    /// Rules 10 and 11: what is proven is shown, dated; else the reader joins a load that began after all that was
    /// heard of the account, or begins one.
    pub(crate) fn look_up(&self, old: &State) -> Option<State> {
        let Reader {
            account,
            mut watermark,
            proven,
            heard,
        } = old.replica.reader?;
        let mut state = old.clone();
        state.replica.reader = None;
        let mut kept = old.replica.cache[usize::from(account)];
        if !self.keeps(Rule::WatermarkBeforeProof) {
            (watermark, kept) = (old.replica.live.zip(old.replica.watermark), proven);
        }
        let kept = kept.and_then(|f| Some((f, self.proven(&old.replica, account, watermark, f)?)));
        if let Some((fragment, date)) = kept {
            self.show(&mut state, account, fragment, date, heard, true);
            self.show_by_token(&mut state, account, fragment, None);
            if let Some(f) = state.replica.cache[usize::from(account)]
                .as_mut()
                .filter(|f| **f == fragment)
            {
                f.complete = f.complete.max(date);
            }
            return Some(state);
        }
        let joins =
            |l: &Load| old.replica.passes(self, account, l.position) || !self.keeps(Rule::JoinsNoEarlierLoad);
        match state
            .replica
            .loads
            .iter_mut()
            .find(|l| l.account == account && joins(l))
        {
            Some(load) => load.heard |= heard,
            None => self.begin(&mut state, account, heard)?,
        }
        Some(state)
    }

    /// Rule 12: a source that does not answer: the last known fragment is shown, marked, unless a deletion was heard.
    pub(crate) fn time_out(&self, old: &State, load: usize) -> Option<State> {
        let Load { account, heard, .. } = *old.replica.loads.get(load)?;
        let mut state = old.clone();
        state.spend(|left| &mut left.timeouts)?;
        state.replica.loads.remove(load);
        let deleted = old.replica.deletions[usize::from(account)];
        let known = old.replica.cache[usize::from(account)];
        if let Some(known) = known.filter(|known| deleted <= known.position) {
            self.show(&mut state, account, known, known.complete, heard, false);
        }
        Some(state)
    }
}
