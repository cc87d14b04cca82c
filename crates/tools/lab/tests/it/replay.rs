use std::collections::HashMap;
use std::sync::Arc;

use lab::replay::replay;
use stack::data::{Account, Recording, Sample, Skipped, State};
use stack::seed::{Seeded, SeededAccount};

use crate::capture::Captured;
use crate::fake_sources;

const NAME: &str = "someone/somewhere";

/// Three rounds, an hour apart, of two, one and two checks.
fn recording() -> Arc<Recording> {
    let sample = |unix_time, endpoint_id| Sample {
        unix_time,
        endpoint_id,
        state: State::Up,
        status_code: 200,
        response_ms: 9,
    };
    let samples = vec![
        sample(0, 1),
        sample(2, 2),
        sample(3600, 1),
        sample(7200, 1),
        sample(7201, 2),
    ];
    let account = Account {
        name: NAME.to_owned(),
        endpoints: Vec::new(),
        samples,
    };
    Arc::new(Recording {
        accounts: vec![account],
        skipped: Skipped::default(),
    })
}

fn seeded() -> Seeded {
    let account = SeededAccount {
        id: 7,
        endpoints: HashMap::from([(1, 41), (2, 42)]),
    };
    Seeded {
        accounts: HashMap::from([(NAME.to_owned(), account)]),
    }
}

#[tokio::test]
async fn rounds_go_as_batches_stamped_by_the_service_over_and_over() {
    let (sources, mut sent) = fake_sources::start(0).await;
    let (console, _) = Captured::console();
    let seeded = seeded();
    let first_four = async {
        let mut batches = Vec::new();
        while batches.len() < 4 {
            batches.push(sent.recv().await.unwrap());
        }
        batches
    };
    let batches = tokio::select! {
        () = replay(recording(), &seeded, 1_000_000, &sources, &console) => unreachable!("it never ends"),
        batches = first_four => batches,
    };
    let sizes: Vec<_> = batches.iter().map(|(_, samples)| samples.len()).collect();
    assert_eq!(sizes, [2, 1, 2, 2], "the fourth is the first again");
    let (account, samples) = &batches[0];
    assert_eq!(*account, 7);
    assert_eq!(samples[1]["endpoint_id"], 42);
    assert_eq!(samples[1].get("at"), None, "the service's now counts");
}

#[tokio::test]
async fn the_replay_outlives_a_source_that_fails_and_says_so_once() {
    let (sources, _sent) = fake_sources::start(2).await;
    let (console, output) = Captured::console();
    let seeded = seeded();
    let said = tokio::select! {
        () = replay(recording(), &seeded, 1_000_000, &sources, &console) => unreachable!("it never ends"),
        said = output.lines_of("lab", 2) => said,
    };
    assert!(
        said[0].contains("fails and goes on trying") && said[0].contains("503"),
        "{said:?}"
    );
    assert!(said[1].contains("works again"), "{said:?}");
}
