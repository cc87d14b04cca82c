//! What must hold of every message of the stream, and of what the replica shows.

use super::Outbox;
use super::state::{Event, Id, Message, Page, Stage, State};

impl State {
    pub(super) fn breaks_if(&mut self, broken: bool, invariant: &'static str) {
        if broken && self.broken.is_none() {
            self.broken = Some(invariant);
        }
    }

    /// The position of the last message on the watermark's subject.
    pub(super) fn last_word(&self) -> u8 {
        let words = (1..).zip(&self.stream).filter(|(_, message)| !matches!(message, Message::Event { .. }));
        words.last().map_or(0, |(position, _)| position)
    }

    fn events(&self) -> impl Iterator<Item = (u8, Event)> {
        self.stream.iter().filter_map(|message| match *message {
            Message::Event { incarnation, event, .. } => Some((incarnation, event)),
            _ => None,
        })
    }

    fn is_published(&self, incarnation: u8, number: u8) -> bool {
        self.events().any(|(of, event)| (of, event.number) == (incarnation, number))
    }
}

impl Outbox {
    /// The broker stores a message, unless it knows its id. The message is compared with all that were stored before.
    pub(super) fn store(&self, state: &mut State, message: Message, guarded: bool) {
        let claim = match message {
            Message::Claim { claim } | Message::Event { claim, .. } | Message::Watermark { claim, .. } => {
                claim
            }
        };
        state.breaks_if(guarded && claim != state.claims, "a relay that was replaced says nothing more");
        match message {
            Message::Claim { .. } => {}
            Message::Event { incarnation, event, .. } => Self::check_event(state, incarnation, event),
            Message::Watermark { incarnation, date, count, .. } => {
                Self::check_watermark(state, incarnation, date, count);
            }
        }
        let repeats = match message {
            Message::Event { incarnation, event, .. } => state.events().any(|e| e == (incarnation, event)),
            _ => false,
        };
        if !repeats || self.case.forgets {
            state.stream.push(message);
        }
    }

    fn check_event(state: &mut State, incarnation: u8, event: Event) {
        let Event { number, id, account, revision } = event;
        let twice = state
            .events()
            .any(|(of, other)| of == incarnation && (other.number == number) != (other.id == id));
        let disorder = state.events().any(|(of, other)| {
            (of, other.account) == (incarnation, account)
                && (other.number < number && other.revision > revision
                    || other.number > number && other.revision < revision)
        });
        let gap = number > 1 && !state.is_published(incarnation, number - 1);
        state.breaks_if(twice, "a number names one row for ever, and a row has one number");
        state.breaks_if(disorder, "the numbers of an account's rows have the order of its revisions");
        state.breaks_if(gap, "no gap in what is published");
    }

    /// Rule 3: (T, n) says that all that was acknowledged before T is published, under a number up to n.
    fn check_watermark(state: &mut State, incarnation: u8, date: u8, count: u8) {
        let is_covered = |id: &Id| {
            state.events().any(|(of, event)| event.id == *id && (of != incarnation || event.number <= count))
        };
        let covered = state.acknowledged[..usize::from(date)].iter().all(is_covered);
        let published = (1..=count).all(|number| state.is_published(incarnation, number));
        state
            .breaks_if(!covered, "a watermark vouches only if all that was acknowledged before is published");
        state.breaks_if(!published, "a watermark counts only what is published");
    }

    /// D4: a relay that is stopped holds nothing that another one waits for, so that this one takes over.
    pub(super) fn check_others_go_on(state: &mut State) {
        let stopped = |holder: Option<usize>| holder.is_some_and(|holder| state.relays[holder].stopped);
        let (locked, excluded) = (stopped(state.database.locked_by), stopped(state.database.advisory));
        let waits = state.relays.iter().filter(|relay| !relay.stopped).any(|relay| match relay.stage {
            Stage::Away => excluded,
            Stage::Ready | Stage::Deleting { .. } => locked,
            _ => false,
        });
        state.breaks_if(waits, "a relay that is stopped stops no other");
    }

    /// I3: what the replica would show unmarked reflects all that was acknowledged before its date.
    pub(super) fn check_pages(state: &mut State) {
        let replica = &state.replica;
        let dated = |(account, page): (usize, &Option<Page>)| {
            let page = (*page)?;
            let proven = page.position >= replica.floor.max(replica.fences[account]);
            let date = replica.watermark.filter(|_| proven).unwrap_or(0).max(page.start);
            let before = state.acknowledged[..usize::from(date)].iter().fold(0, |all, id| all | 1 << id);
            Some(before & state.database.contents[account] & !page.content)
        };
        let lacking = replica.pages.iter().enumerate().filter_map(dated).any(|lacks| lacks != 0);
        state.breaks_if(lacking, "I3: an answer reflects all that was acknowledged before its date");
    }
}
