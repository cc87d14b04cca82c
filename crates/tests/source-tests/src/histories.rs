//! Random histories of an account, of the stream and of this database: what was acknowledged stays, and nobody inherits.

use std::collections::BTreeSet;
use std::path::Path;

use event_bus::lives::{EntityChange, EntityEvent};
use event_bus::{Incarnation, Nonce, Place};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

/// What a service keeps on disk for account 1. Each write is marked with the life in which it was made.
#[expect(async_fn_in_trait, reason = "the tests run on one thread")]
pub trait Store: Sized {
    /// Opens the service's database, or makes it.
    async fn open(path: &Path) -> Self;

    /// A subscription begins; the stream ends here.
    async fn begin(&self, end: Place);

    /// Applies an event of the account.
    async fn apply(&self, event: EntityEvent);

    /// Writes. Returns whether it was acknowledged; if not, the account has ended.
    async fn write(&self, life: u64) -> bool;

    /// The lives whose writes are there.
    async fn present(&self) -> BTreeSet<u64>;

    /// The life of the account whose the data is, if that is known.
    async fn life(&self) -> Option<Nonce>;
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The accounts service creates the account, or changes it.
    Create,
    Update,
    Delete,
    /// Its database is replaced by an empty one.
    Reset,
    /// Its database is replaced by a backup, in which the account is the one that was created last.
    Restore,
    /// The next message arrives here.
    Arrive,
    /// All that have arrived come again, from the beginning of the stream.
    Replay,
    /// The account's owner writes here.
    Write,
    /// This service begins again, perhaps with an empty database.
    Restart {
        empty: bool,
    },
    /// The stream is deleted, and made anew.
    NewStream,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Create),
        2 => Just(Step::Update),
        2 => Just(Step::Delete),
        2 => Just(Step::Reset),
        2 => Just(Step::Restore),
        12 => Just(Step::Arrive),
        2 => Just(Step::Replay),
        8 => Just(Step::Write),
        2 => any::<bool>().prop_map(|empty| Step::Restart { empty }),
        1 => Just(Step::NewStream),
    ]
}

/// What is known to have been acknowledged.
#[derive(Debug, Clone, Copy)]
struct Written {
    life: u64,
    /// It has to be there for as long as the account is.
    stays: bool,
    /// It has to go with the account.
    goes: bool,
}

struct World<S> {
    folder: TempDir,
    store: S,
    incarnation: u128,
    lives: u64,
    /// The account's, if it is there.
    alive: Option<u64>,
    /// This database has given the account's id out.
    given_out: bool,
    /// Where it was first said that the account is there. 0: in a stream that is gone; none: it was not said.
    told: Option<u64>,
    stream: i64,
    messages: Vec<EntityEvent>,
    arrived: usize,
    /// The subscription exists, and this much of the stream is past for it.
    past: u64,
    /// This database has applied an event.
    received: bool,
    written: Vec<Written>,
}

impl<S: Store> World<S> {
    async fn new() -> Self {
        let (store, folder) = open().await;
        let mut world = Self {
            folder,
            store,
            incarnation: 1,
            lives: 0,
            alive: None,
            given_out: false,
            told: None,
            stream: 1,
            messages: Vec::new(),
            arrived: 0,
            past: 0,
            received: false,
            written: Vec::new(),
        };
        world.begin().await;
        world
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Create | Step::Update | Step::Delete | Step::Reset | Step::Restore => self.happen(step),
            Step::Arrive => self.arrive().await,
            Step::Replay => {
                for event in &self.messages[..self.arrived] {
                    self.store.apply(*event).await;
                    self.received = true;
                }
            }
            Step::Write => self.write().await,
            Step::Restart { empty } => {
                if empty {
                    (self.store, self.folder) = open().await;
                    self.written.clear();
                    self.received = false;
                } else {
                    self.store = S::open(&self.folder.path().join("db")).await;
                }
                self.begin().await;
            }
            Step::NewStream => {
                while self.arrived < self.messages.len() {
                    self.arrive().await;
                }
                self.messages.clear();
                self.arrived = 0;
                self.told = self.told.map(|_| 0);
                // As after the broker's clock was set back.
                self.stream -= 1;
                self.begin().await;
            }
        }
    }

    /// At the accounts service.
    fn happen(&mut self, step: Step) {
        match (step, self.alive) {
            (Step::Create, _) if !self.given_out => {
                self.lives += 1;
                self.given_out = true;
                self.alive = Some(self.lives);
                self.say(EntityChange::Created, self.lives);
            }
            (Step::Update, Some(life)) => self.say(EntityChange::Updated, life),
            (Step::Delete, Some(life)) => {
                self.say(EntityChange::Deleted, life);
                self.replace(None);
            }
            (Step::Reset, _) => {
                self.incarnation += 1;
                self.given_out = false;
                self.replace(None);
            }
            (Step::Restore, alive) if self.lives > 0 => {
                self.incarnation += 1;
                self.given_out = true;
                if alive != Some(self.lives) {
                    self.replace(Some(self.lives));
                }
            }
            _ => {}
        }
    }

    /// What the former account had is not promised to anybody any more, not even to the same one, restored.
    fn replace(&mut self, alive: Option<u64>) {
        (self.alive, self.told) = (alive, None);
        self.written.iter_mut().for_each(|written| written.stays = false);
    }

    fn end(&self) -> u64 {
        self.messages.len() as u64
    }

    fn say(&mut self, change: EntityChange, life: u64) {
        self.told.get_or_insert(self.messages.len() as u64 + 1);
        self.messages.push(EntityEvent {
            change,
            life: Some(Nonce(life)),
            incarnation: Incarnation(self.incarnation),
            place: Place {
                stream: self.stream,
                sequence: self.end() + 1,
            },
        });
    }

    async fn begin(&mut self) {
        self.past = self.end();
        let end = Place {
            stream: self.stream,
            sequence: self.past,
        };
        self.store.begin(end).await;
    }

    async fn arrive(&mut self) {
        let Some(event) = self.messages.get(self.arrived) else {
            return;
        };
        self.store.apply(*event).await;
        self.received = true;
        self.arrived += 1;
        self.past = self.past.max(event.place.sequence);
    }

    /// Only the account's owner writes, and only while it is there.
    async fn write(&mut self) {
        let Some(life) = self.alive else { return };
        let there = self.store.present().await;
        if !self.store.write(life).await {
            return;
        }
        let past = self.told.is_some_and(|told| told <= self.past);
        let with_what_stays = self
            .written
            .iter()
            .filter(|written| there.contains(&written.life))
            .all(|written| written.stays);
        self.written.push(Written {
            life,
            // The first word that is still on its way, or that comes to what was there before it was past, takes all.
            stays: past && with_what_stays,
            // What is there before the first event is the next one's.
            goes: self.received && self.told.is_some_and(|told| told <= self.arrived as u64),
        });
    }

    async fn check(&self) {
        let there = self.store.present().await;
        for Written { life, stays, goes } in &self.written {
            if *stays && self.alive == Some(*life) {
                assert!(there.contains(life), "{life} lost what it was promised to keep");
            }
            if *goes && self.told.is_some() && self.alive.is_some_and(|alive| alive != *life) {
                assert!(!there.contains(life), "{:?} inherits from {life}", self.alive);
            }
        }
    }
}

async fn open<S: Store>() -> (S, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = S::open(&folder.path().join("db")).await;
    (store, folder)
}

/// Fails if in one of 64 random histories something that was acknowledged is lost, or something is inherited.
pub fn what_was_acknowledged_stays_and_nobody_inherits<S: Store>() {
    let histories = prop::collection::vec(step(), 1..40);
    let checked = TestRunner::new(Config::with_cases(64)).run(&histories, |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check::<S>(steps));
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

async fn check<S: Store>(steps: Vec<Step>) {
    let mut world = World::<S>::new().await;
    for step in steps {
        world.take(step).await;
        if world.arrived == world.messages.len() {
            world.check().await;
        }
    }
    for step in [Step::Arrive; 40].into_iter().chain([Step::Replay, Step::Replay]) {
        world.take(step).await;
    }
    world.check().await;
}

/// Fails unless a database that is older than lives learns whose its data is. In the one that `before` makes, account 1 was
/// seen in incarnation 1, and has data of life 1.
pub async fn a_database_of_before_goes_on_and_learns_whose_its_data_is<S: Store>(
    before: impl AsyncFn(&Path),
) {
    for (incarnation, change, left) in [
        (1, EntityChange::Updated, &[1][..]),
        (2, EntityChange::Updated, &[1]),
        (1, EntityChange::Created, &[1]),
        (1, EntityChange::Deleted, &[]),
        (2, EntityChange::Created, &[]),
        (2, EntityChange::Deleted, &[]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        before(&path).await;
        let store = S::open(&path).await;
        assert_eq!(store.life().await, None);
        let place = |sequence| Place { stream: 1, sequence };
        store.begin(place(5)).await;
        let event = EntityEvent {
            change,
            life: Some(Nonce(7)),
            incarnation: Incarnation(incarnation),
            place: place(6),
        };
        store.apply(event).await;
        assert_eq!(
            store.present().await,
            BTreeSet::from_iter(left.to_vec()),
            "{event:?}"
        );
        assert_eq!(store.life().await, Some(Nonce(7)));
    }
}
