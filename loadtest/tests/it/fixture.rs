//! Results as a run finds them, made up: for tests of what is said about them, and to look at the report.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "made-up figures are small"
)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use loadtest::results::{
    CapacityResults, Distribution, FORMAT, Injected, Kind, Machine, Numbers, Quantiles, ReaderBudget,
    Results, Second, Setup, StrategyResults, Trial, Verdict, Work,
};
use loadtest::verdict;

const ROUNDS: u32 = 5;
const TURN_SECONDS: u32 = 20;
const READS_PER_SECOND: usize = 196;

/// How a made-up strategy behaves.
struct Manner {
    name: &'static str,
    /// The share of hits once the cache is warm.
    hits: f64,
    /// Median of a hit and of a miss, in microseconds, and how far misses spread.
    hit_us: f64,
    miss_us: f64,
    spread: f64,
    /// The share of answers that are behind, and by how much at most.
    behind: f64,
    behind_us: f64,
    upstream: f64,
    /// CPU time per page, in microseconds: page, each source, nats.
    cpu_us: [f64; 3],
    visible_us: f64,
}

#[rustfmt::skip]
const MANNERS: [Manner; 5] = [
    Manner { name: "none", hits: 0.0, hit_us: 400.0, miss_us: 61_000.0, spread: 0.75, behind: 0.0, behind_us: 1.0, upstream: 3.0, cpu_us: [910.0, 420.0, 12.0], visible_us: 63_000.0 },
    Manner { name: "ttl", hits: 0.87, hit_us: 390.0, miss_us: 58_000.0, spread: 0.55, behind: 0.06, behind_us: 14_000_000.0, upstream: 0.39, cpu_us: [310.0, 60.0, 12.0], visible_us: 6_100_000.0 },
    Manner { name: "versioned", hits: 0.0, hit_us: 400.0, miss_us: 2_900.0, spread: 0.6, behind: 0.0, behind_us: 1.0, upstream: 3.0, cpu_us: [560.0, 170.0, 12.0], visible_us: 35_000.0 },
    Manner { name: "invalidate", hits: 0.94, hit_us: 380.0, miss_us: 49_000.0, spread: 0.4, behind: 0.000_4, behind_us: 9_000.0, upstream: 0.09, cpu_us: [260.0, 25.0, 31.0], visible_us: 34_000.0 },
    Manner { name: "prepopulate", hits: 0.985, hit_us: 380.0, miss_us: 41_000.0, spread: 0.4, behind: 0.000_3, behind_us: 9_000.0, upstream: 0.11, cpu_us: [285.0, 31.0, 33.0], visible_us: 33_000.0 },
];

/// A run of all strategies that keeps every promise.
pub(crate) fn compare() -> Results {
    static MADE: LazyLock<Results> = LazyLock::new(|| seeded(7));
    MADE.clone()
}

/// Another run of the same, whose figures differ by chance alone.
pub(crate) fn seeded(seed: u64) -> Results {
    let strategies = MANNERS
        .iter()
        .map(|manner| strategy(manner, &mut Random(seed)))
        .collect();
    judged(Kind::Compare, strategies, Vec::new())
}

/// A replayed trace.
pub(crate) fn replay() -> Results {
    let mut results = Results {
        kind: Kind::Replay,
        ..compare()
    };
    results.setup.compression = Some(60.0);
    "as in the trace wiki2018, 1 of 8 of its pages".clone_into(&mut results.setup.popularity);
    results.verdict = verdict::of(&results);
    results
}

/// A search for the limits.
pub(crate) fn capacity() -> Results {
    let found = [
        ("none", 420.0),
        ("ttl", 3_800.0),
        ("versioned", 1_100.0),
        ("invalidate", 5_100.0),
        ("prepopulate", 4_700.0),
    ];
    let found = found
        .into_iter()
        .map(|(name, limit)| searched(name, limit))
        .collect();
    let mut results = judged(Kind::Capacity, Vec::new(), found);
    (results.setup.rate_per_second, results.setup.rounds) = (0.0, 0);
    results
}

/// Readers of one strategy who wait longer and longer and accept older and older pages.
pub(crate) fn budget() -> Results {
    let of = |wait_ms: u64, max_age_seconds: u64| {
        let mut random = Random(wait_ms + 1);
        let invalidate = strategy(&MANNERS[3], &mut random);
        let reading = ReaderBudget {
            wait_ms,
            max_age_seconds,
        };
        let answers = invalidate.total.answers();
        StrategyResults {
            strategy: reading.name(),
            reading: Some(reading),
            total: Numbers {
                marked: if max_age_seconds == 0 {
                    answers / (10 + wait_ms)
                } else {
                    0
                },
                waited_us: Some(invalidate.total.latency_us),
                ..invalidate.total.clone()
            },
            beyond_wait: Distribution(vec![(0, answers - 1), (20_000, 1)]),
            ..invalidate
        }
    };
    let ages = [0, 5].into_iter();
    let readers = ages.flat_map(|age| [0, 100, 900].map(|wait| of(wait, age)));
    let mut results = judged(Kind::Budget, readers.collect(), Vec::new());
    results.setup.injected[0].latency_ms = 500;
    results
}

fn judged(kind: Kind, strategies: Vec<StrategyResults>, capacity: Vec<CapacityResults>) -> Results {
    let mut results = Results {
        format: FORMAT,
        kind,
        started: "2026-11-23T03:12:45Z".parse().unwrap(),
        took_seconds: 612.4,
        machine: Machine {
            cpus: 2,
            cpu_model: "A processor that was made up".to_owned(),
            memory_mib: 24_064,
            system: "Linux 6.1".to_owned(),
        },
        setup: setup(),
        strategies,
        capacity,
        verdict: Verdict::default(),
    };
    results.verdict = verdict::of(&results);
    results
}

fn setup() -> Setup {
    Setup {
        command: "scripts/loadtest compare --rate 200 --rounds 5 --turn 20s --inject metrics=30ms --seed 7"
            .to_owned(),
        stack: "started for this run".to_owned(),
        profile: "release".to_owned(),
        seed: 7,
        rate_per_second: 200.0,
        rounds: ROUNDS,
        turn_seconds: f64::from(TURN_SECONDS),
        accounts: 1_000,
        popularity: "as the pages of lobste.rs were asked for".to_owned(),
        mix: "61 reads to 1 write, as lobste.rs counted".to_owned(),
        reads_per_write: 61.0,
        budget_ms: 250,
        injected: vec![Injected {
            source: "metrics".to_owned(),
            latency_ms: 30,
        }],
        ttl_seconds: 15,
        compression: None,
        notes: vec![
            "All figures of this file are made up: it shows how a report looks, and nothing was measured."
                .to_owned(),
            "Generator and stack share one machine; their CPU time is counted apart.".to_owned(),
        ],
    }
}

/// The samples of one round.
#[derive(Clone, Default)]
struct Samples {
    latency: Vec<u64>,
    behind: Vec<u64>,
    visible: Vec<u64>,
    late: Vec<u64>,
    hits: u64,
    seconds: Vec<Second>,
}

fn strategy(manner: &Manner, random: &mut Random) -> StrategyResults {
    let rounds: Vec<Samples> = (0..ROUNDS).map(|round| sampled(manner, round, random)).collect();
    let all = rounds.iter().cloned().reduce(Samples::joined).unwrap();
    StrategyResults {
        strategy: manner.name.to_owned(),
        total: numbers(manner, &all, f64::from(ROUNDS), 1.0),
        rounds: rounds
            .iter()
            .map(|samples| numbers(manner, samples, 1.0, 0.96 + 0.08 * random.unit()))
            .collect(),
        reading: None,
        latency: distribution(&all.latency),
        beyond_wait: Distribution::default(),
        staleness: distribution(&all.behind),
        seconds: all.seconds,
    }
}

impl Samples {
    fn joined(mut self, other: Self) -> Self {
        self.latency.extend(other.latency);
        self.behind.extend(other.behind);
        self.visible.extend(other.visible);
        self.late.extend(other.late);
        self.seconds.extend(other.seconds);
        self.hits += other.hits;
        self
    }
}

fn sampled(manner: &Manner, round: u32, random: &mut Random) -> Samples {
    let mut samples = Samples::default();
    for second in 0..TURN_SECONDS {
        // A cache that was left alone for the other strategies' turns has to catch up.
        let warmth = 1.0 - 0.6 * (-f64::from(second + round) / 1.5).exp();
        let mut of_second = Second {
            round,
            second: round * TURN_SECONDS + second,
            ..Second::default()
        };
        let mut latencies = Vec::new();
        for _ in 0..READS_PER_SECOND {
            let hit = random.unit() < manner.hits * warmth;
            let (median, spread) = if hit {
                (manner.hit_us, 0.25)
            } else {
                (manner.miss_us, manner.spread)
            };
            latencies.push(random.around(median, spread));
            of_second.hits += u64::from(hit);
            if random.unit() < manner.behind {
                let far = whole(manner.behind_us * random.unit());
                samples.behind.push(far);
                of_second.behind += 1;
                of_second.stale += u64::from(far > 1_000_000);
            }
            samples.late.push(random.around(180.0, 0.5));
        }
        of_second.answers = latencies.len() as u64;
        of_second.p99_us = quantiles(&latencies).p99;
        samples.hits += of_second.hits;
        samples.seconds.push(of_second);
        samples.latency.extend(latencies);
        samples.visible.push(random.around(manner.visible_us, 0.3));
    }
    samples
}

fn numbers(manner: &Manner, samples: &Samples, turns: f64, sway: f64) -> Numbers {
    let reads = samples.latency.len() as u64;
    let per_page = |each: f64| whole(each * reads as f64 * sway);
    let [page, source, nats] = manner.cpu_us;
    let refreshing = manner.name == "prepopulate";
    Numbers {
        seconds: f64::from(TURN_SECONDS) * turns,
        reads,
        errors: BTreeMap::new(),
        within_budget: samples.latency.iter().filter(|us| **us <= 250_000).count() as u64,
        latency_us: quantiles(&samples.latency),
        outcomes: [("hit", samples.hits), ("miss", reads - samples.hits)]
            .map(|(name, n)| (name.to_owned(), n))
            .into(),
        collapsed: whole(reads as f64 * 0.01),
        marked: 0,
        behind: samples.behind.len() as u64,
        stale: samples.behind.iter().filter(|us| **us > 1_000_000).count() as u64,
        mismatches: 0,
        too_old: 0,
        waited_us: None,
        age_us: Some(quantiles(&samples.latency)),
        marked_age_us: None,
        behind_us: (!samples.behind.is_empty()).then(|| quantiles(&samples.behind)),
        writes: reads / 61,
        write_errors: 0,
        work: Work {
            upstream_requests: Some(per_page(manner.upstream)),
            upstream_at_least: false,
            renders: Some(per_page(manner.upstream.min(1.0))),
            refreshes: refreshing.then(|| per_page(0.015)),
            refreshes_wasted: refreshing.then(|| per_page(0.004)),
            cpu_us: [
                ("page", page),
                ("accounts", source),
                ("endpoints", source * 1.1),
                ("metrics", source * 2.3),
                ("nats", nats),
                ("loadtest", 140.0),
            ]
            .map(|(name, each)| (name.to_owned(), per_page(each)))
            .into(),
        },
        visible_us: Some(quantiles(&samples.visible)),
        probes: samples.visible.len() as u64,
        never_visible: 0,
        late_us: quantiles(&samples.late),
    }
}

fn searched(name: &str, limit: f64) -> CapacityResults {
    let rates = [0.25, 0.5, 1.0, 1.5, 1.25, 1.12];
    let trials: Vec<Trial> = rates
        .iter()
        .map(|times| trial(limit * times, *times <= 1.0))
        .collect();
    CapacityResults {
        strategy: name.to_owned(),
        held: Some(limit),
        missed: Some(limit * 1.12),
        generator_limited: false,
        trials,
    }
}

fn trial(rate: f64, held: bool) -> Trial {
    let p99 = if held { 90_000 } else { 1_400_000 };
    let count = whole(rate * 10.0);
    Trial {
        rate,
        answered: if held { rate } else { rate * 0.9 },
        latency_us: Quantiles {
            count,
            p50: 2_000,
            p90: 30_000,
            p99,
            p999: p99 * 2,
            max: p99 * 3,
        },
        late_us: Quantiles {
            count,
            p50: 100,
            p90: 300,
            p99: 900,
            p999: 2_000,
            max: 4_000,
        },
        errors: 0,
        held,
        why: (!held).then(|| "p99 of 1,400 ms is above the budget".to_owned()),
    }
}

pub(crate) fn quantiles(values: &[u64]) -> Quantiles {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| {
        let place = whole((sorted.len() as f64 * share).ceil()) as usize;
        sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
    };
    let count = sorted.len() as u64;
    Quantiles {
        count,
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}

/// Counts of values to three digits.
fn distribution(values: &[u64]) -> Distribution {
    let mut counts = BTreeMap::new();
    for value in values {
        let step = 10_u64.pow(value.checked_ilog10().unwrap_or_default().saturating_sub(2));
        *counts.entry(value / step * step).or_insert(0) += 1;
    }
    Distribution(counts.into_iter().collect())
}

fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// A generator of numbers that differ, the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Between 0 and 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        whole((self.unit() * end as f64).floor())
    }

    /// Mostly near `median`, sometimes far above.
    fn around(&mut self, median: f64, spread: f64) -> u64 {
        let normal = (-2.0 * self.unit().max(1e-9).ln()).sqrt() * (self.unit() * std::f64::consts::TAU).cos();
        whole(median * (normal * spread).exp()).max(1)
    }
}
