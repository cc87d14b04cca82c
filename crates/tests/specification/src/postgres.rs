//! The outbox on PostgreSQL: transactions run beside each other, and commit in another order than they began.
//!
//! A model of its own, of one source on one database, its relays, the stream, and one replica that believes watermarks. What
//! the protocol says of rollbacks, copies and lost messages is in the other model; here nothing is lost, and the database is
//! the same one throughout. A commit and its acknowledgement are one step, because what is committed is visible before it is
//! acknowledged. A relay that is paused is one that takes no step.

pub mod cases;
mod invariants;
mod relaying;
pub mod rule;
pub mod state;

use stateright::{Model, Property};

use crate::Checked;
use cases::CASES;
use rule::Rule;
use state::{Budget, Database, Message, Page, Relay, Replica, Row, Stage, State, Transaction};

/// A small case: who is there, and what may happen.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// By which it is called.
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// How many relays the database has.
    pub relays: usize,
    /// How many accounts there are.
    pub accounts: u8,
    /// The broker has forgotten the ids of messages, so that it stores what is published again.
    pub forgets: bool,
    /// How many rows one statement numbers at most.
    pub limit: Option<usize>,
    /// What may happen, and how often.
    pub budget: Budget,
    /// How many states there are.
    pub states: usize,
}

/// The outbox in one case, with all its rules or with one left out.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// Who is there, and what may happen.
    pub case: Case,
    /// The rule that nobody keeps.
    pub left_out: Option<Rule>,
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "a step is named by what it does; the rules say what that is")]
pub enum Action {
    Begin { account: u8 },
    Commit { transaction: usize },
    Abort { transaction: usize },
    Claim { relay: usize },
    Renew { relay: usize },
    See { relay: usize },
    WaitForLock { relay: usize },
    Number { relay: usize },
    Snapshot { relay: usize },
    Publish { relay: usize },
    Delete { relay: usize },
    Crash { relay: usize },
    Stop { relay: usize },
    Receive,
    Load { account: u8 },
}

impl Outbox {
    /// A case with all rules.
    pub fn of(case: &Case) -> Self {
        Self { case: *case, left_out: None }
    }

    /// The case that shows what a rule is for, without that rule.
    ///
    /// # Panics
    ///
    /// If the rule names no case, which a test excludes.
    pub fn without(rule: Rule) -> Self {
        let case = CASES.iter().find(|case| case.name == rule.case()).expect("every rule names a case");
        Self { left_out: Some(rule), ..Self::of(case) }
    }

    fn keeps(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    /// Rule 1: a transaction locks its account, bumps the revision and writes its row.
    fn begin(&self, state: &mut State, account: u8) -> Option<()> {
        state.left.writes = state.left.writes.checked_sub(1)?;
        let database = &mut state.database;
        let locks = self.keeps(Rule::AccountLockedFirst);
        let locked = database.open.iter().any(|transaction| transaction.account == account);
        (!locks || !locked).then_some(())?;
        database.drawn += 1;
        let revision = locks.then_some(database.revisions[usize::from(account)] + 1);
        database.open.push(Transaction { id: database.drawn, account, revision });
        Some(())
    }

    /// It commits, is visible to whoever looks from now on, and is acknowledged.
    fn commit(&self, state: &mut State, transaction: usize) {
        let database = &mut state.database;
        let Transaction { id, account, revision } = database.open.remove(transaction);
        let last = &mut database.revisions[usize::from(account)];
        let revision = revision.unwrap_or(*last + 1);
        *last = revision;
        database.contents[usize::from(account)] |= 1 << id;
        let number = (!self.keeps(Rule::NumberedByRelay)).then_some(id);
        database.rows.push(Row { id, account, revision, number });
        state.acknowledged.push(id);
    }

    /// Rules 6, 7, 21: the replica applies the next message. It follows the last claim, and counts anew under it.
    fn receive(state: &mut State) {
        let message = state.stream[usize::from(state.replica.cursor)];
        let Replica { cursor, position, floor, fences, live, applied, watermark, .. } = &mut state.replica;
        *cursor += 1;
        *position += 1;
        match message {
            Message::Claim { claim } => (*live, *applied, *watermark) = (claim, None, None),
            Message::Event { claim, incarnation, event } => {
                fences[usize::from(event.account)] = *position;
                let said = (incarnation, event.number);
                let repeats = applied.is_some_and(|(of, number)| of == incarnation && event.number <= number);
                if claim != *live || repeats {
                    return;
                }
                if *applied != Some((incarnation, event.number - 1)) {
                    *floor = *position;
                }
                *applied = Some(said);
            }
            Message::Watermark { claim, incarnation, date, count } if claim == *live => {
                if *applied != Some((incarnation, count)) {
                    *floor = *position;
                }
                *applied = Some((incarnation, count));
                *watermark = Some(date);
            }
            Message::Watermark { .. } => {}
        }
    }

    /// A page is composed: the source answers with what is committed.
    fn load(state: &mut State, account: u8) -> Option<()> {
        state.left.loads = state.left.loads.checked_sub(1)?;
        let content = state.database.contents[usize::from(account)];
        let (start, position) = (state.now(), state.replica.position);
        state.replica.pages[usize::from(account)] = Some(Page { content, start, position });
        Some(())
    }

    fn steps_of_relay(state: &State, relay: usize, actions: &mut Vec<Action>) {
        let left = &state.left;
        let Relay { stage, stopped, .. } = &state.relays[relay];
        if *stopped {
            return;
        }
        match stage {
            Stage::Away => {
                actions.extend((left.claims > 0).then_some(Action::Claim { relay }));
                actions.extend((left.renewals > 0 && left.claims > 0).then_some(Action::Renew { relay }));
            }
            Stage::Ready => actions.extend((left.rounds > 0).then_some(Action::See { relay })),
            Stage::Waiting { .. } => actions.push(Action::WaitForLock { relay }),
            Stage::Numbering { .. } => actions.push(Action::Number { relay }),
            Stage::Numbered { .. } => actions.push(Action::Snapshot { relay }),
            Stage::Publishing(_) => actions.push(Action::Publish { relay }),
            Stage::Deleting { .. } => actions.push(Action::Delete { relay }),
        }
        if *stage != Stage::Away {
            actions.extend((left.crashes > 0).then_some(Action::Crash { relay }));
            actions.extend((left.stops > 0).then_some(Action::Stop { relay }));
        }
    }
}

impl Model for Outbox {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let accounts = usize::from(self.case.accounts);
        let database = Database {
            incarnation: 1,
            revisions: vec![0; accounts],
            contents: vec![0; accounts],
            ..Database::default()
        };
        let replica =
            Replica { fences: vec![0; accounts], pages: vec![None; accounts], ..Replica::default() };
        let relays = vec![Relay::default(); self.case.relays];
        vec![State { database, relays, replica, left: self.case.budget, ..State::default() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let State { left, database, .. } = state;
        if state.broken.is_some() {
            return;
        }
        for account in 0..self.case.accounts {
            actions.extend((left.writes > 0).then_some(Action::Begin { account }));
            actions.extend((left.loads > 0).then_some(Action::Load { account }));
        }
        for transaction in 0..database.open.len() {
            actions.push(Action::Commit { transaction });
            actions.extend((left.aborts > 0).then_some(Action::Abort { transaction }));
        }
        for relay in 0..self.case.relays {
            Self::steps_of_relay(state, relay, actions);
        }
        let unread = usize::from(state.replica.cursor) < state.stream.len();
        actions.extend((self.case.budget.loads > 0 && unread).then_some(Action::Receive));
    }

    fn next_state(&self, old: &State, action: Action) -> Option<State> {
        let mut state = old.clone();
        let s = &mut state;
        match action {
            Action::Begin { account } => self.begin(s, account)?,
            Action::Commit { transaction } => self.commit(s, transaction),
            Action::Abort { transaction } => {
                s.left.aborts -= 1;
                s.database.open.remove(transaction);
            }
            Action::Claim { relay } => self.claim(s, relay)?,
            Action::Renew { relay } => self.renew(s, relay)?,
            Action::See { relay } => self.see(s, relay)?,
            Action::WaitForLock { relay } => self.wait_for_lock(s, relay)?,
            Action::Number { relay } => self.number(s, relay)?,
            Action::Snapshot { relay } => self.snapshot(s, relay)?,
            Action::Publish { relay } => self.publish(s, relay)?,
            Action::Delete { relay } => self.delete(s, relay)?,
            Action::Crash { relay } => Self::crash(s, relay)?,
            Action::Stop { relay } => self.stop(s, relay)?,
            Action::Receive => Self::receive(s),
            Action::Load { account } => Self::load(s, account)?,
        }
        Self::check_pages(s);
        Self::check_others_go_on(s);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("nothing breaks an invariant", |_, state: &State| state.broken.is_none())]
    }
}

impl Checked for Outbox {
    fn broken(state: &State) -> Option<&'static str> {
        state.broken
    }
}
