//! The simple way in: one source, a closure, no feed, one conditional request per page and second.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fresh_cache::{
    CacheOptions, Clock as _, FeedOptions, FeedWriter, Fetched, FreshCache, Loader, ManualClock, Moment,
    Outcome, SourceId, Version, feed, fetch_fn,
};

const SOURCE: SourceId = SourceId(0);

/// What a source has, and whether each request to it was conditional.
#[derive(Clone, Default)]
struct Source {
    revision: Arc<AtomicU64>,
    requests: Arc<Mutex<Vec<bool>>>,
    down: Arc<Mutex<bool>>,
}

impl Source {
    fn ask(&self, id: u64, known: Option<Version>) -> io::Result<Fetched<String>> {
        self.requests.lock().unwrap().push(known.is_some());
        if *self.down.lock().unwrap() {
            return Err(io::Error::other("is down"));
        }
        let revision = self.revision.load(Ordering::SeqCst);
        let version = Version::from_revision(revision);
        if known == Some(version) {
            return Ok(Fetched::not_modified());
        }
        Ok(Fetched::new(
            version,
            format!("account {id}, revision {revision}"),
        ))
    }

    fn take_requests(&self) -> Vec<bool> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn over_a_feed(
    source: &Source,
    clock: &ManualClock,
) -> (
    FreshCache<impl Loader<Key = u64, Page = Option<String>>>,
    FeedWriter<u64>,
) {
    let options = FeedOptions {
        clock: Arc::new(clock.clone()),
        ..FeedOptions::default()
    };
    let (feed, writer) = feed::channel(1, options);
    let source = source.clone();
    let loader = fetch_fn(move |id: u64, known| {
        let source = source.clone();
        async move { source.ask(id, known.map(|known| known.version)) }
    });
    (FreshCache::new(loader, feed, CacheOptions::default()), writer)
}

#[tokio::test]
async fn a_page_is_asked_about_once_a_second_and_conditionally() {
    let (source, clock) = (Source::default(), ManualClock::at(SystemTime::now().into()));
    let (accounts, _writer) = over_a_feed(&source, &clock);
    for _ in 0..3 {
        let answer = accounts.get(&7).await;
        assert_eq!(answer.page.content().as_deref(), Some("account 7, revision 0"));
        assert_eq!(answer.fresh_as_of, clock.now());
    }
    assert_eq!(source.take_requests(), [false]);
    clock.advance(Duration::from_secs(1));
    source.revision.store(1, Ordering::SeqCst);
    let answer = accounts.get(&7).await;
    assert_eq!(answer.page.content().as_deref(), Some("account 7, revision 1"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(accounts.get(&7).await.fresh_as_of, clock.now());
    assert_eq!(accounts.stats().not_modified.get(), 1);
    assert_eq!(source.take_requests(), [true, true]);
}

#[tokio::test]
async fn a_source_that_is_down_leaves_the_last_answer_marked_or_none() {
    let (source, clock) = (Source::default(), ManualClock::at(SystemTime::now().into()));
    let (accounts, _writer) = over_a_feed(&source, &clock);
    accounts.get(&7).await;
    let asked = clock.now();
    *source.down.lock().unwrap() = true;
    clock.advance(Duration::from_secs(2));
    let (known, unknown) = (accounts.get(&7).await, accounts.get(&8).await);
    assert_eq!(known.page.content().as_deref(), Some("account 7, revision 0"));
    assert_eq!(known.fresh_as_of, asked);
    assert_eq!(unknown.page.content(), &None);
    for answer in [known, unknown] {
        assert_eq!(answer.degraded().collect::<Vec<_>>(), [(SOURCE, "is down")]);
    }
}

#[tokio::test]
async fn the_same_cache_over_a_living_feed_asks_when_something_changed() {
    let (source, clock) = (Source::default(), ManualClock::at(SystemTime::now().into()));
    let (accounts, mut writer) = over_a_feed(&source, &clock);
    writer.watermark(SOURCE, clock.now());
    accounts.get(&7).await;
    clock.advance(Duration::from_secs(5));
    writer.watermark(SOURCE, clock.now());
    assert_eq!(accounts.get(&7).await.outcome, Outcome::Hit);
    source.revision.store(1, Ordering::SeqCst);
    writer.changed(SOURCE, &7);
    let answer = accounts.get(&7).await;
    assert_eq!(answer.page.content().as_deref(), Some("account 7, revision 1"));
    assert_eq!(source.take_requests(), [false, true]);
}

#[tokio::test]
async fn without_a_feed_it_takes_a_closure_and_a_number_of_pages() {
    let pages = FreshCache::from_fn(100, |id: u64, _| async move {
        Ok::<_, io::Error>(Fetched::new(Version::from_revision(1), id))
    });
    for id in 0..10_000 {
        assert_eq!(pages.get(&id).await.page.content(), &Some(id));
    }
    let moments = || async {
        pages.get(&0).await;
        pages.page_count()
    };
    // The store bounds itself a while later, by and by.
    for _ in 0..1_000 {
        if moments().await <= 100 {
            return;
        }
    }
    panic!("{} pages are kept", pages.page_count());
}

#[test]
fn a_moment_is_a_system_time_and_prints_as_a_date() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_903_083_042_007);
    let moment = Moment::from(time);
    assert_eq!(moment.to_string(), "2026-11-28T21:58:03.042007Z");
    assert_eq!(SystemTime::from(moment), time);
    assert_eq!(Moment::default().to_string(), "1970-01-01T00:00:00.000000Z");
    let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(Moment::from(before), Moment::default(), "no date is known of it");
    let last = Moment::from_micros(u64::MAX);
    assert!(last.to_string().starts_with("9999-12-"), "{last}");
    assert!(SystemTime::from(last) > time);
}
