//! Random histories of an account, of the stream and of this database: what was acknowledged stays, and nobody inherits.

use std::collections::BTreeSet;

use event_bus::{Incarnation, Nonce, Place};
use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{MIGRATIONS, News, Store, Word};
use crate::error::StoreError;
use crate::sample::{AccountId, EndpointId, ResponseMs, Sample, State, StatusCode, UnixMs};
use crate::window::{Frame, Window};

const ACCOUNT: AccountId = AccountId(1);

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
    Hear,
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
        12 => Just(Step::Hear),
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

struct World {
    folder: TempDir,
    store: Store,
    incarnation: u128,
    lives: u64,
    /// The account's, if it is there.
    alive: Option<u64>,
    /// This database has given the account's id out.
    given_out: bool,
    /// Where it was first said that the account is there. 0: in a stream that is gone; none: it was not said.
    told: Option<u64>,
    stream: i64,
    messages: Vec<Word>,
    arrived: usize,
    /// The subscription exists, and this much of the stream is past for it.
    past: u64,
    /// This database has heard something.
    heard: bool,
    written: Vec<Written>,
}

impl World {
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
            heard: false,
            written: Vec::new(),
        };
        world.begin().await;
        world
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Create | Step::Update | Step::Delete | Step::Reset | Step::Restore => self.happen(step),
            Step::Hear => self.hear().await,
            Step::Replay => {
                for word in &self.messages[..self.arrived] {
                    self.store.hear_account(*word).await.unwrap();
                    self.heard = true;
                }
            }
            Step::Write => self.write().await,
            Step::Restart { empty } => {
                if empty {
                    (self.store, self.folder) = open().await;
                    self.written.clear();
                    self.heard = false;
                } else {
                    self.store = Store::open(&self.folder.path().join("db"), false).await.unwrap();
                }
                self.begin().await;
            }
            Step::NewStream => {
                while self.arrived < self.messages.len() {
                    self.hear().await;
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
                self.say(News::Created, self.lives);
            }
            (Step::Update, Some(life)) => self.say(News::Updated, life),
            (Step::Delete, Some(life)) => {
                self.say(News::Deleted, life);
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

    fn say(&mut self, news: News, life: u64) {
        self.told.get_or_insert(self.messages.len() as u64 + 1);
        self.messages.push(Word {
            account: ACCOUNT,
            news,
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
        self.store.begin(end).await.unwrap();
    }

    async fn hear(&mut self) {
        let Some(word) = self.messages.get(self.arrived) else {
            return;
        };
        self.store.hear_account(*word).await.unwrap();
        self.heard = true;
        self.arrived += 1;
        self.past = self.past.max(word.place.sequence);
    }

    /// Only the account's owner writes, and only while it is there.
    async fn write(&mut self) {
        let Some(life) = self.alive else { return };
        let there = present(&self.store).await;
        if !write(&self.store, life).await {
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
            // What is there before anything was heard is the next one's.
            goes: self.heard && self.told.is_some_and(|told| told <= self.arrived as u64),
        });
    }

    async fn check(&self) {
        let there = present(&self.store).await;
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

async fn open() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db"), false).await.unwrap();
    (store, folder)
}

fn now() -> Timestamp {
    "2026-03-01T10:07:30Z".parse().unwrap()
}

/// Whether it was acknowledged.
async fn write(store: &Store, life: u64) -> bool {
    let sample = Sample {
        at: UnixMs(now().as_millisecond()),
        state: State::Up,
        status_code: StatusCode::parse(Some(200)).unwrap(),
        response_ms: ResponseMs::parse(Some(1)).unwrap(),
    };
    let endpoint = EndpointId::parse(Some(life.cast_signed())).unwrap();
    let batch = [(endpoint, sample)].into_iter().collect();
    match store.record(ACCOUNT, |_| true, batch).await {
        Ok(_) => true,
        Err(StoreError::AccountDeleted) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Whose samples there are.
async fn present(store: &Store) -> BTreeSet<u64> {
    let frame = Frame::holding(now(), Window::Hour);
    let summarised = store.summarise(ACCOUNT, frame).await.unwrap();
    let endpoints = summarised.endpoints.iter();
    endpoints.map(|(id, _)| id.get().cast_unsigned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_acknowledged_stays_and_nobody_inherits(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
                if world.arrived == world.messages.len() {
                    world.check().await;
                }
            }
            for step in [Step::Hear; 40].into_iter().chain([Step::Replay, Step::Replay]) {
                world.take(step).await;
            }
            world.check().await;
        });
    }
}

/// A database as the service left it before there were lives: account 1 has a sample, and was heard of.
async fn database_of_before() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = group_commit::Database::open(&folder.path().join("db"), &MIGRATIONS[..5]).unwrap();
    let at = now().as_millisecond();
    let lay = move |c: &Connection| {
        c.execute_batch(
            "INSERT INTO incarnations_heard (incarnation) VALUES ('00000000000000000000000000000001');
             INSERT INTO accounts (account_id, revision, heard_in) VALUES (1, 1, 1);
             INSERT INTO endpoints (account_id, endpoint_id, unpacked) VALUES (1, 1, 1)",
        )?;
        c.execute("INSERT INTO samples VALUES (1, 1, ?1, 'up', 200, 1)", [at])?;
        Ok::<_, group_commit::Error>(())
    };
    database.write(lay).await.unwrap();
    folder
}

#[tokio::test]
async fn a_database_of_before_goes_on_and_learns_whose_its_data_is() {
    for (incarnation, news, left) in [
        (1, News::Updated, &[1][..]),
        (2, News::Updated, &[1]),
        (1, News::Created, &[1]),
        (1, News::Deleted, &[]),
        (2, News::Created, &[]),
        (2, News::Deleted, &[]),
    ] {
        let folder = database_of_before().await;
        let store = Store::open(&folder.path().join("db"), false).await.unwrap();
        assert_eq!(life_of(&store).await, None);
        let place = |sequence| Place { stream: 1, sequence };
        store.begin(place(5)).await.unwrap();
        let word = Word {
            account: ACCOUNT,
            news,
            life: Some(Nonce(7)),
            incarnation: Incarnation(incarnation),
            place: place(6),
        };
        store.hear_account(word).await.unwrap();
        assert_eq!(
            present(&store).await,
            BTreeSet::from_iter(left.to_vec()),
            "{word:?}"
        );
        assert_eq!(life_of(&store).await, Some(Nonce(7)));
    }
}

async fn life_of(store: &Store) -> Option<Nonce> {
    store.known(ACCOUNT).await.unwrap().life()
}
