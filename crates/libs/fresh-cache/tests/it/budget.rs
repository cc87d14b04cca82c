//! How long a reader waits, and how old its page may be (rules 26 and 27).

use std::time::Duration;

use fresh_cache::{
    CacheOptions, Claim, Consistency, Outcome, ReadOptions, RefreshScope, SourceId, Strategy, Token, Version,
};
use futures::future::join_all;

use crate::held_sources::{Fault, Step};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, revision, version};

const WAIT: Duration = Duration::from_millis(200);
const AGE: Duration = Duration::from_secs(5);
const ANY: Consistency<'static, u64> = Consistency::MinimizeLatency;

/// A page that was read, whose metrics changed since and will not answer.
async fn slow_metrics(mut replica: Replica) -> Replica {
    replica.read().await;
    replica.sources.take_requests();
    replica.live(TICK);
    replica.change(METRICS);
    replica.sources.stop(METRICS, Step::Answer).hold();
    replica
}

/// A read within [`WAIT`] whose requests go out a moment after the reader has arrived, as always but by a clock that stands still.
async fn read_a_moment_before_its_requests(
    replica: &mut Replica,
    consistency: Consistency<'static, u64>,
) -> fresh_cache::Answer<crate::held_sources::Pages> {
    replica.sources.stop(ACCOUNTS, Step::Admit).hold();
    let cache = replica.cache.clone();
    let options = ReadOptions {
        max_wait: Some(WAIT),
        ..consistency.into()
    };
    let reading = tokio::spawn(async move { cache.read(&PAGE, options).await });
    replica.sources.stop(ACCOUNTS, Step::Admit).arrived().await;
    replica.live(TICK);
    replica.sources.stop(ACCOUNTS, Step::Admit).release();
    reading.await.unwrap()
}

fn marked(answer: &fresh_cache::Answer<crate::held_sources::Pages>) -> Vec<SourceId> {
    answer.degraded().map(|(source, _)| source).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_no_longer_than_it_says_and_gets_what_is_known_marked() {
    let replica = slow_metrics(Replica::new()).await;
    let began = tokio::time::Instant::now();
    let complete = replica.clock_now();

    let answer = replica.read_within(WAIT, ANY).await;
    assert!(
        began.elapsed() <= WAIT + Duration::from_millis(1),
        "tokio counts in milliseconds"
    );
    assert!(answer.timed_out);
    assert_eq!(revision(&answer, METRICS), Some(1));
    assert_eq!(marked(&answer), [METRICS]);
    assert!(answer.fresh_as_of < complete, "the date is that of what is shown");
    assert_eq!(replica.cache.loads_in_flight(), 1, "the load goes on");

    replica.sources.stop(METRICS, Step::Answer).release();
    replica.loaded().await;
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, METRICS)),
        (Outcome::Hit, Some(2))
    );
    assert_eq!(marked(&answer), []);
}

#[tokio::test(start_paused = true)]
async fn readers_that_give_up_cost_the_sources_nothing_more() {
    let replica = slow_metrics(Replica::new()).await;
    let reads = (0..100).map(|_| replica.read_within(WAIT, ANY));
    let answers = join_all(reads).await;
    assert!(answers.iter().all(|answer| answer.timed_out));
    let stats = replica.cache.stats();
    assert_eq!((stats.timed_out.get(), stats.collapsed.get()), (100, 99));
    assert_eq!(replica.sources.take_requests().len(), 1, "the one of the load");
    assert_eq!(
        stats.compositions.get(),
        2,
        "one page for all of them, after the first read's"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_shown_and_the_next_reader_gets_no_older_page() {
    let mut replica = slow_metrics(Replica::new()).await;
    replica.change(ACCOUNTS);
    let early = replica.read_within(WAIT, ANY).await;
    assert_eq!(
        (revision(&early, ACCOUNTS), marked(&early)),
        (Some(2), vec![METRICS])
    );

    let aged = replica.cache.read(&PAGE, Replica::aged(AGE)).await;
    assert_eq!(aged.outcome, Outcome::StaleHit);
    assert_eq!(revision(&aged, ACCOUNTS), Some(2), "never back in time");
    assert_eq!(marked(&aged), [], "a reader's wait marks nothing for others");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_missing() {
    let replica = Replica::new();
    replica.sources.stop(METRICS, Step::Answer).hold();
    let answer = replica.read_within(WAIT, ANY).await;
    assert!(answer.timed_out);
    assert_eq!(
        (revision(&answer, ACCOUNTS), revision(&answer, METRICS)),
        (Some(1), None)
    );
    assert_eq!(marked(&answer), [METRICS]);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_is_known_a_reader_waits_on() {
    let replica = Replica::new();
    for source in [ACCOUNTS, METRICS] {
        replica.sources.stop(source, Step::Answer).hold();
    }
    let mut reading = Box::pin(replica.read_within(Duration::ZERO, ANY));
    assert!(futures::poll!(&mut reading).is_pending());
    tokio::time::sleep(WAIT).await;
    replica.settle().await;
    assert!(futures::poll!(&mut reading).is_pending());
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    let answer = reading.await;
    assert_eq!((answer.timed_out, marked(&answer)), (true, vec![METRICS]));
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_the_next_load_gives_up_in_time_too() {
    let mut replica = slow_metrics(Replica::new()).await;
    let first = replica.waiting(ANY).await;
    replica.sources.stop(METRICS, Step::Answer).arrived().await;
    replica.live(TICK);
    replica.change(ACCOUNTS);
    let late = replica.read_within(WAIT, ANY).await;
    assert!(late.timed_out);
    assert_eq!(
        (revision(&late, ACCOUNTS), marked(&late)),
        (Some(1), vec![ACCOUNTS, METRICS]),
        "accounts changed, and was not asked since"
    );
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_was_deleted_is_shown_to_who_does_not_wait() {
    let mut replica = slow_metrics(Replica::new()).await;
    replica.writer.deleted(METRICS, &PAGE);
    let answer = replica.read_within(WAIT, ANY).await;
    assert_eq!(
        (revision(&answer, METRICS), marked(&answer)),
        (None, vec![METRICS])
    );
}

#[tokio::test(start_paused = true)]
async fn by_a_clock_that_stands_still_no_request_is_taken_for_a_later_one() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.writer.deleted(METRICS, &PAGE);
    replica.sources.stop(METRICS, Step::Answer).hold();
    let answer = replica.read_within(WAIT, ANY).await;
    assert_eq!(revision(&answer, METRICS), None);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_reflected_in_time_is_said_to_fall_short() {
    let replica = slow_metrics(Replica::new()).await;
    let tokens = [Token::of(METRICS, PAGE, version(2))];
    let answer = replica
        .read_within(WAIT, Consistency::AtLeastAsFresh(&tokens))
        .await;
    assert_eq!((answer.timed_out, answer.behind), (true, vec![(METRICS, PAGE)]));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_another_publisher_is_not_compared_with_what_the_reader_did_not_wait_for() {
    let replica = Replica::new();
    replica.read().await;
    replica.sources.stop(METRICS, Step::Answer).hold();
    // The database may have been set back, and have written another state at each revision.
    for (claim, behind) in [(Some(Claim(8)), true), (None, true), (Some(Claim(0)), false)] {
        let version = Version {
            revision: 0,
            ..version(1)
        };
        let tokens = [Token {
            claim,
            ..Token::of(METRICS, PAGE, version)
        }];
        let knows = Consistency::AtLeastAsFresh(&tokens);
        let answer = replica.read_within(WAIT, knows).await;
        assert_eq!(revision(&answer, METRICS), Some(1));
        assert_eq!(
            (answer.timed_out, !answer.behind.is_empty()),
            (behind, behind),
            "{claim:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_asked_for_a_reader_of_full_consistency_is_marked() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.live(TICK);
    replica.sources.stop(METRICS, Step::Answer).hold();
    let answer = read_a_moment_before_its_requests(&mut replica, Consistency::FullyConsistent(&[])).await;
    assert_eq!(marked(&answer), [METRICS], "fresh by the feed, and not asked");
    replica.sources.stop(METRICS, Step::Answer).let_others_pass();
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, marked(&answer)),
        (Outcome::Hit, vec![]),
        "for others all is well"
    );
}

#[tokio::test(start_paused = true)]
async fn versions_that_were_confirmed_in_time_are_unmarked() {
    let mut replica = Replica::of(Strategy::Versioned);
    replica.read().await;
    replica.live(TICK);
    replica.sources.stop(METRICS, Step::Answer).hold();
    let answer = read_a_moment_before_its_requests(&mut replica, ANY).await;
    assert_eq!((answer.timed_out, marked(&answer)), (true, vec![METRICS]));
}

#[tokio::test]
async fn a_page_of_an_accepted_age_is_shown_unmarked_and_renewed_once() {
    let replica = slow_metrics(Replica::new()).await;
    let complete = replica.clock_now();
    for _ in 0..10 {
        let answer = replica.cache.read(&PAGE, Replica::aged(AGE)).await;
        assert_eq!((answer.outcome, marked(&answer)), (Outcome::StaleHit, vec![]));
        assert_eq!(revision(&answer, METRICS), Some(1));
        assert!(answer.fresh_as_of < complete, "the date is true");
    }
    let stats = replica.cache.stats();
    assert_eq!((stats.stale_hits.get(), stats.renewals.get()), (10, 1));
    replica.sources.stop(METRICS, Step::Answer).release();
    replica.loaded().await;
    let answer = replica.cache.read(&PAGE, Replica::aged(AGE)).await;
    assert_eq!(
        (answer.outcome, revision(&answer, METRICS)),
        (Outcome::Hit, Some(2))
    );
    assert_eq!(replica.sources.take_requests().len(), 1);
}

#[tokio::test]
async fn an_older_page_than_accepted_is_loaded() {
    let mut replica = slow_metrics(Replica::new()).await;
    replica.sources.stop(METRICS, Step::Answer).let_others_pass();
    replica.live(AGE);
    let answer = replica.cache.read(&PAGE, Replica::aged(AGE)).await;
    assert_eq!(revision(&answer, METRICS), Some(2));
}

#[tokio::test]
async fn an_age_accepts_neither_what_was_deleted_nor_what_another_publisher_said() {
    let mut replica = slow_metrics(Replica::new()).await;
    replica.writer.deleted(METRICS, &PAGE);
    let resident = |replica: &Replica| replica.cache.read_resident(&PAGE, Replica::aged(AGE));
    assert!(resident(&replica).is_none(), "deleted");

    let mut replica = slow_metrics(Replica::new()).await;
    assert!(resident(&replica).is_some());
    replica.writer.claimed(ACCOUNTS, Claim(1));
    assert!(
        resident(&replica).is_none(),
        "another publisher's database may never have held it"
    );
}

#[tokio::test]
async fn an_age_accepts_no_missing_fragment() {
    let mut replica = Replica::new();
    replica
        .sources
        .set(METRICS, |source| source.fault = Some(Fault::Down));
    replica.read().await;
    replica.live(TICK);
    let resident = |replica: &Replica| replica.cache.read_resident(&PAGE, Replica::aged(AGE));
    assert!(resident(&replica).is_none(), "metrics is missing");
}

#[tokio::test]
async fn a_refreshed_page_that_is_shown_old_is_not_wasted() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.change_announced(METRICS, PAGE);
    replica.settle().await;
    assert_eq!(replica.cache.stats().refreshes.get(), 1);
    replica.live(TICK);
    replica.change(METRICS);
    let answer = replica.cache.read_resident(&PAGE, Replica::aged(AGE)).unwrap();
    assert_eq!(answer.outcome, Outcome::StaleHit);
    assert_eq!(replica.cache.stats().refreshes_wasted.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fragment_that_may_not_be_shown_costs_one_page_however_many_readers_give_up() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.live(TICK);
    replica.change(ACCOUNTS);
    replica.writer.deleted(METRICS, &PAGE);
    replica
        .sources
        .set(METRICS, |source| source.fault = Some(Fault::Down));
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let answers = join_all((0..100).map(|_| replica.read_within(WAIT, ANY))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.timed_out && revision(answer, METRICS).is_none())
    );
    let compositions = replica.cache.stats().compositions.get();
    assert_eq!(
        compositions, 3,
        "the first read's, the one that is stored, and one for all readers"
    );
}

#[tokio::test]
async fn an_age_does_not_excuse_what_the_reader_knows_better() {
    let replica = slow_metrics(Replica::new()).await;
    let tokens = [Token::of(METRICS, PAGE, version(2))];
    let options = ReadOptions {
        consistency: Consistency::AtLeastAsFresh(&tokens),
        ..Replica::aged(AGE)
    };
    assert!(replica.cache.read_resident(&PAGE, options).is_none());
    let options = ReadOptions {
        consistency: Consistency::FullyConsistent(&[]),
        ..Replica::aged(AGE)
    };
    assert!(replica.cache.read_resident(&PAGE, options).is_none());
}

#[tokio::test]
async fn an_age_can_be_the_caches_setting() {
    let replica = slow_metrics(Replica::with(CacheOptions {
        max_age: AGE,
        ..CacheOptions::default()
    }))
    .await;
    assert_eq!(replica.read().await.outcome, Outcome::StaleHit);
    let strict = replica.cache.read_resident(&PAGE, Replica::aged(Duration::ZERO));
    assert!(strict.is_none(), "a reader may ask for more");
}
