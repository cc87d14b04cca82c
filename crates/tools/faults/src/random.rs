//! Numbers that follow from a seed, the same on every machine and in every version of this program.

use std::time::Duration;

/// `SplitMix64`: small, and written down here, so that no library's next release replays another schedule.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed and this place in the run.
    pub fn new(seed: u64, place: u64) -> Self {
        let mut random = Self(seed ^ place.wrapping_mul(0xd134_2543_de82_ef95));
        // Seeds are small and alike; one step takes them apart.
        random.0 = random.next();
        random
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        // It is below a usize.
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// True once in `times`, on average.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A duration between the two, in whole milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = usize::try_from(most.saturating_sub(least).as_millis()).unwrap_or(usize::MAX);
        least + Duration::from_millis(u64::try_from(self.below(span + 1)).unwrap_or_default())
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn choose<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Puts them into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_place_are_one_sequence_and_no_other() {
        let sequence = |seed, place| {
            let mut random = Random::new(seed, place);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(sequence(1, 1), sequence(1, 1));
        assert_ne!(sequence(1, 1), sequence(1, 2));
        assert_ne!(sequence(1, 1), sequence(2, 1));
        let known = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        let mut random = Random(1_234_567);
        assert_eq!(known, [random.next(), random.next(), random.next()]);
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_both_ends() {
        let mut random = Random::new(7, 0);
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(5));
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| random.between(least, most)).collect();
        assert_eq!(drawn, [3, 4, 5].map(Duration::from_millis).into());
    }

    #[test]
    fn shuffling_keeps_what_is_there() {
        let mut items: Vec<_> = (0..20).collect();
        Random::new(7, 0).shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }
}
