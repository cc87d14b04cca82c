//! Those who read, and go on whatever breaks.

use std::sync::Arc;
use std::time::Duration;

use stack::{Preferences, Random, Window, random};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::client::{Reader, Wanted};
use crate::config::REPLICAS;
use crate::history::{Replica, Subject};
use crate::preferences;
use crate::recorder::Recorder;
use crate::witness;
use crate::world::World;
use rand::RngExt as _;

/// How many read from one replica side by side.
const SIDE_BY_SIDE: u32 = 12;

/// What readers share.
#[derive(Clone, Debug)]
pub struct Readers {
    /// Their client.
    pub reader: Reader,
    /// What there is to read.
    pub world: Arc<World>,
    /// Where they write down what they got.
    pub recorder: Arc<Recorder>,
    /// Held for reading by each read.
    pub gate: Arc<RwLock<()>>,
    /// Of each page replica, whether it heeds what readers prefer: not if it keeps no pages.
    pub heeds_preferences: [bool; REPLICAS],
}

impl Readers {
    /// Starts the readers of one replica, which read so often a second together.
    pub fn start(&self, tasks: &mut JoinSet<()>, replica: Replica, url: &str, seed: u64, rate: u32) {
        let interval = Duration::from_secs(1) * SIDE_BY_SIDE / rate.max(1);
        let place = 3_000_000 + 1_000 * replica.index as u64 + 100_000 * replica.subject as u64;
        for number in 0..u64::from(SIDE_BY_SIDE) {
            let random = random(seed, place + number);
            let readers = self.clone();
            tasks.spawn(readers.read_on(replica, url.to_owned(), random, interval));
        }
        let (recorder, gate) = (Arc::clone(&self.recorder), Arc::clone(&self.gate));
        tasks.spawn(witness::watch(replica, url.to_owned(), recorder, gate));
    }

    async fn read_on(self, replica: Replica, url: String, mut random: Random, interval: Duration) {
        loop {
            {
                let _reading = self.gate.read().await;
                let wanted = self.choose(replica, &mut random);
                match self.reader.read(replica, &url, &wanted).await {
                    Ok(answer) => self.recorder.answered(answer.response),
                    Err(error) => self.recorder.failed(replica, error),
                }
            }
            let pause = random.random_range(interval / 2..=interval * 3 / 2);
            tokio::time::sleep(pause).await;
        }
    }

    fn choose(&self, replica: Replica, random: &mut Random) -> Wanted {
        let window = match random.random_range(0..6) {
            0 => Window::Week,
            1 | 2 => Window::Day,
            _ => Window::Hour,
        };
        // The control knows none of it: its answers would fall short of what it was never asked.
        let demanding = replica.subject == Subject::Page;
        let read_back = (demanding && random.random_ratio(1, 10))
            .then(|| self.world.write_to_read_back(random))
            .flatten();
        let preferences = if demanding && self.heeds_preferences[replica.index] {
            preferences::draw(random)
        } else {
            Preferences::default()
        };
        let (account, token) = match read_back {
            Some((account, token)) => (account, Some(token)),
            None => (self.world.account_to_read(random), None),
        };
        Wanted {
            account,
            window,
            token,
            preferences,
        }
    }
}
