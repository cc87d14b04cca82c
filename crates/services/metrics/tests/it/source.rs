//! What every source shows, of an account's samples.

use jiff::Timestamp;
use serde_json::{Value, json};
use source_tests::{Change, Source};

use crate::app::{Metrics, sample_at};

source_tests::tests_of_a_source!(Metrics);

impl Source for Metrics {
    const WHOSE: &str = "the samples'";
    const READS: &[&str] = &["/accounts/1/metrics?window=7d"];
    const ABSENT: &[&str] = &[];
    const OTHERS: &[(&str, u16)] = &[
        ("/accounts/1/metrics", 200),
        ("/accounts/2/metrics", 200),
        ("/nothing", 404),
    ];

    fn creation() -> Change {
        Self::change(-1)
    }

    /// One sample of a fixed moment, so that the same change is the same sample.
    fn change(n: i64) -> Change {
        let today = Timestamp::now().as_second() / 86_400 * 86_400;
        let at = Timestamp::from_second(today - 60 * (n + 2)).unwrap();
        Change::post(
            "/accounts/1/samples",
            json!({ "samples": [sample_at(1, at, "up", 1)] }),
        )
    }

    fn other_changes() -> Vec<Change> {
        Vec::new()
    }

    /// Without the end of the window.
    fn written_tag(read: &str) -> String {
        let (samples, _) = read.rsplit_once('-').unwrap();
        format!("{samples}\"")
    }

    async fn assert_shows(&self, answered: &Value) {
        let revision = &self.metrics(1, "7d").await["revision"];
        assert_eq!(revision, &answered["revision"]);
        assert_eq!(revision, self.count(1).await, "one sample by each change");
    }
}
