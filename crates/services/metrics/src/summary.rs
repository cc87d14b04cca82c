//! What is told of an endpoint's samples. Pure: a summary depends on the samples inside the frame and on nothing else.

use std::ops::Range;

use crate::histogram::Bin;
use crate::sample::{ResponseMs, Sample};
use crate::window::Frame;

/// What the samples of one endpoint in one frame come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    pub(crate) samples: usize,
    /// The share of samples that are not down, 0 to 1. Not rounded: one failure in a million must not read as none.
    pub(crate) uptime: f64,
    /// Percentiles of the response time over the samples that are not down; none if all of them are.
    pub(crate) p50: Option<ResponseMs>,
    pub(crate) p95: Option<ResponseMs>,
    pub(crate) p99: Option<ResponseMs>,
    /// The newest of the samples.
    pub(crate) last: Sample,
    /// One point per bucket, from the frame's start.
    pub(crate) series: Vec<Point>,
}

/// One bucket of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) samples: usize,
    /// None without samples.
    pub(crate) uptime: Option<f64>,
    /// None without a sample that is not down.
    pub(crate) p50: Option<ResponseMs>,
}

/// A summary in the making: takes the bins of one endpoint's samples, bucket by bucket.
#[derive(Debug)]
pub(crate) struct Tally {
    frame: Frame,
    buckets: Vec<Bucket>,
    /// The response times of the samples that are not down, those of one bucket after those of the one before.
    answered: Vec<ResponseMs>,
    /// Which bucket the last bin was in, and which other bins are.
    current: (usize, Range<Bin>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    samples: usize,
    /// How many of them are not down.
    answered: usize,
}

impl Tally {
    pub(crate) fn new(frame: Frame) -> Self {
        let start = Bin::first_of_minute(frame.start());
        Self {
            frame,
            buckets: vec![Bucket::default(); frame.buckets()],
            answered: Vec::new(),
            current: (0, start..start),
        }
    }

    /// Counts the samples of the bin, if it is inside the frame. Its bucket is not before that of the one added last.
    pub(crate) fn add(&mut self, bin: Bin, samples: u32) {
        if !self.current.1.contains(&bin) {
            // Buckets begin and end with a minute: all of it is in the same one.
            let Some(bucket) = self.frame.bucket_of(bin.minute()) else {
                return;
            };
            let (start, end) = self.frame.bucket(bucket);
            self.current = (bucket, Bin::first_of_minute(start)..Bin::first_of_minute(end));
        }
        let samples = usize::try_from(samples).expect("as many as fit in memory");
        let bucket = &mut self.buckets[self.current.0];
        bucket.samples += samples;
        if let Some(response) = bin.response_ms() {
            bucket.answered += samples;
            self.answered.extend(std::iter::repeat_n(response, samples));
        }
    }

    /// With the newest of the samples, which a histogram does not know.
    pub(crate) fn finish(mut self, last: Sample) -> Summary {
        let all = Bucket {
            samples: self.buckets.iter().map(|bucket| bucket.samples).sum(),
            answered: self.answered.len(),
        };
        let series = series(&self.buckets, &mut self.answered);
        let [p50, p95, p99] = percentiles(&mut self.answered, [50, 95, 99]);
        Summary {
            samples: all.samples,
            uptime: all.uptime().expect("the newest sample was counted"),
            p50,
            p95,
            p99,
            last,
            series,
        }
    }
}

impl Bucket {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below 2^53 samples, which no memory holds"
    )]
    fn uptime(self) -> Option<f64> {
        (self.samples > 0).then(|| self.answered as f64 / self.samples as f64)
    }
}

fn series(buckets: &[Bucket], mut answered: &mut [ResponseMs]) -> Vec<Point> {
    let mut series = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let own;
        (own, answered) = answered.split_at_mut(bucket.answered);
        let [p50] = percentiles(own, [50]);
        series.push(Point {
            samples: bucket.samples,
            uptime: bucket.uptime(),
            p50,
        });
    }
    series
}

/// Percentiles, asked for in ascending order, by the nearest-rank method: the smallest of the values such that at least
/// `percent` of 100 of them are not above it, which is the one at rank ⌈percent · n / 100⌉ in their order. Always a value
/// that was measured. <https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>
fn percentiles<const N: usize>(values: &mut [ResponseMs], percents: [usize; N]) -> [Option<ResponseMs>; N] {
    let count = values.len();
    // What is not below the percentile that was found last, and how many are before it.
    let (mut rest, mut before) = (values, 0);
    percents.map(|percent| {
        let index = (percent * count).div_ceil(100).checked_sub(1)? - before;
        rest.select_nth_unstable(index);
        before += index;
        rest = &mut std::mem::take(&mut rest)[index..];
        rest.first().copied()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{State, StatusCode, UnixMs};
    use crate::window::Window;

    fn times(values: impl IntoIterator<Item = i64>) -> Vec<ResponseMs> {
        values
            .into_iter()
            .map(|ms| ResponseMs::parse(Some(ms)).unwrap())
            .collect()
    }

    #[test]
    fn percentiles_are_the_examples_of_the_definition() {
        let five = percentiles(&mut times([50, 15, 35, 20, 40]), [5, 30, 40, 50, 100]);
        assert_eq!(
            five.map(|ms| ms.map(ResponseMs::get)),
            [15, 20, 20, 35, 50].map(Some)
        );
        assert_eq!(percentiles(&mut [], [50, 95, 99]), [None; 3]);
        let one = percentiles(&mut times([7]), [50, 95, 99]);
        assert_eq!(one.map(|ms| ms.map(ResponseMs::get)), [Some(7); 3]);
        let hundred = percentiles(&mut times((1..=100).rev()), [50, 95, 99]);
        assert_eq!(hundred.map(|ms| ms.map(ResponseMs::get)), [50, 95, 99].map(Some));
    }

    /// The definition itself, by counting, with no sorting and no rank.
    fn percentile_by_definition(values: &[u32], percent: usize) -> Option<u32> {
        let reaches =
            |value: u32| values.iter().filter(|v| **v <= value).count() * 100 >= percent * values.len();
        values.iter().copied().filter(|value| reaches(*value)).min()
    }

    fn naive(samples: &[Sample], start: i64, end: i64) -> (usize, Option<f64>, [Option<u32>; 3]) {
        let inside = samples.iter().filter(|s| s.at.0 >= start && s.at.0 < end);
        let (down, answered): (Vec<&Sample>, Vec<&Sample>) = inside.partition(|s| s.state == State::Down);
        let total = down.len() + answered.len();
        let share =
            f64::from(u32::try_from(answered.len()).unwrap()) / f64::from(u32::try_from(total).unwrap());
        let values: Vec<_> = answered.iter().map(|s| s.response_ms.get()).collect();
        let percentiles = [50, 95, 99].map(|percent| percentile_by_definition(&values, percent));
        (total, (total > 0).then_some(share), percentiles)
    }

    fn summarise(frame: Frame, samples: &[Sample]) -> Option<Summary> {
        let mut bins = BTreeMap::<_, u32>::new();
        for sample in samples {
            *bins.entry(Bin::of(sample)).or_default() += 1;
        }
        let mut tally = Tally::new(frame);
        for (bin, samples) in bins {
            tally.add(bin, samples);
        }
        let inside = |sample: &&Sample| frame.start() <= sample.at && sample.at < frame.end();
        let last = samples.iter().filter(inside).max_by_key(|sample| sample.at)?;
        Some(tally.finish(*last))
    }

    fn window() -> impl Strategy<Value = Window> {
        prop::sample::select(&Window::ALL[..])
    }

    /// Samples around a frame's edges and inside it, one per moment.
    fn samples(frame: Frame) -> impl Strategy<Value = Vec<Sample>> {
        let (start, end) = (frame.start().0, frame.end().0);
        let moment = prop_oneof![
            8 => start..end,
            // Many in one minute.
            8 => start..start + 60_000,
            1 => start - 2..start + 2,
            1 => end - 2..end + 2,
            1 => end..end + 60_000,
            1 => start - 1_000_000..start,
        ];
        let state = prop_oneof![4 => Just(State::Up), 1 => Just(State::Degraded), 2 => Just(State::Down)];
        // Few different times, so that there are ties.
        let one = (
            moment,
            state,
            0..=599_i64,
            prop_oneof![0..20_i64, 0..=600_000_i64],
        );
        proptest::collection::vec(one, 0..120).prop_map(|rows| {
            let samples: BTreeMap<_, _> = rows
                .into_iter()
                .map(|(at, state, code, ms)| {
                    let sample = Sample {
                        at: UnixMs(at),
                        state,
                        status_code: StatusCode::parse(Some(code)).unwrap(),
                        response_ms: ResponseMs::parse(Some(ms)).unwrap(),
                    };
                    (at, sample)
                })
                .collect();
            samples.into_values().collect()
        })
    }

    fn now() -> impl Strategy<Value = Timestamp> {
        (0..4_000_000_000_000_i64).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
    }

    fn scene() -> impl Strategy<Value = (Timestamp, Window, Vec<Sample>)> {
        (now(), window())
            .prop_flat_map(|(now, window)| (Just(now), Just(window), samples(Frame::holding(now, window))))
    }

    proptest! {
        #[test]
        fn a_summary_is_what_counting_by_hand_gives((now, window, samples) in scene()) {
            let frame = Frame::holding(now, window);
            let (start, end) = (frame.start().0, frame.end().0);
            let (total, uptime, percentiles) = naive(&samples, start, end);
            let Some(summary) = summarise(frame, &samples) else {
                prop_assert_eq!(total, 0);
                return Ok(());
            };
            prop_assert_eq!((summary.samples, Some(summary.uptime)), (total, uptime));
            let [p50, p95, p99] = percentiles;
            let told = [summary.p50, summary.p95, summary.p99].map(|ms| ms.map(ResponseMs::get));
            prop_assert_eq!(told, [p50, p95, p99]);
            let newest = samples.iter().filter(|s| s.at.0 >= start && s.at.0 < end).max_by_key(|s| s.at);
            prop_assert_eq!(Some(&summary.last), newest);
            let bucket = window.bucket_seconds() * 1_000;
            prop_assert_eq!(i64::try_from(summary.series.len()).unwrap() * bucket, end - start);
            for (from, point) in (start..).step_by(usize::try_from(bucket).unwrap()).zip(&summary.series) {
                let (total, uptime, [p50, ..]) = naive(&samples, from, from + bucket);
                prop_assert_eq!((point.samples, point.uptime), (total, uptime));
                prop_assert_eq!(point.p50.map(ResponseMs::get), p50);
            }
        }

        /// Rule 9: until the bucket ends, the same samples give the same answer, whenever it is asked for; and what
        /// lies outside of the frame makes no difference.
        #[test]
        fn a_summary_is_a_function_of_the_samples_in_its_frame(
            (now, window, samples) in scene(),
            elapsed in 0.0..1.0_f64,
        ) {
            let frame = Frame::holding(now, window);
            let holds_ms = i64::try_from(frame.seconds_left(now)).unwrap() * 1_000;
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "any moment will do")]
            let later_ms = now.as_millisecond() + (holds_ms as f64 * elapsed) as i64;
            let later = Frame::holding(Timestamp::from_millisecond(later_ms).unwrap(), window);
            prop_assert_eq!(later, frame);

            let inside = samples.iter().copied().filter(|s| frame.start() <= s.at && s.at < frame.end());
            prop_assert_eq!(summarise(frame, &inside.collect::<Vec<_>>()), summarise(frame, &samples));
        }
    }
}
