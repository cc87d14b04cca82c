use std::collections::{HashMap, HashSet};
use std::path::Path;

use jiff::Timestamp;
use stack::data::Recording;
use stack::seed::{fill, seed};

use crate::fake_sources;

#[tokio::test]
async fn seeding_sends_every_sample_once_and_each_accounts_newest_is_now() {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
    let recording = Recording::read(&clone.join("data/uptime")).unwrap();
    let (sources, mut sent) = fake_sources::start(0).await;
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let seeded = seed(&recording, &sources, now).await.unwrap();
    drop(sources);

    let mut newest: HashMap<u64, Timestamp> = HashMap::new();
    let mut count = 0;
    while let Ok((account, samples)) = sent.try_recv() {
        assert!(samples.len() <= 1000);
        count += samples.len();
        for sample in samples {
            let at: Timestamp = sample["at"].as_str().unwrap().parse().unwrap();
            let newest = newest.entry(account).or_insert(at);
            *newest = at.max(*newest);
        }
    }
    assert_eq!(count, 16_786);
    assert_eq!(seeded.accounts.len(), 7);
    for account in seeded.accounts.values() {
        assert_eq!(newest[&account.id], now);
    }
}

#[tokio::test]
async fn a_copy_has_the_newest_samples_of_its_own_endpoints_up_to_now() {
    const NEWEST: usize = 150;
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
    let recording = Recording::read(&clone.join("data/uptime")).unwrap();
    let (sources, mut sent) = fake_sources::start(0).await;
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    for recorded in &recording.accounts {
        let copy = fill(recorded, 7, NEWEST, &sources, now).await.unwrap();
        assert_eq!(copy.endpoints.len(), recorded.endpoints.len());
        let (account, samples) = sent.try_recv().unwrap();
        assert_eq!(account, 7);
        assert!(sent.try_recv().is_err(), "one batch holds them");

        let of = |name| samples.iter().map(move |sample| &sample[name]);
        let times: Vec<Timestamp> = of("at").map(|at| at.as_str().unwrap().parse().unwrap()).collect();
        assert_eq!(
            times.len(),
            NEWEST.min(recorded.samples.len()),
            "{}",
            recorded.name
        );
        assert!(times.is_sorted());
        assert_eq!(times.last(), Some(&now));
        let own: HashSet<_> = copy.endpoints.values().copied().collect();
        assert!(of("endpoint_id").all(|endpoint| own.contains(&endpoint.as_u64().unwrap())));
        // Those that were checked last, and not others moved to their times.
        let shift = now.as_second() - recorded.samples.last().unwrap().unix_time;
        let newest = recorded.samples.iter().rev().take(NEWEST).rev();
        let expected: Vec<_> = newest.map(|sample| sample.unix_time + shift).collect();
        assert_eq!(
            times.iter().map(|at| at.as_second()).collect::<Vec<_>>(),
            expected
        );
    }
}
