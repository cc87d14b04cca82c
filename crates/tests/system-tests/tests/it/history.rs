//! Two years of real edits and checks, in their order and as fast as they go, through the whole real stack.
//!
//! What was recorded of seven accounts (`data/uptime`): their owners added, changed and removed endpoints, and checks came in
//! rounds. Each edit becomes a request to endpoints, each round one batch to metrics, moved in time so that an account's
//! newest check is now. The page is pre-populated, and read meanwhile, by some with a wait or an age.
//!
//! All edits are played, and of the rounds every second one, for the time it takes. `HISTORY_EVERY=1` plays all.

mod readers;
mod recording;
mod replay;

use serde_json::Value;
use stack::{Options, Stack, Window};

use self::readers::Readers;
use self::recording::Recording;
use self::replay::Replay;

/// The windows of a page.
const WINDOWS: [Window; 3] = Window::ALL;
/// One page is read for so many steps of the history. Counted in steps and not in time, so that the ratio of reads to
/// writes, on which the cost of pre-populating hangs, is that of no machine.
const STEPS_PER_READ: usize = 4;
/// Longer than anything here takes on a busy machine.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

/// What the page service did.
#[derive(Debug)]
struct Work {
    reads: u64,
    renders: u64,
    refreshes: u64,
    mismatches: u64,
}

impl Work {
    async fn of(stack: &Stack) -> Self {
        let count =
            async |name: &str, labels: &[(&str, &str)]| stack.count(&stack.pages[0], name, labels).await;
        Self {
            reads: count("page_reads_total", &[]).await,
            renders: count("page_compositions_total", &[("result", "rendered")]).await,
            refreshes: count("page_refreshes_total", &[("result", "begun")]).await,
            mismatches: count("page_audit_checks_total", &[("result", "lie")]).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_histories_leave_every_page_true_and_cost_few_renders() {
    let recording = Recording::read();
    assert_eq!((recording.edits(), recording.samples()), (176, 23_916));
    let recording = recording.with_every(every());
    let page_flags = ["--strategy", "prepopulate", "--audit-interval-ms", "200"].map(str::to_owned);
    let stack = Stack::start_with(Options {
        page_flags: page_flags.to_vec(),
        ..Options::default()
    })
    .await;
    let mut replay = Replay::start(&stack, &recording).await;
    let readers = Readers::start(&stack, &replay.accounts());
    for (number, step) in recording.steps().iter().enumerate() {
        replay.play(step).await;
        if number % STEPS_PER_READ == 0 {
            readers.read_one(number / STEPS_PER_READ);
        }
    }
    let seen = readers.finish().await;
    let waited = seen
        .iter()
        .filter(|answer| answer.preferences.wait.is_some())
        .count();
    let aged = seen
        .iter()
        .filter(|answer| answer.preferences.max_age.is_some())
        .count();
    let marked = seen.iter().filter(|answer| answer.marked).count();
    assert!(waited > 0 && aged > 0);
    replay.until_applied().await;
    let work = Work::of(&stack).await;
    let pages = (replay.accounts().len() * WINDOWS.len()) as u64;
    let tally = &replay.tally;
    println!(
        "{} samples in {} rounds, {} of {} edits taken, {} answers seen, {waited} with a wait, \
         {aged} with an age, {marked} marked; renders: {}, refreshes begun: {}, of {} reads; \
         each event rendered into each page would be {} renders",
        tally.samples,
        tally.rounds,
        tally.edits,
        recording.edits(),
        seen.len(),
        work.renders,
        work.refreshes,
        work.reads,
        (tally.rounds + tally.edits - tally.edits_of_nothing) * WINDOWS.len() as u64,
    );
    replay.check_taken(&recording);
    replay.truth.check(&seen);
    for account in replay.accounts() {
        check_converged(&stack, &replay, account).await;
    }
    assert!(
        work.refreshes <= work.reads + pages,
        "more refreshes than reads: {work:?}"
    );
    assert!(
        work.renders * 4 < tally.samples,
        "{work:?} for {} samples",
        tally.samples
    );
    assert_eq!(work.mismatches, 0);
}

/// Of how many rounds one is played.
#[expect(clippy::disallowed_methods, reason = "a test has no config.rs")]
fn every() -> usize {
    std::env::var("HISTORY_EVERY").map_or(2, |every| every.parse().unwrap())
}

/// When every event is applied, each cached page equals one composed for this read, and nothing that was removed is shown.
async fn check_converged(stack: &Stack, replay: &Replay<'_>, account: u64) {
    for window in WINDOWS {
        // A bucket may end between the two reads; hardly twice.
        let page = test_support::eventually(LONG, async || {
            let page = stack.page_with(0, account, window, &[]).await;
            let composed_now = stack
                .page_with(0, account, window, &[("cache-control", "no-cache")])
                .await;
            if page.body == composed_now.body && page.etag == composed_now.etag {
                Ok(page)
            } else {
                Err(format!("{} and composed now: {}", page.body, composed_now.body))
            }
        })
        .await;
        assert!(!page.cache_status.contains("detail"), "{}", page.cache_status);
        assert_eq!(shown(&page.body), replay.truth.latest(account), "{window:?}");
    }
    let html = stack.pages[0].url(&format!("/accounts/{account}"));
    let html = stack.send(stack.request(reqwest::Method::GET, html)).await;
    let html = html.text().await.unwrap();
    for name in replay.removed_names(account) {
        let row = format!("scope=\"row\">{name}<");
        assert!(!html.contains(&row), "{name} was removed and is on {html}");
    }
    assert_eq!(
        html.matches("scope=\"row\"").count(),
        replay.truth.latest(account).1.len()
    );
}

/// The revision of the list of endpoints that a page shows, and their ids.
fn shown(page: &Value) -> (u64, Vec<u64>) {
    let list = &page["endpoints"];
    let ids = list["endpoints"].as_array().unwrap().iter();
    let mut ids: Vec<u64> = ids.map(|endpoint| endpoint["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    (list["revision"].as_u64().unwrap(), ids)
}
