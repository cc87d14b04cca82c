//! What summaries are made from: in which minute how many samples had which response time. Pure, and exact.
//!
//! A histogram is a run of bins in their order, cut into chunks: small enough to be written anew for one sample, large
//! enough that a window is read in few of them. Within a chunk a bin is told by its distance from the one before it, in
//! one byte where samples are dense and in four where there is one every few minutes.

use crate::sample::{ResponseMs, Sample, State, UnixMs};

const MINUTE_MS: i64 = 60_000;
/// The lowest bits of a bin: twenty hold the longest response time and more.
const OUTCOME_BITS: u32 = 20;
/// Where the samples that are down are counted: more than any response time can be.
const DOWN: i64 = (1 << OUTCOME_BITS) - 1;
/// The bytes of a chunk, give or take one bin: four of them fit on a page of the database, none is spread over several.
const CHUNK_BYTES: usize = 900;

/// A minute, and a response time in it, or that there was none because the endpoint was down. In the order of the minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bin(pub(crate) i64);

/// A stretch of a histogram as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// None of its bins is before this one, and none of the chunks before it reaches this far.
    pub(crate) first: Bin,
    /// Per bin a number: twice the distance from the bin before it, or from `first`; one more if another number follows,
    /// which is how many samples it has. Without that it has one. Numbers are seven bits to a byte, the lowest first, the
    /// eighth bit set on all but the last byte. <https://en.wikipedia.org/wiki/LEB128>
    pub(crate) bytes: Vec<u8>,
}

/// The bins of a chunk, in order, each with how many samples it has.
#[derive(Debug, Clone)]
pub(crate) struct Bins<'a> {
    last: Bin,
    rest: &'a [u8],
}

impl Bin {
    /// Before that of every sample: where the first chunk of an endpoint begins, so that each bin has its chunk.
    pub(crate) const LEAST: Self = Self(i64::MIN >> 4);

    pub(crate) fn of(sample: &Sample) -> Self {
        let outcome = match sample.state {
            State::Down => DOWN,
            State::Up | State::Degraded => i64::from(sample.response_ms.get()),
        };
        Self(Self::first_of_minute(sample.at).0 + outcome)
    }

    /// None of the bins of the moment's minute is before it.
    pub(crate) fn first_of_minute(at: UnixMs) -> Self {
        Self(at.0.div_euclid(MINUTE_MS) << OUTCOME_BITS)
    }

    /// When its minute begins.
    pub(crate) fn minute(self) -> UnixMs {
        UnixMs((self.0 >> OUTCOME_BITS) * MINUTE_MS)
    }

    /// None: down.
    pub(crate) fn response_ms(self) -> Option<ResponseMs> {
        ResponseMs::parse(Some(self.0 & DOWN)).ok()
    }
}

impl Chunk {
    fn starting(first: Bin) -> Self {
        Self {
            first,
            bytes: Vec::with_capacity(CHUNK_BYTES),
        }
    }

    /// All there is of an endpoint without samples.
    pub(crate) fn empty() -> Self {
        Self::starting(Bin::LEAST)
    }

    /// What is in the chunk once each bin has so many samples more, or less; the bins in order, each once. One chunk
    /// that begins where this one did; what is too much for it is in others, in order.
    ///
    /// `newest`: no chunk follows. Then what comes after all that is there is taken for the first of more to come, and
    /// leaves full chunks behind, not halves that nothing will be added to.
    pub(crate) fn changed(&self, changes: &[(Bin, i64)], newest: bool) -> Vec<Self> {
        // What is before the first change stays as it is, byte by byte: of samples that come in their order, all of it.
        let rest = self
            .bins()
            .skip_before(changes.first().map_or(self.first, |(bin, _)| *bin));
        let appended = rest.rest.is_empty();
        let mut whole = Self::starting(self.first);
        let kept = self.bytes.len() - rest.rest.len();
        whole.bytes.extend_from_slice(&self.bytes[..kept]);
        let mut last = rest.last;
        merge(rest, changes, |bin, samples| {
            whole.push(last, bin, samples);
            last = bin;
        });
        match whole.bytes.len() {
            ..=CHUNK_BYTES => vec![whole],
            _ if newest && appended => whole.cut(CHUNK_BYTES),
            bytes => whole.cut(bytes.div_ceil(bytes.div_ceil(CHUNK_BYTES))),
        }
    }

    /// Into chunks that are full once they have so many bytes.
    fn cut(&self, full: usize) -> Vec<Self> {
        let mut chunks = Vec::new();
        let mut chunk = Self::starting(self.first);
        let mut last = self.first;
        for (bin, samples) in self.bins() {
            if chunk.bytes.len() >= full {
                chunks.push(std::mem::replace(&mut chunk, Self::starting(bin)));
                last = bin;
            }
            chunk.push(last, bin, samples);
            last = bin;
        }
        chunks.push(chunk);
        chunks
    }

    fn bins(&self) -> Bins<'_> {
        Bins::of(self.first, &self.bytes)
    }

    fn push(&mut self, last: Bin, bin: Bin, samples: u32) {
        let distance = bin.0.abs_diff(last.0);
        if samples == 1 {
            return self.push_number(distance << 1);
        }
        self.push_number(distance << 1 | 1);
        self.push_number(samples.into());
    }

    fn push_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }
}

/// Calls with every bin there is then, and how many samples it has.
fn merge(bins: Bins<'_>, changes: &[(Bin, i64)], mut call: impl FnMut(Bin, u32)) {
    let mut add = |bin, samples| match u32::try_from(samples) {
        Ok(0) => {}
        Ok(samples) => call(bin, samples),
        Err(_) => unreachable!("only what was counted is taken out again"),
    };
    let mut changes = changes.iter().copied().peekable();
    for (bin, samples) in bins {
        while let Some((before, by)) = changes.next_if(|(changed, _)| *changed < bin) {
            add(before, by);
        }
        let by = changes.next_if(|(changed, _)| *changed == bin);
        add(bin, i64::from(samples) + by.map_or(0, |(_, by)| by));
    }
    for (bin, by) in changes {
        add(bin, by);
    }
}

impl<'a> Bins<'a> {
    /// Of the chunk that begins there and has these bytes.
    pub(crate) fn of(first: Bin, bytes: &'a [u8]) -> Self {
        Self {
            last: first,
            rest: bytes,
        }
    }

    /// Those that are not before the bin.
    fn skip_before(mut self, bin: Bin) -> Self {
        let mut ahead = self.clone();
        while ahead.next().is_some_and(|(next, _)| next < bin) {
            self = ahead.clone();
        }
        self
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                break;
            }
        }
        Some(number)
    }
}

impl Iterator for Bins<'_> {
    type Item = (Bin, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.number()?;
        self.last.0 = self.last.0.wrapping_add_unsigned(number >> 1);
        let samples = match number & 1 {
            0 => 1,
            _ => self.number()?,
        };
        // A minute has no more milliseconds, and so no more samples.
        Some((self.last, u32::try_from(samples).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::sample::StatusCode;

    fn sample(at: i64, state: State, ms: i64) -> Sample {
        Sample {
            at: UnixMs(at),
            state,
            status_code: StatusCode::parse(Some(200)).unwrap(),
            response_ms: ResponseMs::parse(Some(ms)).unwrap(),
        }
    }

    #[test]
    fn a_bin_tells_its_minute_and_its_response_time_wherever_it_lies() {
        let ends = [Timestamp::MIN, Timestamp::MAX].map(Timestamp::as_millisecond);
        for at in [ends[0], -60_001, -60_000, -1, 0, 1, 59_999, 60_000, ends[1]] {
            for ms in [0, 1, 600_000] {
                let answered = Bin::of(&sample(at, State::Up, ms));
                assert_eq!(answered.minute().0, at.div_euclid(60_000) * 60_000);
                assert_eq!(
                    answered.response_ms().map(ResponseMs::get).map(i64::from),
                    Some(ms)
                );
                assert_eq!(Bin::of(&sample(at, State::Degraded, ms)), answered);
                let down = Bin::of(&sample(at, State::Down, ms));
                assert_eq!((down.minute(), down.response_ms()), (answered.minute(), None));
                let next = Bin::first_of_minute(UnixMs(at + 60_000));
                assert!(Bin::LEAST < answered && answered < down && down < next);
                let kept = Chunk::empty().changed(&[(answered, 2), (down, 1)], true);
                assert_eq!(kept.len(), 1);
                assert_eq!(kept[0].bins().collect::<Vec<_>>(), [(answered, 2), (down, 1)]);
            }
        }
    }

    /// The chunks of one endpoint, changed as they are on disk.
    #[derive(Debug, Default)]
    struct Histogram(BTreeMap<Bin, Chunk>);

    impl Histogram {
        fn change(&mut self, changes: &BTreeMap<Bin, i64>) {
            let changes: Vec<_> = changes.iter().map(|(bin, by)| (*bin, *by)).collect();
            let mut rest = changes.as_slice();
            while let Some((bin, _)) = rest.first() {
                let held = self.0.range(..=*bin).next_back().map(|(_, chunk)| chunk.clone());
                let end = self
                    .0
                    .range(*bin..)
                    .find(|(first, _)| *first > bin)
                    .map(|(first, _)| *first);
                let (now, later) =
                    rest.split_at(rest.partition_point(|(bin, _)| end.is_none_or(|end| *bin < end)));
                let chunks = held.unwrap_or_else(Chunk::empty).changed(now, end.is_none());
                self.0
                    .extend(chunks.into_iter().map(|chunk| (chunk.first, chunk)));
                rest = later;
            }
        }

        fn bins(&self) -> Vec<(Bin, u32)> {
            self.0.values().flat_map(Chunk::bins).collect()
        }

        fn mean_bytes(&self) -> usize {
            self.0.values().map(|chunk| chunk.bytes.len()).sum::<usize>() / self.0.len()
        }
    }

    /// Bins of a few minutes, close to each other, or all over a week.
    fn bin() -> impl Strategy<Value = Bin> {
        let minute = prop_oneof![0..3_i64, 0..10_080_i64];
        let outcome = prop_oneof![0..40_i64, 0..=600_000_i64, Just(DOWN)];
        (minute, outcome).prop_map(|(minute, outcome)| Bin((minute << OUTCOME_BITS) + outcome))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn chunks_hold_what_was_added_and_not_taken_out_again(
            steps in proptest::collection::vec((proptest::collection::vec((bin(), 1..300_i64), 1..400), any::<u64>()), 1..12),
        ) {
            let mut histogram = Histogram::default();
            let mut expected = BTreeMap::<Bin, i64>::new();
            for (added, seed) in steps {
                let mut changes: BTreeMap<Bin, i64> = added.into_iter().collect();
                // Of what is there already, some is taken out, and some of that altogether.
                for (index, (bin, count)) in expected.iter().enumerate() {
                    let by = match seed.rotate_left(u32::try_from(index % 64).unwrap()) % 8 {
                        0 => -*count,
                        1 => -1,
                        _ => continue,
                    };
                    *changes.entry(*bin).or_default() += by;
                }
                changes.retain(|_, by| *by != 0);
                for (bin, by) in &changes {
                    *expected.entry(*bin).or_default() += by;
                }
                expected.retain(|_, count| *count > 0);
                histogram.change(&changes);
                let told = histogram.bins().into_iter().map(|(bin, count)| (bin, i64::from(count)));
                prop_assert!(told.eq(expected.iter().map(|(bin, count)| (*bin, *count))));
                prop_assert!(histogram.0.values().all(|chunk| chunk.bytes.len() <= CHUNK_BYTES + 12));
            }
            let ends = histogram.0.keys().skip(1).copied().chain([Bin(i64::MAX)]);
            for (chunk, end) in histogram.0.values().zip(ends) {
                prop_assert!(chunk.bins().all(|(bin, _)| chunk.first <= bin && bin < end));
            }
        }
    }

    /// Else a window were read in many rows, and each of them nearly empty.
    #[test]
    fn chunks_are_full_in_whichever_order_samples_come() {
        let bins = || (0..5_000).map(|i| Bin(i * (5 << OUTCOME_BITS) + i * 7_919 % 600_000));
        let mut up: Vec<_> = bins().collect();
        let mut shuffled = up.clone();
        shuffled.sort_by_key(|bin| bin.0.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
        let mut gap = up.clone();
        gap[1_000..].reverse();
        let mut down = up.clone();
        down.reverse();
        for (order, least) in [
            (&mut up, 850),
            (&mut down, 400),
            (&mut gap, 400),
            (&mut shuffled, 400),
        ] {
            let mut histogram = Histogram::default();
            for bin in order.iter() {
                histogram.change(&BTreeMap::from([(*bin, 1)]));
            }
            assert!(histogram.mean_bytes() >= least, "{}", histogram.mean_bytes());
            assert!(histogram.bins().into_iter().eq(bins().map(|bin| (bin, 1))));
        }
    }
}
