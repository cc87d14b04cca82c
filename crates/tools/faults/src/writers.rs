//! Those who change things, and go on whatever breaks.

mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::task::JoinSet;

use rand::RngExt as _;
use stack::{Moment, Random, Source, random};

pub use writer::{Acknowledged, Writer};

/// Starts the writers: two for each source, and one for accounts that come and go. Each write holds `gate` for reading.
pub fn start(tasks: &mut JoinSet<()>, writer: &Writer, gate: &Arc<RwLock<()>>, seed: u64, rate: u32) {
    // Two of three: what comes and goes is written by the others.
    let interval = Duration::from_secs(6) / rate.max(1);
    // Odd and even accounts: the writes of one account at one source are one after the other.
    let halves = [0, 1].into_iter();
    let writers = halves.flat_map(|half| Source::ALL.map(|source| (half, source)));
    for (number, (half, source)) in (0..).zip(writers) {
        let (writer, gate) = (writer.clone(), Arc::clone(gate));
        let random = random(seed, 1_000_000 + number);
        tasks.spawn(write_steadily(writer, gate, source, half, random, interval));
    }
    let random = random(seed, 2_000_000);
    tasks.spawn(come_and_go(writer.clone(), Arc::clone(gate), random));
}

async fn write_steadily(
    writer: Writer,
    gate: Arc<RwLock<()>>,
    source: Source,
    half: u64,
    mut random: Random,
    interval: Duration,
) {
    loop {
        // A burst now and then: several events, one after the other, while a page is being composed.
        let burst = if random.random_ratio(1, 10) { 4 } else { 1 };
        let account = (writer.world.steady_account(&mut random) - 1) / 2 * 2 + half + 1;
        for _ in 0..burst {
            let _writing = gate.read().await;
            let _ = writer.change(source, account, &mut random).await;
        }
        let pause = random.random_range(interval / 2..=interval * 3 / 2);
        tokio::time::sleep(pause * burst).await;
    }
}

async fn come_and_go(writer: Writer, gate: Arc<RwLock<()>>, mut random: Random) {
    loop {
        {
            let _writing = gate.read().await;
            let _creating = writer.world.may_create().await;
            let extras = writer.world.extras();
            if extras < 2 || (extras < 5 && random.random_ratio(1, 2)) {
                create_extra(&writer, &mut random).await;
            } else if let Some(account) = writer.world.take_oldest_extra() {
                let _ = writer.delete_account(account).await;
            }
        }
        let pause = random.random_range(Duration::from_millis(200)..=Duration::from_millis(600));
        tokio::time::sleep(pause).await;
    }
}

async fn create_extra(writer: &Writer, random: &mut Random) {
    if let Some(created) = writer.create_account().await {
        let _ = writer.change_endpoints(created.account, random).await;
        let _ = writer.record_sample(created.account, random).await;
    }
}

/// Creates accounts until all the steady ones are there.
///
/// # Panics
/// When accounts takes none for twenty seconds.
pub async fn settle(writer: &Writer) {
    let until = Moment::now().plus(Duration::from_secs(20));
    let mut last = 0;
    while last < writer.world.steady {
        // Who did not answer may have created one: the next gets the id after it.
        if let Some(created) = writer.create_account().await {
            last = created.account;
        } else {
            assert!(Moment::now() < until, "accounts takes no account");
        }
    }
}

/// Gives each steady account an endpoint and a sample. To be done before the writers start: who adds an endpoint must be the
/// only one, for its number to be the highest in the list.
pub async fn create_fixtures(writer: &Writer, random: &mut Random) {
    for account in 1..=writer.world.steady {
        let _ = writer.change_endpoints(account, random).await;
        let _ = writer.record_sample(account, random).await;
    }
}
