#![doc = include_str!("../README.md")]

pub mod cases;
pub mod hearing;
pub mod invariants;
pub mod publishing;
pub mod rule;
pub mod serving;
pub mod state;

use cases::PLENTY;
use rule::Rule;
use state::{Budget, Database, Mutations, Process, Relay, State};
use stateright::{Model, Property};

pub(crate) const fn bit(n: u8) -> Mutations {
    1 << n
}

/// A small case: who is there, and what may happen.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub about: &'static str,
    /// Which database each process serves. Those after the first start with a copy.
    pub processes: &'static [usize],
    pub accounts: u8,
    /// Events carry fragments.
    pub carries: bool,
    /// Readers pause between their two looks.
    pub pauses: bool,
    /// What happened before the case begins, outside its budget.
    pub before: &'static [Action],
    pub budget: Budget,
}

/// The protocol in one case, with all its rules or with one left out.
#[derive(Clone, Debug)]
pub struct Specification {
    pub case: Case,
    pub left_out: Option<Rule>,
}

/// One step of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    Hear,
    Read { account: u8 },
    LookUp,
    Answer { load: usize },
    Land { load: usize },
    TimeOut { load: usize },
}

impl State {
    /// Takes one of what the case allows.
    pub(crate) fn spend(&mut self, what: impl FnOnce(&mut Budget) -> &mut u8) -> Option<()> {
        let left = what(&mut self.left);
        *left = left.checked_sub(1)?;
        Some(())
    }
}

impl Specification {
    /// Whether a rule is kept.
    pub fn keeps(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }

    fn crash(&self, old: &State, process: usize, publishing: bool) -> Option<State> {
        let message = self.next_message(old, process).filter(|_| publishing);
        if !old.processes[process].up || publishing != message.is_some() {
            return None;
        }
        let mut state = old.clone();
        state.spend(|left| &mut left.crashes)?;
        if publishing {
            state.spend(|left| &mut left.late)?;
            state.late = message;
        }
        let Process { database, .. } = old.processes[process];
        state.processes[process] = Process {
            database,
            ..Process::default()
        };
        Some(state)
    }

    fn fault(&self, old: &State, action: Action) -> Option<State> {
        let mut state = old.clone();
        match action {
            Action::BackUp => {
                state.spend(|left| &mut left.backups)?;
                state.backup = Some(state.databases[0].clone());
            }
            Action::Restore => {
                let down = |p: &Process| p.database != 0 || !p.up;
                state.branched = true;
                state.databases[0] = state.backup.take().filter(|_| old.processes.iter().all(down))?;
            }
            Action::Copy => {
                state.spend(|left| &mut left.copies)?;
                state.branched = true;
                state.databases.push(state.databases[0].clone());
                state.processes[1].up = true;
            }
            Action::Start { process } => {
                let present = state.processes[process].database < state.databases.len();
                (!state.processes[process].up && present).then_some(())?;
                state.processes[process].up = true;
            }
            Action::MoveAddress => {
                state.spend(|left| &mut left.moves)?;
                state.address = 1;
            }
            Action::ArriveLate => {
                let (message, expected) = state.late.take()?;
                self.store(&mut state, message, expected);
            }
            Action::LoseMessage { position } => {
                state.spend(|left| &mut left.losses)?;
                let message = state.stream.messages.get_mut(position).filter(|m| !m.lost)?;
                message.lost = true;
            }
            Action::LoseTail { length } => {
                state.spend(|left| &mut left.tails)?;
                let kept = state.stream.messages.len().checked_sub(length)?;
                state.stream.messages.truncate(kept);
            }
            Action::RecreateStream => {
                state.spend(|left| &mut left.recreations)?;
                state.branched = true;
                state.stream.created += 1;
                state.stream.messages.clear();
            }
            _ => return None,
        }
        Some(state)
    }
}

impl Model for Specification {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let accounts = usize::from(self.case.accounts);
        let process = |&database| Process {
            up: database == 0,
            database,
            ..Process::default()
        };
        let mut state = State {
            databases: vec![Database {
                incarnation: 1,
                accounts: vec![Default::default(); accounts],
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
        for action in self.case.before {
            state = self.next_state(&state, *action).unwrap_or(state);
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
                actions.push(Action::Start { process });
                continue;
            }
            for account in 0..self.case.accounts {
                actions.extend((left.writes > 0).then_some(Action::Write { process, account }));
                actions.extend((left.deletions > 0).then_some(Action::Delete { process, account }));
            }
            match relay {
                Relay::Away => actions.push(Action::Look { process }),
                Relay::Listening { .. } => {
                    actions.extend([Action::Silence { process }, Action::Disturbed { process }])
                }
                Relay::Claiming { .. } => actions.push(Action::Publish { process }),
                Relay::Holding { round: None, .. } => {
                    actions.extend((left.rounds > 0).then_some(Action::BeginRound { process }));
                }
                Relay::Holding { .. } => actions.push(Action::Publish { process }),
                Relay::Refused => {}
            }
            if left.crashes > 0 {
                actions.push(Action::Crash {
                    process,
                    publishing: false,
                });
                actions.extend((left.late > 0).then_some(Action::Crash {
                    process,
                    publishing: true,
                }));
            }
        }
        actions.extend((left.backups > 0).then_some(Action::BackUp));
        actions.extend(state.backup.as_ref().map(|_| Action::Restore));
        actions.extend((left.copies > 0).then_some(Action::Copy));
        actions.extend((left.moves > 0 && state.databases.len() > 1).then_some(Action::MoveAddress));
        actions.extend(state.late.map(|_| Action::ArriveLate));
        let length = state.stream.messages.len();
        if left.losses > 0 {
            let unheard = usize::from(state.replica.cursor)..length;
            actions.extend(unheard.map(|position| Action::LoseMessage { position }));
        }
        if left.tails > 0 {
            actions.extend((1..=length).map(|length| Action::LoseTail { length }));
        }
        actions.extend((left.recreations > 0 && length > 0).then_some(Action::RecreateStream));
        actions.extend([Action::Notice, Action::Hear]);
        match state.replica.reader {
            None if left.reads > 0 => {
                actions.extend((0..self.case.accounts).map(|account| Action::Read { account }))
            }
            None => {}
            Some(_) => actions.push(Action::LookUp),
        }
        for (load, noted) in state.replica.loads.iter().enumerate() {
            let step = if noted.answer.is_some() {
                Action::Land { load }
            } else {
                Action::Answer { load }
            };
            actions.push(step);
            actions.extend((left.timeouts > 0).then_some(Action::TimeOut { load }));
        }
    }

    fn next_state(&self, old: &State, action: Action) -> Option<State> {
        match action {
            Action::Write { process, account } => self.write(old, process, account, false),
            Action::Delete { process, account } => self.write(old, process, account, true),
            Action::Look { process } => self.look(old, process),
            Action::Silence { process } => self.silence(old, process),
            Action::Disturbed { process } => self.disturbed(old, process),
            Action::BeginRound { process } => self.begin_round(old, process),
            Action::Publish { process } => self.publish(old, process),
            Action::Crash { process, publishing } => self.crash(old, process, publishing),
            Action::Notice => self.notice(old),
            Action::Hear => self.hear(old),
            Action::Read { account } if self.case.pauses => self.arrive(old, account),
            Action::Read { account } => self.look_up(&self.arrive(old, account)?),
            Action::LookUp => self.look_up(old),
            Action::Answer { load } => self.answer(old, load),
            Action::Land { load } => self.land(old, load),
            Action::TimeOut { load } => self.time_out(old, load),
            _ => self.fault(old, action),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no answer breaks an invariant", |_, state: &State| {
                state.broken.is_none()
            }),
            Property::always(
                "I5: settled pages equal their source",
                Self::settled_pages_are_equal,
            ),
        ]
    }
}
