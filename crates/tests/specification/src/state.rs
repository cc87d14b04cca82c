//! What there is: databases, processes, the stream, one replica of the page.
#![expect(missing_docs, reason = "the fields are the words of the rules; the types say what is not a word")]

use crate::budget::Budget;

/// A mutation, named by the moment of its acknowledgement. The same number is the nonce of rule P1.
pub type Mutation = u8;
/// A set of mutations, one bit each.
pub type Mutations = u16;
/// A date: how many mutations had been acknowledged, anywhere.
pub type Moment = u8;
/// A random id that a relay minted.
pub type Claim = u8;

/// Which state of an account an answer shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    pub incarnation: u8,
    pub revision: u8,
    pub nonce: Mutation,
}

/// What a database keeps of an account. The content *is* the set of mutations that it reflects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    pub version: Version,
    pub content: Mutations,
    pub deleted: bool,
}

/// An event that was not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub sequence: u8,
    pub account: u8,
    pub state: Account,
}

/// A source's database, which can be backed up, put back and copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Database {
    pub incarnation: u8,
    pub accounts: Vec<Account>,
    pub outbox: Vec<Row>,
    /// The nonces of this incarnation's mutations; their number is the counter.
    pub nonces: Vec<Mutation>,
    /// The claims minted in this incarnation.
    pub claims: u16,
    /// The claim under which the last watermark was said, for all processes that answer from this database.
    pub shared: Option<Claim>,
}

/// Where a relay stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Relay {
    /// It has no tenure and has not looked at the stream: a start, a new connection, a refusal.
    #[default]
    Away,
    /// It has read the last message on its subject and listens for another; it may have received one of a foreign claim.
    Listening { last: u8, foreign: bool, spoken: bool },
    /// It has stored a claim and publishes it next.
    Claiming { claim: Claim, expected: u8 },
    /// It holds a claim. A round is open, or none.
    Holding { claim: Claim, expected: u8, round: Option<Round> },
    /// It stopped for good, loudly.
    Refused,
}

/// One round of publishing (rule 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Round {
    pub date: Moment,
    /// What one snapshot found: the rows that are still to be published, the count, and its last nonce.
    pub rows: Vec<Row>,
    pub count: u8,
    pub nonce: Mutation,
    /// Whether an event of this round was accepted, so that the remainder goes out unguarded.
    pub guarded: bool,
}

/// A process that serves a database and publishes for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    pub up: bool,
    pub database: usize,
    pub relay: Relay,
    /// The claim that its answers state (P5).
    pub states: Option<Claim>,
    /// The claim it minted last, and where its last accepted word stands: stream and position. Both in memory.
    pub minted: Option<Claim>,
    pub accepted: Option<(u8, u8)>,
}

/// What is said on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Claim,
    Watermark { date: Moment },
    Event { account: u8, state: Account },
}

/// A message: its claim and incarnation; the sequence of an event, or the count of a word; the nonce that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub claim: Claim,
    pub incarnation: u8,
    pub sequence: u8,
    pub nonce: Mutation,
    pub kind: Kind,
    pub database: usize,
    /// It never reaches the replica.
    pub lost: bool,
}

/// The broker's stream. Positions begin at 1; `created` tells two streams of one name apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stream {
    pub created: u8,
    pub messages: Vec<Message>,
}

/// One source's answer as a replica keeps it, with its evidence (rule 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    pub state: Account,
    pub claim: Option<Claim>,
    pub position: u8,
    /// The start of its latest request: the load's number orders requests, the date is what it reflects.
    pub start: Option<(u8, Moment)>,
    pub complete: Moment,
    /// The number of the first load that began after this finished.
    pub finished: u8,
    /// Which database answered. Only the invariants look at it.
    pub database: usize,
}

/// A request to the source, with what was noted before it went out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    pub number: u8,
    pub account: u8,
    pub position: u8,
    pub start: Moment,
    pub asked: Option<Fragment>,
    pub answer: Option<Fragment>,
    /// The deletions that had been applied when the last of its readers arrived. Only I1 looks at it.
    pub applied: Mutations,
    /// Its readers, in cases in which they may give up.
    pub waiting: Vec<Waiting>,
}

/// A reader that waits for a load, and what there was when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// The number of the first load that began after that.
    pub next: u8,
    pub now: Moment,
    /// The deletions and all the changes that had been applied. Only the invariants look at them.
    pub deletions: Mutations,
    pub changes: Mutations,
}

/// A reader between its two looks (rule 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    pub account: u8,
    pub watermark: Option<(Claim, Moment)>,
    pub kept_fresh: Option<Fragment>,
    pub applied: Mutations,
}

/// What a writer gets: the version that its mutation made, and the claim that was stated with it (rule 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub account: u8,
    pub version: Version,
    pub claim: Option<Claim>,
    pub mutation: Mutation,
}

/// A replica of the page: what it applied, what it keeps, what it is loading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    pub created: u8,
    pub cursor: u8,
    pub position: u8,
    pub fences: Vec<u8>,
    pub deletions: Vec<u8>,
    pub floor: u8,
    pub live: Option<Claim>,
    /// Where it was received, for those who would order claims by that.
    pub claimed: u8,
    pub retired: u16,
    pub applied: Option<(u8, u8)>,
    pub watermark: Option<Moment>,
    pub cache: Vec<Option<Fragment>>,
    pub loads: Vec<Load>,
    pub reader: Option<Reader>,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub now: Moment,
    pub databases: Vec<Database>,
    pub backup: Option<Database>,
    pub processes: Vec<Process>,
    /// The process that the page's address points to.
    pub address: usize,
    pub stream: Stream,
    /// A publish of a process that died, still under way.
    pub late: Option<(Message, Option<u8>)>,
    pub replica: Replica,
    pub left: Budget,
    /// Next fresh incarnation, claim, load: ids that are never drawn twice.
    pub fresh: [u8; 3],
    /// Whether a database was put back or copied, or the stream made anew.
    pub branched: bool,
    /// The tokens in the hands of clients.
    pub tokens: Vec<Token>,
    /// What was ever published as (incarnation, sequence, nonce), and last shown of each account. Only the invariants look.
    pub named: Vec<(u8, u8, Mutation)>,
    pub shown: Vec<Option<(usize, Mutations)>>,
    /// The deletions that the replica has applied; and all changes, in cases in which readers may give up.
    pub deleted: Mutations,
    pub changes: Mutations,
    /// The invariant that was broken on the way here.
    pub broken: Option<&'static str>,
}
