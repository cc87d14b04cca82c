//! What a service says of itself at `/metrics`, as far as the picture shows it.

use std::collections::HashMap;

use reqwest::Client;
use serde::Serialize;
use stack::Samples;

/// One look at a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrape {
    /// Whether it answered at all.
    pub(super) answers: bool,
    /// A source's events that are committed and not yet published.
    pub(super) pending: Option<f64>,
    /// A replica's view of each source.
    pub(super) feeds: Vec<Feed>,
    /// A replica's events that were applied, of all sources.
    pub(super) fenced: Option<f64>,
    /// What a replica's cache was worth, by strategy.
    pub(super) worth: HashMap<String, Worth>,
    /// When it was made, in milliseconds since somebody looks; told by whoever looks more than once.
    pub(super) at_ms: Option<u64>,
}

/// What a replica knows of one source's feed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Feed {
    source: String,
    trusted: bool,
    /// Seconds since the moment up to which the source said it is complete.
    age: Option<f64>,
}

/// Counts since the replica's start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Worth {
    pub(super) reads: f64,
    hits: f64,
    pub(super) fetches: f64,
    refreshes: f64,
}

impl Scrape {
    /// Asks a service.
    pub(super) async fn of(http: &Client, url: &str) -> Self {
        let samples = Samples::scrape(http, url).await;
        samples.map_or_else(Self::default, |samples| Self::read(&samples))
    }

    pub(super) fn read(samples: &Samples) -> Self {
        let age = |source: &str| samples.sum("page_watermark_age_seconds", &[("source", source)]);
        let feeds = samples.of("page_source_trusted").filter_map(|sample| {
            let source = sample.label("source")?;
            Some(Feed {
                source: source.to_owned(),
                trusted: sample.value > 0.0,
                age: age(source),
            })
        });
        Self {
            answers: true,
            pending: samples.sum("outbox_pending", &[]),
            feeds: feeds.collect(),
            // None if it is no replica, or none that tells.
            fenced: samples.sum("page_events_total", &[("result", "applied")]),
            worth: worth(samples),
            at_ms: None,
        }
    }
}

fn worth(samples: &Samples) -> HashMap<String, Worth> {
    let strategies = samples
        .of("page_reads_total")
        .filter_map(|sample| sample.label("strategy"));
    let of = |strategy: &str| {
        let sum = |name: &str, label: Option<(&str, &str)>| {
            let labels: Vec<_> = [("strategy", strategy)].into_iter().chain(label).collect();
            samples.sum(name, &labels).unwrap_or_default()
        };
        Worth {
            reads: sum("page_reads_total", None),
            hits: sum("page_reads_total", Some(("outcome", "hit"))),
            fetches: sum("page_fetches_total", Some(("result", "all"))),
            refreshes: sum("page_refreshes_total", Some(("result", "begun"))),
        }
    };
    strategies
        .map(|strategy| (strategy.to_owned(), of(strategy)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_matter_are_found_among_the_others() {
        let scrape = Scrape::read(&Samples::parse(
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
        ));
        assert_eq!(scrape.pending, Some(7.0));
        assert_eq!(scrape.feeds.len(), 1);
        assert!(scrape.feeds[0].trusted);
        assert_eq!(scrape.feeds[0].age, Some(0.25));
        let ttl = scrape.worth["ttl"];
        assert_eq!((ttl.reads, ttl.hits, ttl.fetches), (4.0, 3.0, 6.0));
        assert_eq!((ttl.refreshes, scrape.fenced), (5.0, Some(7.0)));
        assert_eq!(Scrape::read(&Samples::parse("outbox_pending 7\n")).fenced, None);
    }
}
