//! A recorded sequence of reads and writes, with times.

mod rows;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use rows::{Operation, Row, kept_keys, spread};

/// The recordings that can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TraceName {
    /// 88 minutes of a cache in production at Twitter; its writes are inferred.
    Twitter52,
    /// The first hour of a virtual machine's disk: more writes than reads.
    Cloudphysics,
}

/// What is replayed.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Which recording it is.
    pub name: TraceName,
    /// In the order in which they were recorded.
    pub requests: Vec<Request>,
    /// How many keys are asked for.
    pub keys: usize,
    /// One of so many keys was kept.
    pub one_in: u32,
    /// The part of the recording that was kept, from its start.
    pub part: Range<Duration>,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When, from the start of the part.
    pub at: Duration,
    /// What for: numbers from 0, by first appearance.
    pub key: u32,
    /// Whether it changes what is asked for.
    pub write: bool,
}

impl TraceName {
    /// What the recording is, in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Twitter52 => "88 minutes of a production cache at Twitter, cluster 52, writes inferred",
            Self::Cloudphysics => {
                "the first hour of a virtual machine's disk, CloudPhysics: storage, not web"
            }
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Twitter52 => "twitter52_keys00_88min.csv.gz",
            Self::Cloudphysics => "cloudphysics_hour1.csv.gz",
        }
    }
}

impl fmt::Display for TraceName {
    /// The name on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twitter52 => "twitter52",
            Self::Cloudphysics => "cloudphysics",
        })
    }
}

impl Trace {
    /// Reads all requests of a part for one in so many keys.
    pub fn read(folder: &Path, name: TraceName, one_in: u32, part: Range<Duration>) -> Result<Self> {
        ensure!(one_in > 0, "one in 0 keys is no key: use 1 for all keys");
        let trace = Self::sample(
            name,
            &super::rows::<Row>(&folder.join(name.file()))?,
            one_in,
            part,
        );
        ensure!(
            !trace.requests.is_empty(),
            "there are no requests for one in {one_in} keys of {name} from {} to {} s",
            trace.part.start.as_secs(),
            trace.part.end.as_secs()
        );
        ensure!(
            trace.writes() < trace.requests.len(),
            "one in {one_in} keys of {name} has no reads from {} to {} s: choose another part or more keys",
            trace.part.start.as_secs(),
            trace.part.end.as_secs()
        );
        Ok(trace)
    }

    fn sample(name: TraceName, rows: &[Row], one_in: u32, part: Range<Duration>) -> Self {
        let since = |moment: Duration| rows.partition_point(|row| row.t < moment.as_secs_f64());
        let rows = &rows[since(part.start)..since(part.end).max(since(part.start))];
        let kept = kept_keys(rows, one_in);
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let mut requests = Vec::new();
        // Spread before keys are left out: a second is as full as it was recorded.
        for (row, at) in rows
            .iter()
            .zip(spread(rows))
            .filter(|(row, _)| kept.contains(&row.key))
        {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            requests.push(Request {
                at: at.saturating_sub(part.start),
                key: *numbers.entry(row.key).or_insert(next),
                write: row.op == Operation::Write,
            });
        }
        Self {
            name,
            requests,
            keys: numbers.len(),
            one_in,
            part,
        }
    }

    /// How many of the requests are writes.
    pub fn writes(&self) -> usize {
        self.requests.iter().filter(|request| request.write).count()
    }

    /// From the start of the part to its last request.
    pub fn length(&self) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |request| request.at)
    }

    /// The share of reads that an ideal cache answers by itself: it forgets nothing and applies every write at once.
    pub fn best_hit_ratio(&self) -> f64 {
        let mut held = HashSet::new();
        let (mut reads, mut hits) = (0_u32, 0_u32);
        for request in &self.requests {
            if request.write {
                held.remove(&request.key);
            } else {
                reads += 1;
                hits += u32::from(!held.insert(request.key));
            }
        }
        f64::from(hits) / f64::from(reads.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Range<Duration> = Duration::ZERO..Duration::MAX;

    fn read(name: TraceName, one_in: u32) -> Trace {
        Trace::read(&super::super::traces(), name, one_in, ALL).unwrap()
    }

    fn percent(trace: &Trace) -> f64 {
        (trace.best_hit_ratio() * 1_000.0).round() / 10.0
    }

    #[test]
    fn the_whole_recordings_are_read() {
        let twitter = read(TraceName::Twitter52, 1);
        assert_eq!(
            (twitter.requests.len(), twitter.keys, twitter.writes()),
            (179_260, 18_530, 2_265)
        );
        assert_eq!(twitter.length().as_secs(), 5_293);
        assert!((percent(&twitter) - 88.8).abs() < 0.05, "{}", percent(&twitter));
        let disk = read(TraceName::Cloudphysics, 1);
        assert_eq!(
            (disk.requests.len(), disk.keys, disk.writes()),
            (55_918, 8_950, 33_591)
        );
        assert!((percent(&disk) - 62.8).abs() < 0.05, "{}", percent(&disk));
    }

    #[test]
    fn a_sample_of_keys_keeps_about_the_hit_ratio() {
        let file = super::super::traces().join(TraceName::Twitter52.file());
        let rows: Vec<Row> = super::super::rows(&file).unwrap();
        let whole = percent(&Trace::sample(TraceName::Twitter52, &rows, 1, ALL));
        for one_in in [2, 4, 8, 16] {
            let sample = Trace::sample(TraceName::Twitter52, &rows, one_in, ALL);
            let share = 179_260 / one_in as usize;
            assert!(
                (share * 3 / 4..share * 5 / 4).contains(&sample.requests.len()),
                "1 in {one_in}"
            );
            assert!(
                (percent(&sample) - whole).abs() < 4.0,
                "1 in {one_in}: {}",
                percent(&sample)
            );
        }
    }

    #[test]
    fn requests_keep_their_order_and_one_second_of_them_is_spread_over_it() {
        let trace = read(TraceName::Twitter52, 1);
        assert!(trace.requests.is_sorted_by_key(|request| request.at));
        assert_eq!(trace.requests[0].key, 0);
        let whole_seconds = trace
            .requests
            .iter()
            .filter(|request| request.at.subsec_nanos() == 0);
        let seconds: HashSet<_> = trace
            .requests
            .iter()
            .map(|request| request.at.as_secs())
            .collect();
        assert_eq!(whole_seconds.count(), seconds.len(), "only the first of each");
    }

    #[test]
    fn a_cache_that_forgets_nothing_misses_first_reads_and_reads_after_writes() {
        let row = |key, op| Row { t: 0.0, key, op };
        let (r, w) = (Operation::Read, Operation::Write);
        let rows = [
            row(1, r),
            row(1, r),
            row(1, w),
            row(1, r),
            row(2, w),
            row(2, r),
            row(1, r),
        ];
        let trace = Trace::sample(TraceName::Twitter52, &rows, 1, ALL);
        assert!((trace.best_hit_ratio() - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_part_begins_anew_and_keys_are_chosen_by_it() {
        let seconds = |from, until| Duration::from_secs(from)..Duration::from_secs(until);
        let busy = TraceName::Cloudphysics;
        let part = Trace::read(&super::super::traces(), busy, 1, seconds(1_680, 1_980)).unwrap();
        let whole = read(busy, 1);
        let reads = |trace: &Trace| trace.requests.len() - trace.writes();
        assert_eq!(
            (reads(&part), reads(&whole)),
            (21_790, 22_327),
            "nearly all reads are in these minutes"
        );
        assert!(part.length() < Duration::from_mins(5) && part.requests[0].at < Duration::from_secs(5));
        assert_eq!(part.requests[0].key, 0);
        assert!(Trace::read(&super::super::traces(), busy, 1, seconds(9_000, 9_001)).is_err());
        assert!(Trace::read(&super::super::traces(), busy, 1, seconds(60, 30)).is_err());
    }

    #[test]
    fn a_part_in_which_nobody_reads_is_refused() {
        let minute = Duration::ZERO..Duration::from_mins(1);
        let refused = Trace::read(&super::super::traces(), TraceName::Cloudphysics, 1, minute);
        let refusal = refused.unwrap_err().to_string();
        assert!(refusal.contains("no reads from 0 to 60 s"), "{refusal}");
    }

    #[test]
    fn no_keys_are_no_sample() {
        assert!(Trace::read(&super::super::traces(), TraceName::Twitter52, 0, ALL).is_err());
    }
}
