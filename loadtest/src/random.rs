//! Numbers that follow from a seed, the same on every machine and in every version of this program.

/// `SplitMix64`: small, and written down here, so that no library's next release asks something else of the same seed.
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

    /// A number from 0 up to, but not including, 1.
    pub fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
        let numerator = (self.next() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// The time until the next of events that happen `per_second` on average, in seconds: exponentially distributed.
    pub fn wait(&mut self, per_second: f64) -> f64 {
        -(1.0 - self.fraction()).ln() / per_second
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
    fn waits_are_exponential() {
        let mut random = Random::new(7, 0);
        let waits: Vec<_> = (0..100_000).map(|_| random.wait(50.0)).collect();
        let mean = waits.iter().sum::<f64>() / 100_000.0;
        assert!((0.0198..0.0202).contains(&mean), "{mean}");
        // A share of 1/e of an exponential distribution lies beyond its mean.
        let beyond = waits.iter().filter(|wait| **wait > 0.02).count();
        assert!((36_300..37_300).contains(&beyond), "{beyond}");
    }
}
