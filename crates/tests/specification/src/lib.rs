#![doc = include_str!("../README.md")]

mod before;
pub mod budget;
pub mod cases;
pub mod invariants;
pub mod postgres;
pub mod publishing;
pub mod readers;
pub mod receiving;
pub mod rule;
pub mod serving;
pub mod state;

use std::fmt::Debug;
use std::hash::Hash;

use budget::Budget;
use cases::{CASES, PLENTY};
use rule::Rule;
use state::{Account, Database, Mutations, Process, Relay, State};
use stateright::{Checker as _, HasDiscoveries, Model, Property};

pub(crate) const fn bit(n: u8) -> Mutations {
    1 << n
}

/// A small case: who is there, and what may happen.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// By which it is called.
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// Which database each process serves. Those after the first start with a copy.
    pub processes: &'static [usize],
    /// How many accounts there are.
    pub accounts: u8,
    /// Events carry fragments.
    pub carries: bool,
    /// Whoever serves a database states the claim that any process of it holds.
    pub shares: bool,
    /// Readers pause between their two looks.
    pub pauses: bool,
    /// What happened before the case begins, outside its budget.
    pub before: &'static [&'static [Action]],
    /// What may happen, and how often.
    pub budget: Budget,
    /// How many states there are, so that a rule that disables something is noticed.
    pub states: usize,
}

/// The protocol in one case, with all its rules or with one left out.
#[derive(Clone, Debug)]
pub struct Specification {
    /// Who is there, and what may happen.
    pub case: Case,
    /// The rule that nobody keeps.
    pub left_out: Option<Rule>,
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "a step is named by what it does; the rules say what that is")]
pub enum Action {
    Write { process: usize, account: u8 },
    Delete { process: usize, account: u8 },
    Look { process: usize },
    Silence { process: usize },
    Disturbed { process: usize },
    BeginRound { process: usize },
    Publish { process: usize },
    Crash { process: usize, publishing: bool },
    Start { process: usize },
    BackUp,
    Restore,
    Copy,
    MoveAddress,
    ArriveLate,
    LoseMessage { position: usize },
    LoseTail { length: usize },
    RecreateStream,
    Notice,
    Receive,
    Read { account: u8 },
    LookUp,
    Ask { account: u8 },
    Answer { load: usize },
    Finish { load: usize },
    TimeOut { load: usize },
    GiveUp { load: usize, reader: usize },
    ReadAged { account: u8, knows: bool },
}

impl State {
    /// Takes one of what the case allows.
    pub(crate) fn spend(&mut self, what: impl FnOnce(&mut Budget) -> &mut u8) -> Option<()> {
        let left = what(&mut self.left);
        *left = left.checked_sub(1)?;
        Some(())
    }
}

/// What the checker found in one case.
#[derive(Clone, Debug)]
pub struct Finding<A = Action> {
    /// How many states there are; up to the first counterexample if there is one.
    pub states: usize,
    /// The invariant that is broken.
    pub broken: Option<&'static str>,
    /// The shortest schedule that breaks it.
    pub schedule: Vec<A>,
}

/// A case of one of the two models, with all its rules or with one left out.
pub trait Checked:
    Model<State: Clone + Debug + Hash + PartialEq + Send + Sync> + Clone + Send + Sync + 'static
{
    /// The invariant that was broken on the way to a state.
    fn broken(state: &Self::State) -> Option<&'static str>;
}

impl Checked for Specification {
    fn broken(state: &State) -> Option<&'static str> {
        state.broken
    }
}

/// Exhausts a case, or ends at the shortest counterexample.
pub fn check<M: Checked<Action: Clone + Debug + PartialEq + Send + Sync>>(model: &M) -> Finding<M::Action> {
    let checker = model.clone().checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    let found = checker.discoveries().into_iter().min_by_key(|(_, path)| path.clone().into_actions().len());
    Finding {
        states: checker.unique_state_count(),
        broken: found.as_ref().map(|(name, path)| M::broken(path.last_state()).unwrap_or(name)),
        schedule: found.map(|(_, path)| path.into_actions()).unwrap_or_default(),
    }
}

impl Specification {
    /// A case with all rules.
    pub fn of(case: &Case) -> Self {
        Self { case: case.clone(), left_out: None }
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

    /// Whether a rule is kept.
    pub fn keeps(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    /// P5: the shared claim names the running server. So it does not count in what was put back, or copied.
    fn move_to_another_server(&self, database: &mut Database) {
        if self.keeps(Rule::SharedClaimNamesServer) {
            database.shared = None;
        }
    }

    /// Everything that a case allows to go wrong.
    fn fault(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Crash { process, publishing } => {
                state.spend(|left| &mut left.crashes)?;
                if publishing {
                    state.spend(|left| &mut left.late)?;
                    state.late = Some(self.next_message(state, process)?);
                }
                let Process { database, .. } = state.processes[process];
                state.processes[process] = Process { database, ..Process::default() };
            }
            Action::Start { process } => state.processes[process].up = true,
            Action::BackUp => {
                state.spend(|left| &mut left.backups)?;
                state.backup = Some(state.databases[0].clone());
            }
            Action::Restore => {
                state.branched = true;
                state.databases[0] = state.backup.take()?;
                self.move_to_another_server(&mut state.databases[0]);
            }
            Action::Copy => {
                state.spend(|left| &mut left.copies)?;
                state.branched = true;
                state.databases.push(state.databases[0].clone());
                self.move_to_another_server(&mut state.databases[1]);
                state.processes[1].up = true;
            }
            Action::MoveAddress => {
                state.spend(|left| &mut left.moves)?;
                state.address = 1;
            }
            Action::ArriveLate => {
                let (message, expected) = state.late.take()?;
                self.store(state, message, expected);
            }
            Action::LoseMessage { position } => {
                state.spend(|left| &mut left.losses)?;
                state.stream.messages[position].lost = true;
            }
            Action::LoseTail { length } => {
                state.spend(|left| &mut left.tails)?;
                state.stream.messages.truncate(state.stream.messages.len() - length);
            }
            Action::RecreateStream => {
                state.spend(|left| &mut left.recreations)?;
                state.branched = true;
                state.stream.created += 1;
                state.stream.messages.clear();
            }
            _ => return None,
        }
        Some(())
    }
}

impl Model for Specification {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let accounts = usize::from(self.case.accounts);
        let process = |&database| Process { up: database == 0, database, ..Process::default() };
        let mut state = State {
            databases: vec![Database {
                incarnation: 1,
                accounts: vec![Account::default(); accounts],
                ..Database::default()
            }],
            processes: self.case.processes.iter().map(process).collect(),
            left: PLENTY,
            fresh: [2, 0, 0],
            shown: vec![None; accounts],
            ..State::default()
        };
        let replica = &mut state.replica;
        (replica.fences, replica.deletions, replica.cache) =
            (vec![0; accounts], vec![0; accounts], vec![None; accounts]);
        let mut before = self.clone();
        before.case.pauses = false;
        for action in self.case.before.iter().copied().flatten() {
            state = before.next_state(&state, *action).unwrap_or(state);
        }
        state.left = self.case.budget;
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        let nothing_to_show =
            left.reads == 0 && state.replica.reader.is_none() && state.replica.loads.is_empty();
        if state.broken.is_some() || nothing_to_show && self.case.budget.reads > 0 {
            return;
        }
        for (process, Process { up, relay, .. }) in state.processes.iter().enumerate() {
            if !up {
                let present = state.processes[process].database < state.databases.len();
                actions.extend(present.then_some(Action::Start { process }));
                continue;
            }
            for account in 0..self.case.accounts {
                actions.extend((left.writes > 0).then_some(Action::Write { process, account }));
                actions.extend((left.deletions > 0).then_some(Action::Delete { process, account }));
            }
            match relay {
                Relay::Away => actions.push(Action::Look { process }),
                Relay::Listening { .. } => {
                    actions.extend([Action::Silence { process }, Action::Disturbed { process }]);
                }
                Relay::Holding { round: None, .. } => {
                    actions.extend((left.rounds > 0).then_some(Action::BeginRound { process }));
                }
                Relay::Claiming { .. } | Relay::Holding { .. } => actions.push(Action::Publish { process }),
                Relay::Refused => {}
            }
            if left.crashes > 0 {
                actions.push(Action::Crash { process, publishing: false });
                actions.extend((left.late > 0).then_some(Action::Crash { process, publishing: true }));
            }
        }
        actions.extend((left.backups > 0).then_some(Action::BackUp));
        let down = state.processes.iter().all(|process| process.database != 0 || !process.up);
        actions.extend((down && state.backup.is_some()).then_some(Action::Restore));
        actions.extend((left.copies > 0).then_some(Action::Copy));
        actions.extend((left.moves > 0 && state.databases.len() > 1).then_some(Action::MoveAddress));
        actions.extend(state.late.map(|_| Action::ArriveLate));
        let length = state.stream.messages.len();
        if left.losses > 0 {
            let not_received =
                (usize::from(state.replica.cursor)..length).filter(|i| !state.stream.messages[*i].lost);
            actions.extend(not_received.map(|position| Action::LoseMessage { position }));
        }
        if left.tails > 0 {
            actions.extend((1..=length).map(|length| Action::LoseTail { length }));
        }
        actions.extend((left.recreations > 0 && length > 0).then_some(Action::RecreateStream));
        let same = state.replica.created == state.stream.created;
        let (cursor, end) = (state.replica.cursor, state.stream.end());
        actions.extend((!same || cursor > end).then_some(Action::Notice));
        actions.extend((same && cursor < end).then_some(Action::Receive));
        match state.replica.reader {
            None if left.reads > 0 => {
                for account in 0..self.case.accounts {
                    actions.push(Action::Read { account });
                    actions.extend((left.loads > 0).then_some(Action::Ask { account }));
                    if left.ages > 0 {
                        actions.extend([false, true].map(|knows| Action::ReadAged { account, knows }));
                    }
                }
            }

            None => {}
            Some(_) => actions.push(Action::LookUp),
        }
        for (load, noted) in state.replica.loads.iter().enumerate() {
            let up = state.processes[state.address].up;
            match noted.answer {
                Some(_) => actions.push(Action::Finish { load }),
                None => actions.extend(up.then_some(Action::Answer { load })),
            }
            actions.extend((left.timeouts > 0).then_some(Action::TimeOut { load }));
            if left.give_ups > 0 {
                actions.extend((0..noted.waiting.len()).map(|reader| Action::GiveUp { load, reader }));
            }
        }
    }

    fn next_state(&self, old: &State, action: Action) -> Option<State> {
        let mut state = old.clone();
        let s = &mut state;
        match action {
            Action::Write { process, account } => {
                s.spend(|left| &mut left.writes)?;
                self.write(s, process, account, false)?;
            }
            Action::Delete { process, account } => {
                s.spend(|left| &mut left.deletions)?;
                self.write(s, process, account, true)?;
            }
            Action::Look { process } => self.look(s, process)?,
            Action::Silence { process } => self.silence(s, process)?,
            Action::Disturbed { process } => self.disturbed(s, process)?,
            Action::BeginRound { process } => Self::begin_round(s, process)?,
            Action::Publish { process } => self.publish(s, process)?,
            Action::Notice => Self::notice(s),
            Action::Receive => self.receive(s),
            Action::Read { account } => {
                self.arrive(s, account)?;
                if !self.case.pauses {
                    self.look_up(s, true)?;
                }
            }
            Action::LookUp => self.look_up(s, true)?,
            Action::Ask { account } => {
                self.arrive(s, account)?;
                self.look_up(s, false)?;
            }
            Action::Answer { load } => self.answer(s, load),
            Action::Finish { load } => self.finish(s, load)?,
            Action::TimeOut { load } => Self::time_out(s, load)?,
            Action::GiveUp { load, reader } => self.give_up(s, load, reader)?,
            Action::ReadAged { account, knows } => self.read_aged(s, account, knows)?,
            fault => self.fault(s, fault)?,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no answer breaks an invariant", |_, state: &State| state.broken.is_none()),
            Property::always("I5: settled pages equal their source", Self::settled_pages_are_equal),
        ]
    }
}
