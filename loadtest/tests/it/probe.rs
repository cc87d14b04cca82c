//! A change that shows is timed; one that does not is not waited for without end.

use std::time::Duration;

use loadtest::client::Failure;
use loadtest::probe::{Probing, probe};

use crate::fake::Fake;

const SHORT: Probing = Probing {
    changes: 9,
    each_within: Duration::from_millis(60),
    give_up_after: 2,
};

#[tokio::test]
async fn changes_that_show_at_once_are_all_timed() {
    let fake = Fake::spawn().await;
    let probed = probe(&fake.target(), SHORT).await.unwrap();
    assert_eq!(
        (probed.probes, probed.never_visible, probed.mismatches),
        (9, 0, 0)
    );
    assert_eq!(probed.visible.count(), 9);
}

#[tokio::test]
async fn a_change_that_shows_later_is_timed_from_its_acknowledgement() {
    let fake = Fake::spawn().await;
    *fake.behaviour.frozen_at.lock().unwrap() = Some(0);
    let thaw = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        *fake.behaviour.frozen_at.lock().unwrap() = None;
    };
    let patient = Probing {
        changes: 1,
        each_within: Duration::from_secs(10),
        ..SHORT
    };
    let target = fake.target();
    let (probed, ()) = tokio::join!(probe(&target, patient), thaw);
    let visible = probed.unwrap().visible.quantiles();
    assert!((150_000..10_000_000).contains(&visible.max), "{visible:?}");
}

#[tokio::test]
async fn what_never_shows_is_counted_and_given_up_and_its_date_is_looked_at() {
    let fake = Fake::spawn().await;
    *fake.behaviour.frozen_at.lock().unwrap() = Some(0);
    let probed = probe(&fake.target(), SHORT).await.unwrap();
    // Of every three changes only the first is at the source that the fake hides.
    assert_eq!((probed.probes, probed.never_visible), (9, 3));
    assert!(probed.mismatches > 0);
    let impatient = Probing {
        give_up_after: 1,
        ..SHORT
    };
    assert_eq!(probe(&fake.target(), impatient).await.unwrap().probes, 1);
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_an_error() {
    let fake = Fake::spawn().await;
    *fake.behaviour.refusing.lock().unwrap() = true;
    assert_eq!(
        probe(&fake.target(), SHORT).await.unwrap_err(),
        Failure::Status(503)
    );
}
