//! What must hold of every answer (I1–I3, I5) and of every name (I6), whatever happened.

use crate::state::{Budget, Fragment, Kind, Message, Moment, Mutations, Relay, State, Token};
use crate::{Specification, bit};

impl State {
    pub(crate) fn breaks_if(&mut self, broken: bool, invariant: &'static str) {
        if broken && self.broken.is_none() {
            self.broken = Some(invariant);
        }
    }
}

impl Specification {
    /// An answer is given: it is held against the present history of the database that answered.
    /// I1: it reflects every deletion that was heard before its reader arrived. I2: unmarked, it reflects all that was
    /// shown before. I3: it reflects every mutation that was acknowledged before its date.
    pub(crate) fn show(
        &self,
        state: &mut State,
        account: u8,
        fragment: Fragment,
        date: Moment,
        deletions: Mutations,
        unmarked: bool,
    ) {
        let present = state.databases[fragment.database].accounts[usize::from(account)].content;
        let lacks = |mutations: Mutations| mutations & present & !fragment.state.content != 0;
        let shown = state.shown[usize::from(account)].filter(|(database, _)| *database == fragment.database);
        let back = unmarked && shown.is_some_and(|(_, content)| lacks(content));
        state.breaks_if(
            lacks(deletions),
            "I1: no resurrection after a deletion that was heard",
        );
        state.breaks_if(
            lacks(bit(date) - 1),
            "I3: an answer reflects all that was acknowledged before its date",
        );
        state.breaks_if(back, "I2: a page never goes back in time");
        if unmarked {
            state.shown[usize::from(account)] = Some((fragment.database, fragment.state.content));
        }
    }

    /// Rule 13: who holds a token that the answer is said to reflect sees that mutation. A load answers only to readers
    /// that arrived before it began.
    pub(crate) fn show_by_token(
        &self,
        state: &mut State,
        account: u8,
        fragment: Fragment,
        began: Option<Moment>,
    ) {
        let present = state.databases[fragment.database].accounts[usize::from(account)].content;
        let held = |t: &&Token| t.account == account && began.is_none_or(|began| t.mutation < began);
        let wrong = state.tokens.iter().filter(held).any(|token| {
            let lacks = bit(token.mutation) & present & !fragment.state.content != 0;
            lacks && self.reflects(fragment, *token, began.is_some())
        });
        state.breaks_if(wrong, "13: who holds a token reads the own write");
    }

    /// One incarnation names one history: no two mutations are published under one sequence of it.
    pub(crate) fn check_names(&self, state: &mut State, m: Message) {
        let name = (m.incarnation, m.sequence, m.nonce);
        let twice = state
            .named
            .iter()
            .any(|named| (named.0, named.1) == (name.0, name.1) && named.2 != name.2);
        state.breaks_if(
            twice && self.case.budget.copies == 0,
            "an incarnation names one history",
        );
        if !state.named.contains(&name) {
            state.named.push(name);
        }
    }

    /// One publisher: a claim that was left speaks no more, unless the stream itself was set back.
    pub(crate) fn check_words(&self, state: &mut State, message: Message) {
        let Budget {
            tails, recreations, ..
        } = self.case.budget;
        let word = |m: &&Message| !matches!(m.kind, Kind::Event { .. });
        let left = state
            .stream
            .messages
            .iter()
            .filter(word)
            .rev()
            .skip_while(|m| m.claim == message.claim);
        let returns = word(&&message) && left.into_iter().any(|m| m.claim == message.claim);
        state.breaks_if(
            tails + recreations == 0 && returns,
            "a claim that was left speaks no more",
        );
    }

    /// I5: where everything was published and heard, what is vouched for equals the source.
    pub(crate) fn settled_pages_are_equal(&self, state: &State) -> bool {
        let process = &state.processes[state.address];
        let database = &state.databases[process.database];
        let holds = |claim| matches!(process.relay, Relay::Holding { claim: held, round: None, .. } if Some(held) == claim);
        let heard = usize::from(state.replica.cursor) == state.stream.messages.len();
        let last = state
            .stream
            .messages
            .last()
            .is_some_and(|m| !m.lost && matches!(m.kind, Kind::Watermark { .. }));
        let counted = state
            .replica
            .heard
            .is_some_and(|(_, count)| usize::from(count) == database.nonces.len());
        let settled = heard && last && counted && state.replica.created == state.stream.created;
        if !settled || !process.up || !holds(state.replica.live) || state.replica.watermark.is_none() {
            return true;
        }
        let pages = (0..)
            .zip(&state.replica.cache)
            .filter_map(|(account, kept)| Some((account, (*kept)?)));
        pages.into_iter().all(|(account, f): (u8, _)| {
            let vouched =
                f.claim == state.replica.live && f.position >= state.replica.fences[usize::from(account)];
            !vouched
                || f.position < state.replica.floor
                || f.state.content == database.accounts[usize::from(account)].content
        })
    }
}
