//! Random numbers that follow from a seed.

use rand::{RngExt as _, SeedableRng as _};

/// The generator. Its numbers are those of the `ChaCha` standard, and how they become ranges and orders changes with a version of
/// `rand` alone, which the lock file holds: so a seed replays the same run on every machine.
pub type Random = rand::rngs::ChaCha8Rng;

/// The numbers of this seed and this place in the run. No two places share a sequence.
pub fn random(seed: u64, place: u64) -> Random {
    let mut random = Random::seed_from_u64(seed);
    random.set_stream(place);
    random
}

/// One of them.
///
/// # Panics
/// If there is none.
pub fn one_of<T: Copy>(items: &[T], random: &mut Random) -> T {
    items[random.random_range(0..items.len())]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::Rng as _;
    use rand::seq::SliceRandom as _;

    use super::*;

    #[test]
    fn a_seed_and_a_place_are_one_sequence_and_no_other() {
        let sequence = |seed, place| {
            let mut random = random(seed, place);
            [random.next_u64(), random.next_u64(), random.next_u64()]
        };
        assert_eq!(sequence(1, 1), sequence(1, 1));
        assert_ne!(sequence(1, 1), sequence(1, 2));
        assert_ne!(sequence(1, 1), sequence(2, 1));
    }

    /// If this fails after an update of `rand`, seeds that were written down replay other runs from then on: say so.
    #[test]
    fn what_follows_from_a_seed_is_what_it_was() {
        let mut random = random(5, 1);
        let mut order: Vec<_> = (0..8).collect();
        order.shuffle(&mut random);
        let pause = random.random_range(Duration::ZERO..=Duration::from_secs(2));
        let number = random.random_range(0..1_000_usize);
        assert_eq!(order, [4, 3, 0, 1, 7, 5, 2, 6]);
        assert_eq!((pause, number), (Duration::from_nanos(1_352_379_035), 53));
    }
}
