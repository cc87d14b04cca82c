//! Publishing: mutations, the relay's rounds, claims, rollbacks (rules 1–4, P1–P3).

use crate::rule::Rule;
use crate::state::{
    Account, Database, Kind, Message, Process, Relay, Round, Row, State, Stream, Token, Version, Whose,
};
use crate::{Specification, bit};

impl Stream {
    /// The position and the last message on the watermark's subject.
    pub fn last_word(&self) -> Option<(u8, &Message)> {
        let word = |m: &Message| !matches!(m.kind, Kind::Event { .. });
        (1..).zip(&self.messages).filter(|(_, m)| word(m)).last()
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
        let event = stream
            .messages
            .iter()
            .rfind(|m| matches!(m.kind, Kind::Event { .. }));
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
    pub(crate) fn write(&self, old: &State, process: usize, account: u8, delete: bool) -> Option<State> {
        let Process {
            up: true,
            database,
            ref relay,
            states: claim,
            ..
        } = old.processes[process]
        else {
            return None;
        };
        let before = old.databases[database].accounts[usize::from(account)];
        if *relay == Relay::Refused || before.deleted {
            return None;
        }
        let mut state = old.clone();
        if delete {
            state.spend(|left| &mut left.deletions)?
        } else {
            state.spend(|left| &mut left.writes)?
        };
        let nonce = if self.keeps(Rule::NoncePerMutation) {
            old.now
        } else {
            0
        };
        let database = &mut state.databases[database];
        let version = Version {
            incarnation: 0,
            revision: before.version.revision + 1,
            nonce,
        };
        let issued = Version {
            incarnation: database.incarnation,
            ..version
        };
        let after = Account {
            version,
            content: before.content | bit(old.now),
            deleted: delete,
        };
        database.accounts[usize::from(account)] = after;
        database.nonces.push(nonce);
        let sequence = u8::try_from(database.nonces.len()).ok()?;
        database.outbox.push(Row {
            sequence,
            account,
            state: after,
        });
        state.tokens.push(Token {
            account,
            version: issued,
            claim,
            mutation: old.now,
        });
        state.now += 1;
        Some(state)
    }

    /// P2: a relay without tenure reads the last word on its subject; whose it is says what to do.
    pub(crate) fn look(&self, old: &State, process: usize) -> Option<State> {
        let Process {
            up: true,
            relay: Relay::Away,
            database,
            minted,
            accepted,
            ..
        } = old.processes[process]
        else {
            return None;
        };
        let claims = old.databases[database].claims;
        let (last, word) = old.stream.last_word().unzip();
        let last = last.unwrap_or(0);
        let whose = match word {
            None if accepted.is_some() || !self.keeps(Rule::RenewWhereStreamIsEmpty) => None,
            None => Some(Whose::Nobody),
            Some(word) if minted == Some(word.claim) => None,
            Some(word) if claims & bit(word.claim) != 0 => Some(Whose::Own),
            Some(_) => Some(Whose::Foreign),
        };
        let behind = |(created, own)| {
            created == old.stream.created && last > own || !self.keeps(Rule::DeposedOnlyFromBehind)
        };
        let mut state = old.clone();
        match whose {
            None => self.mint(&mut state, process, last)?,
            Some(Whose::Foreign) if accepted.is_some_and(behind) => {
                state.processes[process].relay = self.refuse(&mut state)
            }
            Some(whose) => state.processes[process].relay = Relay::Listening { last, whose },
        }
        Some(state)
    }

    /// P2: nobody spoke. A history that is not this database's was left: it gets a new incarnation. Then claim.
    pub(crate) fn silence(&self, old: &State, process: usize) -> Option<State> {
        let Process {
            up: true,
            relay: Relay::Listening { last, whose },
            database,
            ..
        } = old.processes[process]
        else {
            return None;
        };
        if old.stream.last_position() != last {
            return None;
        }
        let mut state = old.clone();
        let renew = match whose {
            Whose::Own => {
                let (_, word) = old.stream.last_word()?;
                !old.databases[database].continues(self, &old.stream, word)
            }
            Whose::Foreign | Whose::Nobody => self.keeps(Rule::RenewAfterForeignClaim),
        };
        if renew {
            state.databases[database].renew(state.fresh[0]);
            state.fresh[0] += 1;
            state.breaks_if(!old.branched && last > 0, "a history that goes on is not renewed");
        }
        self.mint(&mut state, process, last)?;
        Some(state)
    }

    /// P2: somebody spoke. A process of the same database waits for its turn; anybody else stops for good.
    pub(crate) fn disturbed(&self, old: &State, process: usize) -> Option<State> {
        let Process {
            up: true,
            relay: Relay::Listening { last, whose },
            database,
            ..
        } = old.processes[process]
        else {
            return None;
        };
        if old.stream.last_position() == last {
            return None;
        }
        let claims = old.databases[database].claims;
        let foreign = old
            .stream
            .last_word()
            .is_some_and(|(_, word)| claims & bit(word.claim) == 0);
        let mut state = old.clone();
        let stop = whose != Whose::Own && foreign && old.stream.last_position() > last;
        state.processes[process].relay = if stop {
            self.refuse(&mut state)
        } else {
            Relay::Away
        };
        Some(state)
    }

    fn refuse(&self, state: &mut State) -> Relay {
        state.breaks_if(self.case.processes.len() == 1, "a lone publisher is not stopped");
        Relay::Refused
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
    pub(crate) fn begin_round(&self, old: &State, process: usize) -> Option<State> {
        let mut state = old.clone();
        state.spend(|left| &mut left.rounds)?;
        let Process {
            up: true,
            relay: Relay::Holding {
                round: round @ None, ..
            },
            database,
            ..
        } = &mut state.processes[process]
        else {
            return None;
        };
        let Database { outbox, nonces, .. } = &state.databases[*database];
        let (rows, count, nonce) = (
            outbox.clone(),
            u8::try_from(nonces.len()).ok()?,
            *nonces.last().unwrap_or(&0),
        );
        *round = Some(Round {
            date: old.now,
            rows,
            count,
            nonce,
            guarded: false,
        });
        Some(state)
    }

    /// What a process publishes next, and the last word that it expects on its subject, if it does (P2, P3, rule 3).
    pub(crate) fn next_message(&self, state: &State, process: usize) -> Option<(Message, Option<u8>)> {
        let Process {
            up: true,
            ref relay,
            database,
            ..
        } = state.processes[process]
        else {
            return None;
        };
        let Database {
            incarnation,
            ref nonces,
            ..
        } = state.databases[database];
        let message = |claim, sequence, nonce, kind| Message {
            claim,
            incarnation,
            sequence,
            nonce,
            kind,
            database,
            lost: false,
        };
        let (mut message, expected, guarded) = match relay {
            &Relay::Claiming { claim, expected } => {
                let (count, nonce) = (u8::try_from(nonces.len()).ok()?, *nonces.last().unwrap_or(&0));
                (message(claim, count, nonce, Kind::Claim), expected, true)
            }
            Relay::Holding {
                claim,
                expected,
                round:
                    Some(Round {
                        date,
                        rows,
                        count,
                        nonce,
                        guarded,
                    }),
            } => {
                let date = if self.keeps(Rule::MomentBeforeSnapshot) {
                    *date
                } else {
                    state.now
                };
                match rows.first() {
                    None => (
                        message(*claim, *count, *nonce, Kind::Watermark { date }),
                        *expected,
                        true,
                    ),
                    Some(&Row {
                        sequence,
                        account,
                        state,
                    }) => {
                        let kind = Kind::Event { account, state };
                        (
                            message(*claim, sequence, state.version.nonce, kind),
                            *expected,
                            !guarded,
                        )
                    }
                }
            }
            _ => return None,
        };
        if let Kind::Event { state, .. } = &mut message.kind {
            state.version.incarnation = incarnation;
        }
        Some((
            message,
            (guarded && self.keeps(Rule::ExpectedLastWord)).then_some(expected),
        ))
    }

    /// Rules 2, 3, P2, P3: publish, await the acknowledgement, delete the row. Refused: look at the stream anew.
    pub(crate) fn publish(&self, old: &State, process: usize) -> Option<State> {
        let (message, expected) = self.next_message(old, process)?;
        let mut state = old.clone();
        let accepted = self.store(&mut state, message, expected);
        let position = state.stream.last_position();
        let created = state.stream.created;
        let Process {
            relay,
            states,
            accepted: own,
            database,
            ..
        } = &mut state.processes[process];
        let database = &mut state.databases[*database];
        match (accepted, relay) {
            (false, relay) => (*relay, *states) = (Relay::Away, None),
            (true, Relay::Holding { expected, round, .. })
                if matches!(message.kind, Kind::Watermark { .. }) =>
            {
                (*expected, *round, *states) = (position, None, Some(message.claim));
                *own = Some((created, position));
            }
            (
                true,
                Relay::Holding {
                    round: Some(Round { rows, guarded, .. }),
                    ..
                },
            ) => {
                let row = rows.remove(0);
                database.outbox.retain(|other| *other != row);
                *guarded = true;
            }
            (true, relay) => {
                *relay = Relay::Holding {
                    claim: message.claim,
                    expected: position,
                    round: None,
                };
                database.claims |= bit(message.claim);
                *own = Some((created, position));
            }
        }
        Some(state)
    }

    /// The broker: refuses what expects another last word (10071), drops what repeats a message id, stores the rest.
    pub(crate) fn store(&self, state: &mut State, message: Message, expected: Option<u8>) -> bool {
        if expected.is_some_and(|expected| expected != state.stream.last_position()) {
            return false;
        }
        let event = matches!(message.kind, Kind::Event { .. });
        let id = |m: &Message| {
            (
                m.incarnation,
                m.sequence,
                m.nonce,
                matches!(m.kind, Kind::Event { .. }),
            )
        };
        self.check_words(state, message);
        let repeated = event
            && state
                .stream
                .messages
                .iter()
                .any(|stored| id(stored) == id(&message));
        if !repeated {
            state.stream.messages.push(message);
        }
        if event {
            self.check_names(state, message);
        }
        true
    }
}
