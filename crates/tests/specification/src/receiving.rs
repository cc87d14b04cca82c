//! Receiving: one task applies the stream, in order (rules 5–8, 17, P4).

use crate::rule::Rule;
use crate::state::{Account, Fragment, Kind, Message, Replica, State};
use crate::{Specification, bit};

impl Replica {
    /// Rule 7: what was lost is not known, so nothing that was asked for before counts any more.
    fn lose(&mut self) {
        self.position += 1;
        self.floor = self.position;
    }
}

impl Specification {
    /// Rule 7: after a new connection, a stream that is not the one left behind is a loss of everything.
    pub(crate) fn notice(state: &mut State) {
        let made_anew = state.replica.created != state.stream.created;
        state.replica.created = state.stream.created;
        state.replica.cursor = if made_anew { 0 } else { state.stream.end() };
        state.replica.lose();
    }

    /// Rule 5: the next message is applied, whatever else goes on.
    pub(crate) fn receive(&self, state: &mut State) {
        let message = state.stream.messages[usize::from(state.replica.cursor)];
        let replica = &mut state.replica;
        replica.cursor += 1;
        match message.kind {
            _ if message.lost => {}
            Kind::Claim => _ = self.adopt(replica, message),
            Kind::Watermark { date } => {
                if self.adopt(replica, message) {
                    self.watermark(replica, message, date);
                }
            }
            Kind::Event { account, state: told } => {
                self.event(replica, message, account, told);
                state.deleted |= if told.deleted { told.content } else { 0 };
                state.changes |= if self.case.budget.give_ups > 0 { told.content } else { 0 };
            }
        }
    }

    /// P4: the feed follows the last claim it received, in a message of whatever kind, and counts anew under it. A claim
    /// that was left never comes back.
    fn adopt(&self, replica: &mut Replica, message: Message) -> bool {
        let ordered = replica.cursor > replica.claimed || self.keeps(Rule::ClaimsAreNotOrdered);
        if replica.live != Some(message.claim) && replica.retired & bit(message.claim) == 0 && ordered {
            replica.claimed = if self.keeps(Rule::ClaimsAreNotOrdered) { 0 } else { replica.cursor };
            replica.retired |= replica.live.map_or(0, bit);
            replica.live = Some(message.claim);
            replica.watermark = None;
            replica.applied = replica.applied.filter(|_| !self.keeps(Rule::ClaimCountsAnew));
        }
        replica.live == Some(message.claim)
    }

    /// Rule 7: the first message, and a count that is not the one applied, are a loss; only then does T count.
    fn watermark(&self, replica: &mut Replica, message: Message, date: u8) {
        let said = (message.incarnation, message.sequence);
        let as_applied = match replica.applied {
            None => !self.keeps(Rule::FirstWordIsLoss),
            Some(applied) => applied == said || !self.keeps(Rule::OtherCountIsLoss),
        };
        if !as_applied {
            replica.lose();
        }
        replica.applied = Some(said);
        replica.watermark = Some(date);
    }

    /// Rules 6, 7, 17, P4: an event fences first. Its sequence and its fragment count under the live claim alone.
    fn event(&self, replica: &mut Replica, message: Message, account: u8, state: Account) {
        let index = usize::from(account);
        replica.position += u8::from(self.keeps(Rule::EventAdvancesPosition));
        if self.keeps(Rule::EventFences) {
            replica.fences[index] = replica.position;
        }
        if state.deleted && self.keeps(Rule::DeletionFences) {
            replica.deletions[index] = replica.position;
        }
        let live = replica.live == Some(message.claim) || !self.keeps(Rule::EventsOfOtherClaimsFenceOnly);
        if !live {
            return;
        }
        let said = (message.incarnation, message.sequence);
        let (next, repeat) = match replica.applied {
            Some((incarnation, applied)) if incarnation == said.0 => {
                (said.1 == applied + 1, said.1 <= applied)
            }
            _ => (false, false),
        };
        if repeat {
            return;
        }
        if !next && self.keeps(Rule::JumpIsLoss) {
            replica.lose();
        }
        replica.applied = Some(said);
        self.carry(replica, message, account, state);
    }

    /// Rule 17: a fragment in an event has that event's position and no start; it creates no page.
    fn carry(&self, replica: &mut Replica, message: Message, account: u8, state: Account) {
        let position = replica.position;
        let Some(known) = &mut replica.cache[usize::from(account)] else {
            return;
        };
        let claim = Some(message.claim);
        if self.case.carries && (known.claim == claim || !self.keeps(Rule::EventWithinClaim)) {
            let brought = Fragment {
                state,
                claim,
                position,
                start: None,
                complete: 0,
                finished: 0,
                database: message.database,
            };
            *known = self.merge(*known, brought);
        }
    }
}
