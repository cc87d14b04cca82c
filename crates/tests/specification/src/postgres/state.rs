//! What there is: transactions, a database, its relays, the stream, one replica.
#![expect(missing_docs, reason = "the fields are the words of the rules; the types say what is not a word")]

/// The id of a row of the outbox, drawn when the row is written. It names the mutation, too.
pub type Id = u8;
/// A date: how many mutations had been acknowledged.
pub type Moment = u8;
/// A set of mutations, one bit each.
pub type Mutations = u16;

/// A transaction that has written and has not committed. Nobody else sees what it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    pub id: Id,
    pub account: u8,
    /// None: it has not locked its account yet.
    pub revision: Option<u8>,
}

/// A row of the outbox that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub id: Id,
    pub account: u8,
    pub revision: u8,
    /// Under the database's incarnation. None: no relay has numbered it.
    pub number: Option<u8>,
}

/// The source's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Database {
    pub incarnation: u8,
    /// The last number that was given out.
    pub counter: u8,
    pub rows: Vec<Row>,
    /// Per account: the last revision, and the mutations that the account reflects.
    pub revisions: Vec<u8>,
    pub contents: Vec<Mutations>,
    pub open: Vec<Transaction>,
    /// The last id that was drawn: like a sequence, it is never given back.
    pub drawn: Id,
    /// The relay that has locked the row of the counter.
    pub locked_by: Option<usize>,
    /// The relay that has the advisory lock, where takeovers depend on it.
    pub advisory: Option<usize>,
}

/// A row as a relay publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    pub number: u8,
    pub id: Id,
    pub account: u8,
    pub revision: u8,
}

/// Where a relay is in its round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It holds no claim.
    #[default]
    Away,
    /// It holds a claim, and no round is open.
    Ready,
    /// Its snapshot is fixed and it waits for the lock (only where the lock comes second).
    Waiting {
        date: Moment,
        seen: Vec<Id>,
        counter: u8,
    },
    /// The statement that gives numbers has its snapshot and has not committed.
    Numbering {
        date: Moment,
        seen: Vec<Id>,
        counter: u8,
        behind: bool,
        full: bool,
    },
    /// The numbers are committed.
    Numbered {
        date: Moment,
        seen: Vec<Id>,
        behind: bool,
        full: bool,
    },
    Publishing(Round),
    /// What was acknowledged is deleted next.
    Deleting {
        round: Round,
        refused: bool,
    },
}

/// What one snapshot found, and how far it is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Round {
    pub date: Moment,
    pub incarnation: u8,
    pub count: u8,
    pub events: Vec<Event>,
    /// The acknowledged ones.
    pub sent: Vec<Event>,
    /// The watermark must not be said: something may lack a number.
    pub behind: bool,
    /// Nor here: the numbering reached its limit, and the next round goes on where it ended.
    pub full: bool,
}

/// A process that serves the database and publishes for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Relay {
    pub claim: u8,
    /// The position of its own last word on the stream.
    pub expected: u8,
    pub stage: Stage,
    /// An incarnation, and the oldest row that may lack a number under it: where the next numbering begins to look.
    pub horizon: (u8, Id),
    /// It takes no step any more, and its connections stay open.
    pub stopped: bool,
    /// The counter and the rows without a number, if its transaction is undone (only where it publishes within it).
    pub undo: Option<(u8, Vec<Id>)>,
}

/// A message of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    Claim { claim: u8 },
    Event { claim: u8, incarnation: u8, event: Event },
    Watermark { claim: u8, incarnation: u8, date: Moment, count: u8 },
}

/// A page: the answer of the source about an account, and when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    pub content: Mutations,
    pub start: Moment,
    pub position: u8,
}

/// A replica that believes watermarks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    pub cursor: u8,
    pub position: u8,
    pub floor: u8,
    pub fences: Vec<u8>,
    pub live: u8,
    pub applied: Option<(u8, u8)>,
    pub watermark: Option<Moment>,
    pub pages: Vec<Option<Page>>,
}

/// What may still happen, counted down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub writes: u8,
    pub aborts: u8,
    pub rounds: u8,
    pub claims: u8,
    pub renewals: u8,
    pub crashes: u8,
    pub stops: u8,
    pub loads: u8,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub database: Database,
    pub relays: Vec<Relay>,
    pub stream: Vec<Message>,
    pub claims: u8,
    pub replica: Replica,
    pub left: Budget,
    /// The mutations in the order in which they were acknowledged. Only the invariants look.
    pub acknowledged: Vec<Id>,
    /// The invariant that was broken on the way here.
    pub broken: Option<&'static str>,
}

impl State {
    /// How many mutations were acknowledged: the date of now.
    pub fn now(&self) -> Moment {
        u8::try_from(self.acknowledged.len()).unwrap_or(u8::MAX)
    }
}
