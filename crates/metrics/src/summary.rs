//! What is told of an endpoint's samples. Pure: a summary depends on the samples inside the frame and on nothing else.

use crate::sample::{ResponseMs, Sample, State};
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

/// A summary in the making: takes the samples of one endpoint one by one, in any order, and keeps of each four bytes.
#[derive(Debug)]
pub(crate) struct Tally {
    frame: Frame,
    buckets: Vec<Bucket>,
    last: Option<Sample>,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    samples: usize,
    /// The response times of the samples that are not down.
    answered: Vec<ResponseMs>,
}

impl Tally {
    pub(crate) fn new(frame: Frame) -> Self {
        Self {
            frame,
            buckets: vec![Bucket::default(); frame.buckets()],
            last: None,
        }
    }

    /// Counts the sample, if it is inside the frame.
    pub(crate) fn add(&mut self, sample: Sample) {
        let Some(bucket) = self.frame.bucket_of(sample.at) else {
            return;
        };
        let bucket = &mut self.buckets[bucket];
        bucket.samples += 1;
        if sample.state != State::Down {
            bucket.answered.push(sample.response_ms);
        }
        if self.last.is_none_or(|last| last.at <= sample.at) {
            self.last = Some(sample);
        }
    }

    /// None if no sample was inside the frame.
    pub(crate) fn finish(mut self) -> Option<Summary> {
        let last = self.last?;
        let mut all = Bucket {
            samples: self.buckets.iter().map(|bucket| bucket.samples).sum(),
            answered: Vec::with_capacity(self.buckets.iter().map(|bucket| bucket.answered.len()).sum()),
        };
        let series = self.buckets.iter_mut().map(Bucket::point).collect();
        for bucket in &self.buckets {
            all.answered.extend_from_slice(&bucket.answered);
        }
        Some(Summary {
            samples: all.samples,
            uptime: all.uptime()?,
            p50: percentile(&mut all.answered, 50),
            p95: percentile(&mut all.answered, 95),
            p99: percentile(&mut all.answered, 99),
            last,
            series,
        })
    }
}

impl Bucket {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below 2^53 samples, which no memory holds"
    )]
    fn uptime(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.answered.len() as f64 / self.samples as f64)
    }

    fn point(&mut self) -> Point {
        Point {
            samples: self.samples,
            uptime: self.uptime(),
            p50: percentile(&mut self.answered, 50),
        }
    }
}

/// The percentile by the nearest-rank method: the smallest of the values such that at least `percent` of 100 of them
/// are not above it, which is the one at rank ⌈percent · n / 100⌉ in their order. Always a value that was measured.
/// <https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>
fn percentile(values: &mut [ResponseMs], percent: usize) -> Option<ResponseMs> {
    let rank = (percent * values.len()).div_ceil(100);
    let (_, value, _) = values.select_nth_unstable(rank.checked_sub(1)?);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{StatusCode, UnixMs};
    use crate::window::Window;

    fn times(values: impl IntoIterator<Item = i64>) -> Vec<ResponseMs> {
        values
            .into_iter()
            .map(|ms| ResponseMs::parse(Some(ms)).unwrap())
            .collect()
    }

    #[test]
    fn percentiles_are_the_examples_of_the_definition() {
        let of = |values: &[i64], percent| {
            percentile(&mut times(values.iter().copied()), percent).map(ResponseMs::get)
        };
        let five = [50, 15, 35, 20, 40];
        let ranks = [5, 30, 40, 50, 100].map(|percent| of(&five, percent));
        assert_eq!(ranks, [15, 20, 20, 35, 50].map(Some));
        assert_eq!(of(&[], 50), None);
        assert_eq!(of(&[7], 99), Some(7));
        let hundred: Vec<_> = (1..=100).collect();
        assert_eq!(
            [50, 95, 99].map(|percent| of(&hundred, percent)),
            [50, 95, 99].map(Some)
        );
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

    fn summarise(frame: Frame, samples: impl IntoIterator<Item = Sample>) -> Option<Summary> {
        let mut tally = Tally::new(frame);
        samples.into_iter().for_each(|sample| tally.add(sample));
        tally.finish()
    }

    fn window() -> impl Strategy<Value = Window> {
        prop_oneof![Just(Window::Hour), Just(Window::Day), Just(Window::Week)]
    }

    /// Samples around a frame's edges and inside it, one per moment.
    fn samples(frame: Frame) -> impl Strategy<Value = Vec<Sample>> {
        let (start, end) = (frame.start().0, frame.end().0);
        let moment = prop_oneof![
            8 => start..end,
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
            let Some(summary) = summarise(frame, samples.clone()) else {
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
        /// lies outside of the frame, or comes in another order, makes no difference.
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

            let answer = summarise(frame, samples.clone());
            let inside = samples.iter().copied().filter(|s| frame.start() <= s.at && s.at < frame.end());
            prop_assert_eq!(&summarise(frame, inside), &answer);
            prop_assert_eq!(&summarise(frame, samples.into_iter().rev()), &answer);
        }
    }
}
