//! What readers ask for besides a page: how long they wait, how old the page may be, and where it may come from.

use std::time::Duration;

use rand::RngExt as _;
use stack::{AGES_SECONDS, Preferences, Random, WAITS_MS, one_of};

/// The preferences of some reader: mostly none, and any of them together.
pub fn draw(random: &mut Random) -> Preferences {
    let wait = random.random_ratio(1, 5).then(|| one_of(&WAITS_MS, random));
    let max_age = random.random_ratio(1, 8).then(|| one_of(&AGES_SECONDS, random));
    Preferences {
        wait: wait.map(Duration::from_millis),
        max_age: max_age.map(Duration::from_secs),
        only_if_cached: random.random_ratio(1, 40),
        no_cache: random.random_ratio(1, 50),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_readers_ask_for_nothing_and_every_preference_is_drawn() {
        let mut random = stack::random(1, 1);
        let drawn: Vec<_> = (0..2_000).map(|_| draw(&mut random)).collect();
        let count = |asks: fn(&Preferences) -> bool| drawn.iter().filter(|one| asks(one)).count();
        assert!(count(|one| *one == Preferences::default()) > 1_000);
        for wait in WAITS_MS.map(Duration::from_millis) {
            assert!(drawn.iter().any(|one| one.wait == Some(wait)), "{wait:?}");
        }
        for age in AGES_SECONDS.map(Duration::from_secs) {
            assert!(drawn.iter().any(|one| one.max_age == Some(age)), "{age:?}");
        }
        assert!(count(|one| one.only_if_cached) > 0);
        assert!(count(|one| one.wait.is_some() && one.max_age.is_some()) > 0);
    }
}
