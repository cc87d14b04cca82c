//! Events that never arrive: the same reads, writes and losses for the cache as it is usually written, and for this one.
//!
//! `cargo run -p fresh-cache --example lost` counts the stale reads; with `-- watch` it shows what a dashboard would.
//!
//! Time is simulated, so every run prints the same. For a minute one event in twenty is lost; then nothing at all is
//! received for half a minute, and what was sent in that time is gone; then the link works again.

#[path = "shared/dated.rs"]
mod dated;
#[path = "shared/pages.rs"]
mod pages;

use std::time::Duration;

use dated::Source;
use fresh_cache::{
    Audit, CacheOptions, Clock as _, Consistency, FeedWriter, FreshCache, ManualClock, Moment, Outcome,
    SourceId,
};
use moka::future::Cache;
use pages::Pages;

const SOURCE: SourceId = SourceId(0);
const PAGES: u64 = 50;
/// One read comes per tick.
const TICK: Duration = Duration::from_millis(10);
const TICKS_PER_SECOND: u64 = 100;
const TICKS_PER_WATERMARK: u64 = 25;
const TICKS_PER_WRITE: u64 = 50;
/// Writes come this long before a watermark, so that a lost one is not found out at once.
const TICKS_TO_WATERMARK: u64 = 20;
const ONE_EVENT_IS_LOST_OF: u64 = 20;
/// What becomes of the events, and for how many seconds.
const PHASES: [(Link, u64); 3] = [(Link::Lossy, 60), (Link::Cut, 30), (Link::Works, 60)];
/// What is behind by less may be an event under way.
const TOLERATED: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().nth(1).as_deref() == Some("watch") {
        watch(&mut Run::new()).await;
    } else {
        compare(&mut Run::new()).await;
    }
}

/// One line per phase and cache.
async fn compare(run: &mut Run) {
    println!("stale: behind by more than a second, and nothing says so\n");
    println!(
        "| seconds | events   | cache                     | reads | hits    | stale | furthest behind | requests |"
    );
    println!(
        "| ------: | -------- | ------------------------- | ----: | ------: | ----: | --------------: | -------: |"
    );
    let mut false_dates = 0;
    for (link, seconds) in PHASES {
        let [usual, fresh] = run.play(link, seconds).await;
        let events = format!("{link:?}");
        usual.print(seconds, &events, "`get_with` + `invalidate`");
        fresh.print(seconds, &events, "`fresh-cache`");
        false_dates += fresh.false_dates;
    }
    println!("\nanswers of `fresh-cache` that lack a write from before their own date: {false_dates}");
}

/// One line per ten seconds: what each cache would tell its monitoring.
async fn watch(run: &mut Run) {
    println!(
        "usual: `get_with` + `invalidate`; fresh: `fresh-cache`; wrong: pages that an audit finds different\n"
    );
    println!("| second | events   | usual: hits | stale | wrong | fresh: hits | stale | wrong | last word |");
    println!("| -----: | -------- | ----------: | ----: | ----: | ----------: | ----: | ----: | --------: |");
    for (link, seconds) in PHASES {
        for _ in 0..seconds / 10 {
            let [usual, fresh] = run.play(link, 10).await;
            let [usual_wrong, fresh_wrong] = run.audit().await;
            println!(
                "| {:6} | {:8} | {} | {usual_wrong:5} | {} | {fresh_wrong:5} | {:7.1} s |",
                run.tick / TICKS_PER_SECOND,
                format!("{link:?}"),
                usual.dashboard(),
                fresh.dashboard(),
                run.silence().as_secs_f64(),
            );
        }
    }
}

/// What becomes of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// One in twenty is lost.
    Lossy,
    /// All are lost, and so are the watermarks.
    Cut,
    /// None is lost.
    Works,
}

/// What the readers of one cache got.
#[derive(Clone, Debug, Default)]
struct Tally {
    reads: u64,
    hits: u64,
    stale: u64,
    /// Answers that lack a write from before the date that they tell.
    false_dates: u64,
    furthest_behind: Duration,
    requests: u64,
}

impl Tally {
    /// Notes an answer, and since when it is behind, if it is.
    fn note(&mut self, hit: bool, behind: Duration) {
        self.reads += 1;
        self.hits += u64::from(hit);
        self.stale += u64::from(behind > TOLERATED);
        self.furthest_behind = self.furthest_behind.max(behind);
    }

    #[expect(clippy::cast_precision_loss, reason = "there are few reads")]
    fn percent(&self, count: u64) -> f64 {
        100.0 * count as f64 / self.reads as f64
    }

    fn dashboard(&self) -> String {
        format!("{:9.1} % | {:5}", self.percent(self.hits), self.stale)
    }

    fn print(&self, seconds: u64, events: &str, cache: &str) {
        let Tally {
            reads,
            stale,
            requests,
            ..
        } = self;
        let (hits, behind) = (self.percent(self.hits), self.furthest_behind.as_secs_f64());
        println!(
            "| {seconds:7} | {events:8} | {cache:25} | {reads:5} | {hits:5.1} % | {stale:5} | {behind:13.2} s | {requests:8} |"
        );
    }
}

/// Two caches over the same feed.
struct Run {
    clock: ManualClock,
    tick: u64,
    random: Random,
    usual: (Cache<u64, u64>, Source),
    fresh: (FreshCache<Pages>, Source),
    writer: FeedWriter<u64>,
    /// How many events the source has sent, and the number of the last one that arrived.
    sent: u64,
    received: u64,
    last_word: Moment,
}

impl Run {
    fn new() -> Self {
        let (clock, feed, mut writer) = dated::channel();
        writer.watermark(SOURCE, clock.now());
        let source = Source::default();
        let asked = source.clone();
        let pages = Pages::new(move |page| std::future::ready(asked.revision(page)));
        let pages = FreshCache::new(pages, feed, CacheOptions::default());
        Self {
            last_word: clock.now(),
            clock,
            tick: 0,
            random: Random(1),
            usual: (Cache::new(1_000), Source::default()),
            fresh: (pages, source),
            writer,
            sent: 0,
            received: 0,
        }
    }

    /// Lets time pass; what the readers of each cache got meanwhile.
    async fn play(&mut self, link: Link, seconds: u64) -> [Tally; 2] {
        let mut tallies = [Tally::default(), Tally::default()];
        let before = self.fresh.0.stats().fetches.get();
        for _ in 0..seconds * TICKS_PER_SECOND {
            self.clock.advance(TICK);
            self.tick += 1;
            if (self.tick + TICKS_TO_WATERMARK).is_multiple_of(TICKS_PER_WRITE) {
                self.write(link).await;
            }
            if self.tick.is_multiple_of(TICKS_PER_WATERMARK) && link != Link::Cut {
                self.receive_watermark();
            }
            self.read(&mut tallies).await;
        }
        tallies[1].requests = self.fresh.0.stats().fetches.get() - before;
        tallies
    }

    /// A write is an event, with the next number. It arrives at once, or never.
    async fn write(&mut self, link: Link) {
        let page = self.random.page();
        self.usual.1.commit(page, self.clock.now());
        self.fresh.1.commit(page, self.clock.now());
        self.sent += 1;
        let lost = self.random.below(ONE_EVENT_IS_LOST_OF) == 0;
        if link == Link::Cut || (link == Link::Lossy && lost) {
            return;
        }
        self.usual.0.invalidate(&page).await;
        if self.sent != self.received + 1 {
            self.writer.lost(SOURCE);
        }
        self.writer.changed(SOURCE, &page);
        self.received = self.sent;
    }

    /// The source's word: all that was committed until now is published, and these are so many events.
    fn receive_watermark(&mut self) {
        if self.received < self.sent {
            self.writer.lost(SOURCE);
            self.received = self.sent;
        }
        self.writer.watermark(SOURCE, self.clock.now());
        self.last_word = self.clock.now();
    }

    async fn read(&mut self, tallies: &mut [Tally; 2]) {
        let (page, now) = (self.random.page(), self.clock.now());
        let (pages, source) = &self.usual;
        let hit = pages.contains_key(&page);
        let requests = &mut tallies[0].requests;
        let ask = async {
            *requests += 1;
            source.revision(page)
        };
        let shown = pages.get_with(page, ask).await;
        let unseen = source.first_after(page, shown).unwrap_or(now);
        tallies[0].note(hit, now.saturating_since(unseen));

        let (pages, source) = &self.fresh;
        let answer = pages.read(&page, Consistency::MinimizeLatency).await;
        let shown = *answer.page.content();
        let unseen = source.first_after(page, shown).unwrap_or(now);
        tallies[1].note(answer.outcome == Outcome::Hit, now.saturating_since(unseen));
        tallies[1].false_dates += u64::from(unseen < answer.fresh_as_of);
    }

    /// Holds what each cache would show now against the source: how many pages are wrong.
    async fn audit(&self) -> [usize; 2] {
        let mut wrong = [0, 0];
        for page in 0..PAGES {
            let shown = self.usual.0.get(&page).await;
            wrong[0] +=
                usize::from(shown.is_some_and(|shown| self.usual.1.first_after(page, shown).is_some()));
            wrong[1] += usize::from(matches!(self.fresh.0.audit(&page).await, Audit::Mismatch(_)));
        }
        wrong
    }

    /// Since when nothing is known of the source.
    fn silence(&self) -> Duration {
        self.clock.now().saturating_since(self.last_word)
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // Knuth's constants; the high bits are the better ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn page(&mut self) -> u64 {
        self.below(PAGES)
    }
}
