//! Publishing: mutations, the relay's rounds, claims, rollbacks (rules 1–4, P1–P3).

use crate::rule::Rule;
use crate::state::{
    Account, Claim, Database, Kind, Message, Process, Relay, Round, Row, State, Stream, Token, Version,
};
use crate::{Specification, bit};

fn count(nonces: &[u8]) -> u8 {
    u8::try_from(nonces.len()).unwrap_or(u8::MAX)
}

impl Message {
    /// Whether it is an event; else it is a word on the watermark's subject.
    pub const fn is_event(&self) -> bool {
        matches!(self.kind, Kind::Event { .. })
    }
}

impl Stream {
    /// The position and the last message on the watermark's subject.
    pub fn last_word(&self) -> Option<(u8, &Message)> {
        (1..).zip(&self.messages).filter(|(_, m)| !m.is_event()).last()
    }

    /// The position of the last message.
    pub fn end(&self) -> u8 {
        u8::try_from(self.messages.len()).unwrap_or(u8::MAX)
    }

    fn last_position(&self) -> u8 {
        self.last_word().map_or(0, |(position, _)| position)
    }
}

impl Database {
    /// Whether the history told on the stream, up to its last word and its last event, is this database's own.
    fn continues(&self, spec: &Specification, stream: &Stream, word: &Message) -> bool {
        let known =
            |m: &Message| m.sequence == 0 || self.nonces.get(usize::from(m.sequence) - 1) == Some(&m.nonce);
        if !spec.keeps(Rule::HistoryByNonce) {
            return usize::from(word.sequence) <= self.nonces.len();
        }
        let event = stream.messages.iter().rfind(|m| m.is_event());
        let event = event.filter(|m| m.incarnation == self.incarnation && spec.keeps(Rule::LastEventRead));
        known(word) && event.is_none_or(known)
    }

    /// P2: a new incarnation. What is not published yet is numbered from 1; the claims are forgotten.
    fn renew(&mut self, incarnation: u8) {
        self.incarnation = incarnation;
        self.claims = 0;
        for (sequence, row) in (1..).zip(&mut self.outbox) {
            row.sequence = sequence;
        }
        self.nonces = self.outbox.iter().map(|row| row.state.version.nonce).collect();
    }
}

impl Specification {
    /// Rules 1 and P1: one transaction bumps the revision, takes the sequence, draws a nonce and writes the row.
    /// A process that was refused acknowledges nothing (P3).
    pub(crate) fn write(&self, state: &mut State, process: usize, account: u8, deleted: bool) -> Option<()> {
        let claim = self.stated(state, process);
        let Process { database, ref relay, .. } = state.processes[process];
        let database = &mut state.databases[database];
        let before = database.accounts[usize::from(account)];
        (*relay != Relay::Refused && !before.deleted).then_some(())?;
        let nonce = if self.keeps(Rule::NoncePerMutation) { state.now } else { 0 };
        let version = Version { incarnation: 0, revision: before.version.revision + 1, nonce };
        let after = Account { version, content: before.content | bit(state.now), deleted };
        database.accounts[usize::from(account)] = after;
        database.nonces.push(nonce);
        database.outbox.push(Row { sequence: count(&database.nonces), account, state: after });
        let version = Version { incarnation: database.incarnation, ..version };
        state.tokens.push(Token { account, version, claim, mutation: state.now });
        state.now += 1;
        Some(())
    }

    /// P5: the claim that a process states: the one it holds; where processes share a database, the one that a process holds.
    pub(crate) fn stated(&self, state: &State, process: usize) -> Option<Claim> {
        let Process { database, states, .. } = state.processes[process];
        if self.case.shares { state.databases[database].shared } else { states }
    }

    /// P2: a relay without tenure reads the last message on its subject. Its own last claim, or nothing though it has held
    /// a claim: it claims. A foreign word behind its own last one: another publisher deposed it. Else it listens.
    pub(crate) fn look(&self, state: &mut State, process: usize) -> Option<()> {
        let Process { database, minted, accepted, .. } = state.processes[process];
        let claims = state.databases[database].claims;
        let (last, word) = state.stream.last_word().unzip();
        let (last, foreign) = (last.unwrap_or(0), word.is_none_or(|word| claims & bit(word.claim) == 0));
        let at_once = match word {
            None => accepted.is_some() || !self.keeps(Rule::RenewWhereStreamIsEmpty),
            Some(word) => minted == Some(word.claim),
        };
        let behind = |(created, own)| {
            created == state.stream.created && last > own || !self.keeps(Rule::DeposedOnlyFromBehind)
        };
        if at_once {
            return self.mint(state, process, last);
        }
        if word.is_some() && foreign && accepted.is_some_and(behind) {
            self.stop(state, process);
            return Some(());
        }
        state.processes[process].relay = Relay::Listening { last, foreign, spoken: false };
        Some(())
    }

    /// P2: nobody spoke. A history that is not this database's was left: it gets a new incarnation. Then claim.
    pub(crate) fn silence(&self, state: &mut State, process: usize) -> Option<()> {
        let Process { relay: Relay::Listening { last, foreign, .. }, database, .. } =
            state.processes[process]
        else {
            return None;
        };
        (state.stream.last_position() == last).then_some(())?;
        let word = state.stream.last_word().map(|(_, word)| word);
        let database = &mut state.databases[database];
        let another = foreign && self.keeps(Rule::RenewAfterForeignClaim);
        if another || word.is_some_and(|word| !foreign && !database.continues(self, &state.stream, word)) {
            database.renew(state.fresh[0]);
            state.fresh[0] += 1;
            state.breaks_if(!state.branched && last > 0, "a history that goes on is not renewed");
        }
        self.mint(state, process, last)
    }

    /// P2: somebody spoke. A process of the same database waits for its turn; a copy of it stops for good,
    /// at the second word: the first may be what a killed process had under way.
    pub(crate) fn disturbed(&self, state: &mut State, process: usize) -> Option<()> {
        let Process { relay: Relay::Listening { last, foreign, spoken }, database, .. } =
            state.processes[process]
        else {
            return None;
        };
        let (position, word) = state.stream.last_word().unzip();
        let position = position.unwrap_or(0);
        (position != last).then_some(())?;
        let claims = state.databases[database].claims;
        let another = foreign && position > last && word.is_some_and(|word| claims & bit(word.claim) == 0);
        if another && (spoken || !self.keeps(Rule::AliveTakesTwoWords)) {
            self.stop(state, process);
            return Some(());
        }
        let again = Relay::Listening { last: position, foreign, spoken: true };
        state.processes[process].relay = if another { again } else { Relay::Away };
        Some(())
    }

    /// P3: another publisher is alive.
    fn stop(&self, state: &mut State, process: usize) {
        state.processes[process].relay = Relay::Refused;
        state.breaks_if(self.case.processes.len() == 1, "a lone publisher is not stopped");
    }

    /// P2: a claim is stored first, and published then.
    fn mint(&self, state: &mut State, process: usize, expected: u8) -> Option<()> {
        state.spend(|left| &mut left.claims)?;
        let claim = state.fresh[1];
        state.fresh[1] += 1;
        let process = &mut state.processes[process];
        process.minted = Some(claim);
        process.relay = Relay::Claiming { claim, expected };
        if self.keeps(Rule::ClaimStoredFirst) {
            state.databases[process.database].claims |= bit(claim);
        }
        Some(())
    }

    /// Rule 3: T is taken first, then one snapshot of the rows and the counter. The later T is, the more it says, so the
    /// model takes it at the last moment that the rule allows.
    pub(crate) fn begin_round(state: &mut State, process: usize) -> Option<()> {
        state.spend(|left| &mut left.rounds)?;
        let Process { relay: Relay::Holding { round, .. }, database, .. } = &mut state.processes[process]
        else {
            return None;
        };
        let Database { outbox, nonces, .. } = &state.databases[*database];
        let (rows, count, nonce) = (outbox.clone(), count(nonces), *nonces.last().unwrap_or(&0));
        *round = Some(Round { date: state.now, rows, count, nonce, guarded: false });
        Some(())
    }

    /// What a process publishes next, and the last word that it expects on its subject, if it does (P2, P3, rule 3).
    pub(crate) fn next_message(&self, state: &State, process: usize) -> Option<(Message, Option<u8>)> {
        let Process { ref relay, database, .. } = state.processes[process];
        let Database { incarnation, ref nonces, .. } = state.databases[database];
        let message = |claim, sequence, nonce, kind| Message {
            claim,
            incarnation,
            sequence,
            nonce,
            kind,
            database,
            lost: false,
        };
        let (message, expected, guarded) = match *relay {
            Relay::Claiming { claim, expected } => {
                (message(claim, count(nonces), *nonces.last().unwrap_or(&0), Kind::Claim), expected, true)
            }
            Relay::Holding {
                claim,
                expected,
                round: Some(Round { date, ref rows, count, nonce, guarded }),
            } => {
                let date = if self.keeps(Rule::MomentBeforeSnapshot) { date } else { state.now };
                match rows.first() {
                    None => (message(claim, count, nonce, Kind::Watermark { date }), expected, true),
                    Some(&Row { sequence, account, mut state }) => {
                        state.version.incarnation = incarnation;
                        (
                            message(claim, sequence, state.version.nonce, Kind::Event { account, state }),
                            expected,
                            !guarded,
                        )
                    }
                }
            }
            _ => return None,
        };
        Some((message, (guarded && self.keeps(Rule::ExpectedLastWord)).then_some(expected)))
    }

    /// Rules 2, 3, P2, P3: publish, await the acknowledgement, delete the row. Refused: look at the stream anew.
    pub(crate) fn publish(&self, state: &mut State, process: usize) -> Option<()> {
        let (message, expected) = self.next_message(state, process)?;
        let stored = self.store(state, message, expected);
        let (created, position) = (state.stream.created, state.stream.last_position());
        let Process { relay, states, accepted, database, .. } = &mut state.processes[process];
        let database = &mut state.databases[*database];
        match relay {
            _ if !stored => (*relay, *states) = (Relay::Away, None),
            Relay::Holding { round: Some(Round { rows, guarded, .. }), .. } if !rows.is_empty() => {
                let row = rows.remove(0);
                database.outbox.retain(|other| *other != row);
                *guarded = true;
            }
            _ => {
                *states = matches!(message.kind, Kind::Watermark { .. }).then_some(message.claim);
                database.shared = states.or(database.shared).filter(|_| self.case.shares);
                *relay = Relay::Holding { claim: message.claim, expected: position, round: None };
                *accepted = Some((created, position));
                database.claims |= bit(message.claim);
            }
        }
        Some(())
    }

    /// The broker: refuses what expects another last message (10071), drops what repeats a message id, stores the rest.
    pub(crate) fn store(&self, state: &mut State, message: Message, expected: Option<u8>) -> bool {
        if expected.is_some_and(|expected| expected != state.stream.last_position()) {
            return false;
        }
        let id = |m: &Message| m.is_event().then_some((m.incarnation, m.sequence, m.nonce));
        self.check_names(state, &message);
        if !message.is_event() || state.stream.messages.iter().all(|stored| id(stored) != id(&message)) {
            state.stream.messages.push(message);
        }
        true
    }
}
