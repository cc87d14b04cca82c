//! What a reader asks of the page service besides a page, and the headers that say it.

use std::time::Duration;

/// The waits that the tools try, in milliseconds: below, at and above what sources take, up to their deadline.
pub const WAITS_MS: [u64; 7] = [0, 25, 50, 100, 200, 500, 900];
/// The ages that they let a page have, in seconds.
pub const AGES_SECONDS: [u64; 3] = [1, 5, 30];

/// What a reader asks for by `Prefer` and `Cache-Control` (rules 26 and 27).
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
    /// The headers that say it.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let directives = [
            self.no_cache.then(|| "no-cache".to_owned()),
            self.only_if_cached.then(|| "only-if-cached".to_owned()),
            self.max_age.map(|age| format!("max-age={}", age.as_secs())),
        ];
        let directives: Vec<_> = directives.into_iter().flatten().collect();
        let cache_control = (!directives.is_empty()).then(|| ("cache-control", directives.join(", ")));
        let prefer = self.prefer().map(|prefer| ("prefer", prefer));
        cache_control.into_iter().chain(prefer)
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
        assert!(all.headers().eq(headers));
        assert_eq!(Preferences::default().headers().count(), 0);
    }
}
