//! What a reader asks for besides a page: how long it waits, how old the page may be, and where it may come from.

use std::time::Duration;

use rand::RngExt as _;
use stack::{Random, one_of};

/// The waits that readers ask for, in milliseconds: below, at and above what sources take, up to their deadline.
const WAITS_MS: [u64; 7] = [0, 25, 50, 100, 200, 500, 900];
/// The ages that readers accept, in seconds.
const AGES_SECONDS: [u64; 3] = [1, 5, 30];

/// What a reader asks for by `Prefer` and `Cache-Control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `wait-ms`: how long it waits for a load.
    pub wait: Option<Duration>,
    /// `max-age`: how old the page may be.
    pub max_age: Option<Duration>,
    /// `only-if-cached`: a page from memory, or none.
    pub only_if_cached: bool,
    /// `no-cache`: a page that is composed for this read.
    pub no_cache: bool,
}

impl Preferences {
    /// Those of some reader: mostly none, and any of them together.
    pub fn draw(random: &mut Random) -> Self {
        let wait = random.random_ratio(1, 5).then(|| one_of(&WAITS_MS, random));
        let max_age = random.random_ratio(1, 8).then(|| one_of(&AGES_SECONDS, random));
        Self {
            wait: wait.map(Duration::from_millis),
            max_age: max_age.map(Duration::from_secs),
            only_if_cached: random.random_ratio(1, 40),
            no_cache: random.random_ratio(1, 50),
        }
    }

    /// How long it may be kept waiting for requests to the sources, if it says that.
    pub const fn longest_wait(&self) -> Option<Duration> {
        if self.only_if_cached {
            Some(Duration::ZERO)
        } else {
            self.wait
        }
    }

    /// The headers that say it.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let max_age = self.max_age.map(|age| format!("max-age={}", age.as_secs()));
        let directive = |asked: bool, name: &str| asked.then(|| name.to_owned());
        let directives = [
            directive(self.no_cache, "no-cache"),
            directive(self.only_if_cached, "only-if-cached"),
            max_age,
        ];
        let directives: Vec<_> = directives.into_iter().flatten().collect();
        let cache_control = (!directives.is_empty()).then(|| ("cache-control", directives.join(", ")));
        let prefer = self.prefer().map(|prefer| ("prefer", prefer));
        cache_control.into_iter().chain(prefer).collect()
    }

    /// The value of `Prefer`, which `Preference-Applied` repeats.
    pub fn prefer(&self) -> Option<String> {
        self.wait.map(|wait| format!("wait-ms={}", wait.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_said_in_the_words_of_the_page() {
        let all = Preferences {
            wait: Some(Duration::from_millis(25)),
            max_age: Some(Duration::from_secs(5)),
            only_if_cached: true,
            no_cache: true,
        };
        let headers = [
            ("cache-control", "no-cache, only-if-cached, max-age=5".to_owned()),
            ("prefer", "wait-ms=25".to_owned()),
        ];
        assert_eq!(all.headers(), headers);
        assert_eq!(Preferences::default().headers(), []);
    }

    #[test]
    fn most_readers_ask_for_nothing_and_every_preference_is_drawn() {
        let mut random = stack::random(1, 1);
        let drawn: Vec<_> = (0..2_000).map(|_| Preferences::draw(&mut random)).collect();
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
