//! The relay on PostgreSQL: take T, number, read a snapshot, publish, say (T, n), delete (D2–D4).

use super::Outbox;
use super::rule::Rule;
use super::state::{Database, Event, Id, Message, Relay, Round, Row, Stage, State};

impl Outbox {
    /// D4: nobody spoke for long enough, which is a choice here. The claim becomes the last word on the stream.
    pub(super) fn claim(&self, state: &mut State, relay: usize) -> Option<()> {
        state.left.claims = state.left.claims.checked_sub(1)?;
        if !self.keeps(Rule::TakesOverAfterSilence) {
            state.database.advisory.is_none_or(|holder| holder == relay).then_some(())?;
            state.database.advisory = Some(relay);
        }
        state.claims += 1;
        let claim = state.claims;
        state.stream.push(Message::Claim { claim });
        let expected = state.last_word();
        state.relays[relay] = Relay { claim, expected, stage: Stage::Ready, ..Relay::default() };
        Some(())
    }

    /// The database gets a new incarnation: no row has a number any more, and the counter begins anew. Under the counter's lock.
    pub(super) fn renew(&self, state: &mut State, relay: usize) -> Option<()> {
        state.left.renewals = state.left.renewals.checked_sub(1)?;
        let database = &mut state.database;
        database.locked_by.is_none().then_some(())?;
        database.incarnation += 1;
        database.counter = 0;
        database.rows.iter_mut().for_each(|row| row.number = None);
        self.claim(state, relay)
    }

    /// Takes T; then the lock; then the snapshot of the statement that gives the numbers. The later T is, the more it says, so the
    /// model takes it at the last moment that the rule allows.
    pub(super) fn see(&self, state: &mut State, relay: usize) -> Option<()> {
        state.left.rounds = state.left.rounds.checked_sub(1)?;
        let (date, counter) = (state.now(), state.database.counter);
        let from = self.look_back(state, relay);
        let open = state.database.open.iter().map(|transaction| transaction.id).min();
        let open = open.filter(|_| !self.keeps(Rule::NumbersWhatIsVisible));
        let rows = &state.database.rows;
        let (due, rest): (Vec<&Row>, Vec<&Row>) =
            rows.iter().partition(|row| row.number.is_none() && row.id >= from);
        let (mut due, young): (Vec<&Row>, Vec<&Row>) =
            due.into_iter().partition(|row| open.is_none_or(|open| row.id < open));
        due.sort_by_key(|row| row.id);
        let full = self.case.limit.is_some_and(|limit| due.len() >= limit);
        due.truncate(self.case.limit.unwrap_or(due.len()));
        let numbered = rest.into_iter().filter(|row| row.number.is_some());
        let mut seen: Vec<Id> = due.into_iter().chain(numbered).map(|row| row.id).collect();
        seen.sort_unstable();
        let behind = !young.is_empty();
        if full && self.keeps(Rule::FullLooksBackAgain) {
            state.relays[relay].horizon = (state.database.incarnation, from);
        }
        state.relays[relay].stage = match self.left_out {
            Some(Rule::LockBeforeSnapshot) => Stage::Waiting { date, seen, counter },
            Some(Rule::LockInItsOwnStatement) => {
                let rows = &state.database.rows;
                let seen = rows.iter().filter(|row| row.number.is_none()).map(|row| row.id).collect();
                Stage::Waiting { date, seen, counter }
            }
            _ => {
                self.lock(state, relay)?;
                Stage::Numbering { date, seen, counter, behind, full }
            }
        };
        Some(())
    }

    /// Where a numbering begins to look: what is older has a number, or will never be seen. For the next one: what is open now may
    /// commit later, and everything else that is older than the next row is seen now.
    fn look_back(&self, state: &mut State, relay: usize) -> Id {
        let Database { incarnation, drawn, ref open, ref rows, .. } = state.database;
        let open = open.iter().map(|transaction| transaction.id).min().unwrap_or(drawn + 1);
        let last = rows.iter().map(|row| row.id).max().unwrap_or(0);
        let next = if self.keeps(Rule::LooksBackToOpen) { open } else { last + 1 };
        let before = std::mem::replace(&mut state.relays[relay].horizon, (incarnation, next));
        let same = before.0 == incarnation || !self.keeps(Rule::LooksAnewAfterRenewal);
        if same { before.1 } else { 0 }
    }

    /// Where the lock comes second: the snapshot is older than the lock. In a transaction that is repeatable read, what changed
    /// in the meantime is not overwritten: PostgreSQL ends it with 40001, and the round begins anew. But T is later. A statement
    /// that is read committed reads the newest counter, and numbers what it saw before it waited.
    pub(super) fn wait_for_lock(&self, state: &mut State, relay: usize) -> Option<()> {
        let Stage::Waiting { date, seen, counter } = state.relays[relay].stage.clone() else {
            return None;
        };
        let repeatable = !self.keeps(Rule::LockBeforeSnapshot);
        if repeatable && counter != state.database.counter {
            state.relays[relay].stage = Stage::Ready;
            return Some(());
        }
        self.lock(state, relay)?;
        let (counter, behind, full) = (state.database.counter, false, false);
        let date = if repeatable { state.now() } else { date };
        state.relays[relay].stage = Stage::Numbering { date, seen, counter, behind, full };
        Some(())
    }

    fn lock(&self, state: &mut State, relay: usize) -> Option<()> {
        if self.keeps(Rule::CounterLocked) {
            state.database.locked_by.is_none().then_some(())?;
            state.database.locked_by = Some(relay);
        }
        Some(())
    }

    /// Numbers the rows that were seen and have none, in the order of their ids; raises the counter; commits.
    pub(super) fn number(&self, state: &mut State, relay: usize) -> Option<()> {
        let Stage::Numbering { date, seen, counter, behind, full } = state.relays[relay].stage.clone() else {
            return None;
        };
        let database = &mut state.database;
        let undo = database.rows.iter().filter(|row| row.number.is_none()).map(|row| row.id).collect();
        let again = !self.keeps(Rule::LockInItsOwnStatement);
        let is_due = |row: &&mut Row| seen.contains(&row.id) && (row.number.is_none() || again);
        let mut rows: Vec<&mut Row> = database.rows.iter_mut().filter(is_due).collect();
        rows.sort_by_key(|row| row.id);
        for (number, row) in (counter + 1..).zip(&mut rows) {
            row.number = Some(number);
        }
        let given = u8::try_from(rows.len()).unwrap_or(u8::MAX);
        let drawn = database.rows.iter().filter_map(|row| row.number).max().unwrap_or(0);
        let before = database.counter;
        database.counter = (counter + given).max(drawn);
        if self.keeps(Rule::NumbersCommittedFirst) {
            database.locked_by = None;
        } else {
            state.relays[relay].undo = Some((before, undo));
        }
        state.relays[relay].stage = Stage::Numbered { date, seen, behind, full };
        Some(())
    }

    /// One snapshot of the incarnation, the counter and the rows: this is what the round publishes.
    pub(super) fn snapshot(&self, state: &mut State, relay: usize) -> Option<()> {
        let Stage::Numbered { date, seen, behind, full } = state.relays[relay].stage.clone() else {
            return None;
        };
        let own = !self.keeps(Rule::LockBeforeSnapshot);
        let rows = state.database.rows.iter().filter(|row| !own || seen.contains(&row.id));
        let event = |row: &Row| {
            let Row { id, account, revision, .. } = *row;
            row.number.map(|number| Event { number, id, account, revision })
        };
        let mut events: Vec<Event> = rows.filter_map(event).collect();
        events.sort_by_key(|event| event.number);
        let holds_back =
            matches!(self.left_out, Some(Rule::MomentBeforeNumbering | Rule::MomentBeforeSnapshot));
        let without_number = state.database.rows.iter().any(|row| row.number.is_none());
        let drafted =
            matches!(self.left_out, Some(Rule::MomentBeforeNumbering | Rule::WithoutNumberHoldsBack));
        state.relays[relay].stage = Stage::Publishing(Round {
            date: if drafted { state.now() } else { date },
            incarnation: state.database.incarnation,
            count: state.database.counter,
            events,
            sent: Vec::new(),
            behind: behind || holds_back && without_number,
            full: full && self.keeps(Rule::FullHoldsBack),
        });
        Some(())
    }

    /// Publishes the next event, or the watermark after the last one. Refused: another relay has claimed.
    pub(super) fn publish(&self, state: &mut State, relay: usize) -> Option<()> {
        let Relay { claim, expected, stage: Stage::Publishing(mut round), .. } = state.relays[relay].clone()
        else {
            return None;
        };
        let incarnation = round.incarnation;
        let date = if self.keeps(Rule::MomentBeforeSnapshot) { round.date } else { state.now() };
        let (message, guarded) = match round.events.first() {
            Some(&event) => (Message::Event { claim, incarnation, event }, round.sent.is_empty()),
            None => (Message::Watermark { claim, incarnation, date, count: round.count }, true),
        };
        if guarded && self.keeps(Rule::ExpectedLastWord) && expected != state.last_word() {
            state.relays[relay].stage = Stage::Deleting { round, refused: true };
            return Some(());
        }
        if !round.events.is_empty() {
            self.store(state, message, guarded);
            round.sent.push(round.events.remove(0));
            state.relays[relay].stage = Stage::Publishing(round);
            return Some(());
        }
        // Where T is taken too late, the false watermark is looked for, not the one that is held back.
        let silent = round.behind && self.keeps(Rule::MomentBeforeSnapshot);
        state.breaks_if(silent, "a round that publishes all it found says its watermark");
        if !round.behind && !round.full {
            self.store(state, message, true);
        }
        let expected = state.last_word();
        let relay = &mut state.relays[relay];
        (relay.expected, relay.stage) = (expected, Stage::Deleting { round, refused: false });
        Some(())
    }

    /// Deletes what was acknowledged, under the counter's lock.
    pub(super) fn delete(&self, state: &mut State, relay: usize) -> Option<()> {
        let Stage::Deleting { round, refused } = state.relays[relay].stage.clone() else {
            return None;
        };
        let database = &mut state.database;
        database.locked_by.is_none_or(|holder| holder == relay).then_some(())?;
        let through = round.sent.last().map_or(0, |event| event.number);
        let published = |row: &Row| {
            if self.keeps(Rule::DeletesWhatItPublished) {
                round.sent.iter().any(|event| event.id == row.id)
            } else {
                row.number.is_some_and(|number| number <= through)
            }
        };
        let whatever =
            matches!(self.left_out, Some(Rule::DeletesWhatItPublished | Rule::DeletesUnderItsIncarnation));
        if database.incarnation == round.incarnation || whatever {
            database.rows.retain(|row| !published(row));
        }
        if !self.keeps(Rule::NumbersCommittedFirst) {
            database.locked_by = None;
        }
        let relay = &mut state.relays[relay];
        relay.undo = None;
        relay.stage = if refused { Stage::Away } else { Stage::Ready };
        Some(())
    }

    /// The process is gone, and the server has noticed: what it locked is free, what it did not commit is undone.
    pub(super) fn crash(state: &mut State, relay: usize) -> Option<()> {
        state.left.crashes = state.left.crashes.checked_sub(1)?;
        let database = &mut state.database;
        for lock in [&mut database.locked_by, &mut database.advisory] {
            *lock = lock.filter(|holder| *holder != relay);
        }
        if let Some((counter, ids)) = std::mem::take(&mut state.relays[relay]).undo {
            database.counter = counter;
            let undone = database.rows.iter_mut().filter(|row| ids.contains(&row.id));
            undone.for_each(|row| row.number = None);
        }
        Some(())
    }

    /// The process is stopped: its connections, and what it locked, stay as they are. Not in the middle of a statement: the
    /// server ends that by itself.
    pub(super) fn stop(&self, state: &mut State, relay: usize) -> Option<()> {
        state.left.stops = state.left.stops.checked_sub(1)?;
        let numbering = matches!(state.relays[relay].stage, Stage::Numbering { .. });
        (!numbering || !self.keeps(Rule::NumbersInOneRoundTrip)).then_some(())?;
        state.relays[relay].stopped = true;
        Some(())
    }
}
