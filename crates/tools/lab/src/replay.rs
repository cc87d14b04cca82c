//! The recorded checks, happening again: pages change in front of one's eyes, at the pace and in the rounds of reality.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use stack::console::Console;
use stack::data::{Account, Recording, Sample};
use stack::seed::{Seeded, SeededAccount};
use stack::sources::SourceClient;

/// Keeps a very short recording from going round without a rest.
const BETWEEN_LOOPS: Duration = Duration::from_secs(1);

/// Replays every account's recording from its beginning, over and over, `speed` times as fast, until it is dropped.
///
/// Each round goes as one batch, without times: the metrics service stamps it with its own now. A source that is down
/// costs the rounds of that time and no more. A `speed` of 0 waits for ever.
pub async fn replay(
    recording: Arc<Recording>,
    seeded: &Seeded,
    speed: u32,
    sources: &SourceClient,
    console: &Console,
) {
    let mut timelines = JoinSet::new();
    if speed > 0 {
        for (place, account) in recording.accounts.iter().enumerate() {
            let Some(numbers) = seeded.accounts.get(&account.name).cloned() else {
                continue;
            };
            let recording = Arc::clone(&recording);
            let player = Player {
                numbers,
                speed,
                sources: sources.clone(),
                console: console.clone(),
                failing: false,
            };
            timelines.spawn(async move { player.play(&recording.accounts[place]).await });
        }
    }
    timelines.join_all().await;
    std::future::pending::<()>().await;
}

struct Player {
    numbers: SeededAccount,
    speed: u32,
    sources: SourceClient,
    console: Console,
    /// One line when it begins and one when it ends, not one per round.
    failing: bool,
}

impl Player {
    async fn play(mut self, account: &Account) {
        let Some(first) = account.samples.first() else {
            return;
        };
        loop {
            let began = Instant::now();
            for round in account.rounds() {
                sleep_until(began + due(first, &round[0], self.speed)).await;
                self.post(&account.name, round).await;
            }
            sleep(BETWEEN_LOOPS).await;
        }
    }

    async fn post(&mut self, name: &str, round: &[Sample]) {
        let posted = self
            .sources
            .record(self.numbers.id, &self.numbers.translate(round, |_| None))
            .await;
        match posted {
            Err(ref error) if !self.failing => {
                self.console.say(format_args!(
                    "the replay of {name} fails and goes on trying: {error:#}"
                ));
            }
            Ok(()) if self.failing => self.console.say(format_args!("the replay of {name} works again")),
            _ => {}
        }
        self.failing = posted.is_err();
    }
}

/// How long after the beginning a sample's turn is.
fn due(first: &Sample, sample: &Sample, speed: u32) -> Duration {
    let recorded = Duration::from_secs((sample.unix_time - first.unix_time).unsigned_abs());
    recorded / speed
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::data::State;

    fn at(unix_time: i64) -> Sample {
        Sample {
            unix_time,
            endpoint_id: 1,
            state: State::Up,
            status_code: 200,
            response_ms: 1,
        }
    }

    #[test]
    fn a_day_takes_about_five_minutes_at_300() {
        assert_eq!(
            due(&at(1_000), &at(1_000 + 86_400), 300),
            Duration::from_secs(288)
        );
    }
}
