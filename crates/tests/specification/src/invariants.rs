//! What must hold of every answer (I1–I3, I5) and of every name, whatever happened.

use crate::budget::Budget;
use crate::state::{Database, Fragment, Kind, Message, Moment, Mutations, Process, Relay, State, Token};
use crate::{Specification, bit};

const READS_OWN_WRITE: &str = "13: a reader with a token reads its own write";

impl State {
    pub(crate) fn breaks_if(&mut self, broken: bool, invariant: &'static str) {
        if broken && self.broken.is_none() {
            self.broken = Some(invariant);
        }
    }
}

impl Specification {
    /// An answer is given: it is compared with the present history of the database that answered.
    /// I1: it reflects every deletion that was applied before its reader arrived. I2: unmarked, it reflects all that was
    /// shown before. I3: it reflects every mutation that was acknowledged before its date.
    pub(crate) fn show(
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
        state.breaks_if(lacks(deletions), "I1: no resurrection after a deletion that was applied");
        state.breaks_if(
            lacks(bit(date) - 1),
            "I3: an answer reflects all that was acknowledged before its date",
        );
        state.breaks_if(back, "I2: a page never goes back in time");
        if unmarked {
            state.shown[usize::from(account)] = Some((fragment.database, fragment.state.content));
        }
    }

    /// Rule 13: who holds a token that the answer is said to reflect sees that mutation. An answer is for readers that
    /// arrived before its load began, so for tokens of earlier mutations.
    pub(crate) fn show_by_token(
        &self,
        state: &mut State,
        account: u8,
        shown: Fragment,
        before: Moment,
        asked_since: bool,
    ) {
        let present = state.databases[shown.database].accounts[usize::from(account)].content;
        let held = |t: &&Token| t.account == account && t.mutation < before;
        let wrong = state.tokens.iter().filter(held).any(|token| {
            let lacks = bit(token.mutation) & present & !shown.state.content != 0;
            lacks && self.reflects(shown, *token, asked_since)
        });
        state.breaks_if(wrong, READS_OWN_WRITE);
    }

    /// Rules 11 and 26: an unmarked answer reflects all that was applied before its reader arrived.
    pub(crate) fn reflects_changes(state: &mut State, account: u8, shown: Fragment, changes: Mutations) {
        let invariant = "11: an unmarked answer reflects all that was applied before its reader arrived";
        Self::reflects_all(state, account, shown, changes, invariant);
    }

    /// Rule 13: an answer that is not marked as behind reflects every write that its reader knows of.
    pub(crate) fn reflects_writes(state: &mut State, account: u8, shown: Fragment) {
        let written = state.tokens.iter().filter(|token| token.account == account);
        let written = written.fold(0, |written, token| written | bit(token.mutation));
        Self::reflects_all(state, account, shown, written, READS_OWN_WRITE);
    }

    /// Of the mutations, those count that the database still has.
    fn reflects_all(
        state: &mut State,
        account: u8,
        shown: Fragment,
        mutations: Mutations,
        invariant: &'static str,
    ) {
        let present = state.databases[shown.database].accounts[usize::from(account)].content;
        state.breaks_if(mutations & present & !shown.state.content != 0, invariant);
    }

    /// Rule 27: once the claim of the process that answers was applied, nothing is shown that its database does not hold.
    pub(crate) fn is_held_by_live_publisher(state: &mut State, account: u8, shown: Fragment) {
        let Process { database, minted, .. } = state.processes[state.address];
        let held = state.databases[database].accounts[usize::from(account)].content;
        let live = minted.is_some() && state.replica.live == minted;
        let undone = live && shown.state.content & !held != 0;
        state.breaks_if(undone, "27: a reader with max-age sees only what the live publisher's database has");
    }

    /// One incarnation names one history: no two mutations are published under one sequence of it. (This cannot hold for
    /// a copy that has the original's claim.) One publisher: a claim that was left counts no more, unless the stream
    /// itself was set back.
    pub(crate) fn check_names(&self, state: &mut State, message: &Message) {
        let Budget { tails, recreations, .. } = self.case.budget;
        if message.is_event() {
            let name = (message.incarnation, message.sequence, message.nonce);
            let twice =
                state.named.iter().any(|named| (named.0, named.1) == (name.0, name.1) && named.2 != name.2);
            state.named.retain(|named| *named != name);
            state.named.push(name);
            state.breaks_if(twice && state.databases.len() == 1, "an incarnation names one history");
        } else {
            let mut words = state.stream.messages.iter().rev().filter(|m| !m.is_event()).map(|m| m.claim);
            let left = words.find(|claim| *claim != message.claim);
            let returns = left.is_some() && words.any(|claim| claim == message.claim);
            state.breaks_if(returns && tails + recreations == 0, "a claim that was left counts no more");
        }
    }

    /// I5: where everything was published and applied, the feed follows the publisher (unless the stream was cut), and
    /// what it vouches for equals the source.
    pub(crate) fn settled_pages_are_equal(&self, state: &State) -> bool {
        let Process { up, database, ref relay, .. } = state.processes[state.address];
        let Database { ref accounts, ref nonces, .. } = state.databases[database];
        let (replica, stream) = (&state.replica, &state.stream);
        let Some(Message { claim: last, kind: Kind::Watermark { .. }, lost: false, sequence, .. }) =
            stream.messages.last()
        else {
            return true;
        };
        let holds = matches!(relay, Relay::Holding { claim, round: None, .. } if claim == last);
        let applied = replica.cursor == stream.end() && replica.created == stream.created;
        if !up || !holds || !applied || usize::from(*sequence) != nonces.len() {
            return true;
        }
        let follows = replica.live == Some(*last) && replica.watermark.is_some();
        let equal =
            replica.cache.iter().zip(accounts).zip(&replica.fences).all(|((kept, account), fence)| {
                let vouched =
                    kept.filter(|f| f.claim == replica.live && f.position >= replica.floor.max(*fence));
                vouched.is_none_or(|fragment| fragment.state.content == account.content)
            });
        follows && equal || !follows && self.case.budget.tails > 0
    }
}
