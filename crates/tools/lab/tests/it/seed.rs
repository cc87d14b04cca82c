use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use stack::data::Recording;
use stack::seed::seed;

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
