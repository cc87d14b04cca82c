//! What a service says of itself at `/metrics`, as far as the picture shows it.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::Client;
use serde::Serialize;

/// How long a service may take to answer; a paused one never does.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// One look at a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scrape {
    /// Whether it answered at all.
    pub(crate) answers: bool,
    /// A source's events that are committed and not yet published.
    pub(super) pending: Option<f64>,
    /// A replica's view of each source.
    pub(super) feeds: Vec<Feed>,
    /// A replica's events that were applied, of all sources.
    pub(super) fenced: Option<f64>,
    /// What a replica's cache was worth, by strategy.
    pub(crate) worth: HashMap<String, Worth>,
    /// When it was made, in milliseconds since somebody looks; told by whoever looks more than once.
    pub(super) at_ms: Option<u64>,
}

/// What a replica knows of one source's feed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Feed {
    source: String,
    trusted: bool,
    /// Seconds since the moment up to which the source said it is complete.
    age: Option<f64>,
}

/// Counts since the replica's start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Worth {
    pub(crate) reads: f64,
    hits: f64,
    pub(crate) fetches: f64,
    refreshes: f64,
}

impl Scrape {
    /// Asks a service.
    pub(crate) async fn of(http: &Client, url: &str) -> Self {
        let asked = http.get(format!("{url}/metrics")).timeout(ANSWERS_WITHIN).send();
        let answer = match asked.await {
            Ok(answer) => answer.text().await,
            Err(error) => Err(error),
        };
        answer.map_or_else(|_| Self::default(), |text| Self::read(&text))
    }

    pub(crate) fn read(text: &str) -> Self {
        let pending = samples(text, "outbox_pending").map(|(_, value)| value).next();
        let age = |wanted: &str| {
            samples(text, "page_watermark_age_seconds")
                .find(|(labels, _)| label(labels, "source") == Some(wanted))
                .map(|(_, value)| value)
        };
        let feeds = samples(text, "page_source_trusted").filter_map(|(labels, value)| {
            let source = label(labels, "source")?;
            Some(Feed {
                source: source.to_owned(),
                trusted: value > 0.0,
                age: age(source),
            })
        });
        Self {
            answers: true,
            pending,
            feeds: feeds.collect(),
            fenced: fenced(text),
            worth: worth(text),
            at_ms: None,
        }
    }
}

/// None if it is no replica, or none that tells.
fn fenced(text: &str) -> Option<f64> {
    let applied = samples(text, "page_events_total").filter(|(labels, _)| {
        label(labels, "source").is_some() && label(labels, "result") == Some("applied")
    });
    applied.map(|(_, value)| value).reduce(|sum, value| sum + value)
}

fn worth(text: &str) -> HashMap<String, Worth> {
    let mut worth: HashMap<String, Worth> = HashMap::new();
    for (labels, value) in samples(text, "page_reads_total") {
        let of = worth.entry(strategy(labels)).or_default();
        of.reads += value;
        if label(labels, "outcome") == Some("hit") {
            of.hits += value;
        }
    }
    for (labels, value) in samples(text, "page_fetches_total") {
        if label(labels, "result") == Some("all") {
            worth.entry(strategy(labels)).or_default().fetches += value;
        }
    }
    for (labels, value) in samples(text, "page_refreshes_total") {
        if label(labels, "result") == Some("begun") {
            worth.entry(strategy(labels)).or_default().refreshes += value;
        }
    }
    worth
}

fn strategy(labels: &str) -> String {
    label(labels, "strategy").unwrap_or_default().to_owned()
}

/// The samples of one metric: the text between the braces, and the value.
fn samples<'text>(text: &'text str, name: &'text str) -> impl Iterator<Item = (&'text str, f64)> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?,
            None => ("", rest.strip_prefix(' ')?),
        };
        Some((labels, value.split_whitespace().next()?.parse().ok()?))
    })
}

/// The value of a label; those of the services hold neither commas nor quotes.
fn label<'text>(labels: &'text str, name: &str) -> Option<&'text str> {
    let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let (_, quoted) = pairs.find(|(known, _)| *known == name)?;
    quoted.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_matter_are_found_among_the_others() {
        let scrape = Scrape::read(
            "# TYPE outbox_pending gauge\n\
             outbox_pending 7\n\
             outbox_pending_other 9\n\
             page_source_trusted{source=\"metrics\"} 1\n\
             page_watermark_age_seconds{source=\"metrics\"} 0.25\n\
             page_reads_total{outcome=\"hit\",strategy=\"ttl\"} 3\n\
             page_reads_total{outcome=\"miss\",strategy=\"ttl\"} 1\n\
             page_fetches_total{result=\"all\",strategy=\"ttl\"} 6\n\
             page_fetches_total{result=\"failed\",strategy=\"ttl\"} 2\n\
             page_refreshes_total{result=\"begun\",strategy=\"ttl\"} 5\n\
             page_refreshes_total{result=\"unread\",strategy=\"ttl\"} 8\n\
             page_events_total{result=\"applied\",source=\"accounts\"} 3\n\
             page_events_total{result=\"applied\",source=\"metrics\"} 4\n\
             page_events_total{result=\"repeat\",source=\"metrics\"} 1\n",
        );
        assert_eq!(scrape.pending, Some(7.0));
        assert_eq!(scrape.feeds.len(), 1);
        assert!(scrape.feeds[0].trusted);
        assert_eq!(scrape.feeds[0].age, Some(0.25));
        let ttl = scrape.worth["ttl"];
        assert_eq!((ttl.reads, ttl.hits, ttl.fetches), (4.0, 3.0, 6.0));
        assert_eq!((ttl.refreshes, scrape.fenced), (5.0, Some(7.0)));
        assert_eq!(Scrape::read("outbox_pending 7\n").fenced, None);
    }
}
