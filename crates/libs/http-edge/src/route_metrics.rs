//! How many requests are under way, and how long they take: the `http.server.*` metrics, at the price of a few atomics.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode, Version};
use opentelemetry::KeyValue;
use opentelemetry::global;
use opentelemetry::metrics::{BoundHistogram, Histogram, Meter};

/// The bounds the conventions give for `http.server.request.duration`, in seconds, and two below them for hits.
const DURATION_BOUNDS: [f64; 16] = [
    0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The methods that are labels. A client may invent others; a metric's labels must stay few.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "_OTHER",
];
const VERSIONS: [&str; 3] = ["1.1", "1.0", "2"];

/// The requests of each method, of the whole process: there is one metric of them, however many edges.
static REQUESTS: [Requests; METHODS.len()] = [const { Requests::none() }; METHODS.len()];

/// Two counts rather than their difference: a method that nobody used is no line of the metrics.
///
/// On a cache line of its own: cores that serve different methods have nothing to do with each other.
#[repr(align(64))]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Requests {
    const fn none() -> Self {
        Self {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// How many are under way, if there ever was one.
    fn under_way(&self) -> Option<i64> {
        // The end first: a request that both begins and ends in between is not counted as less than none.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Relaxed);
        (begun > 0).then(|| i64::try_from(begun.saturating_sub(ended)).unwrap_or(i64::MAX))
    }
}

/// Makes the instruments of a service's requests; returns the one that each route binds to its own labels.
pub(crate) fn instruments() -> Histogram<f64> {
    let meter = global::meter("http-edge");
    observe_requests(&meter);
    meter
        .f64_histogram("http.server.request.duration")
        .with_description("Duration of HTTP server requests.")
        .with_unit("s")
        .with_boundaries(DURATION_BOUNDS.to_vec())
        .build()
}

fn observe_requests(meter: &Meter) {
    meter
        .i64_observable_up_down_counter("http.server.active_requests")
        .with_description("Number of active HTTP server requests.")
        .with_unit("{request}")
        .with_callback(|counter| {
            for (method, requests) in METHODS.into_iter().zip(&REQUESTS) {
                if let Some(under_way) = requests.under_way() {
                    counter.observe(under_way, &method_and_scheme(method));
                }
            }
        })
        .build();
}

fn method_and_scheme(method: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.scheme", "http"),
    ]
}

/// What a request is labelled with besides its route: four bytes, so that comparing them costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    method: u8,
    version: u8,
    /// Of the answer; 0 without one.
    status: u16,
}

impl Labels {
    pub(crate) fn of(request: &Request) -> Self {
        let method = match *request.method() {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::PATCH => 4,
            Method::DELETE => 5,
            Method::OPTIONS => 6,
            Method::CONNECT => 7,
            Method::TRACE => 8,
            _ => 9,
        };
        let version = match request.version() {
            Version::HTTP_10 => 1,
            Version::HTTP_2 => 2,
            _ => 0,
        };
        Self {
            method,
            version,
            status: 0,
        }
    }

    /// The method, `_OTHER` if it is none of the known.
    pub(crate) fn method(self) -> &'static str {
        METHODS[usize::from(self.method)]
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    pub(crate) fn count_in(self) {
        REQUESTS[usize::from(self.method)]
            .begun
            .fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_out(self) {
        REQUESTS[usize::from(self.method)]
            .ended
            .fetch_add(1, Ordering::Release);
    }

    /// What is known when the request arrives. The route is a pattern, never the path: labels must be few.
    pub(crate) fn of_arrival(self, route: Option<&str>) -> Vec<KeyValue> {
        let mut labels = Vec::with_capacity(8);
        labels.extend(method_and_scheme(self.method()));
        labels.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        labels.push(KeyValue::new(
            "network.protocol.version",
            VERSIONS[usize::from(self.version)],
        ));
        labels
    }

    /// What is known when it is over. The type of an error is its status code, or what else ended it.
    fn of_end(self, route: Option<&str>) -> Vec<KeyValue> {
        let mut labels = self.of_arrival(route);
        if self.status == 0 {
            labels.push(KeyValue::new("error.type", "cancelled"));
            return labels;
        }
        labels.push(KeyValue::new("http.response.status_code", i64::from(self.status)));
        if self.status >= 500 {
            labels.push(KeyValue::new("error.type", self.status.to_string()));
        }
        labels
    }
}

/// How many ways to end are kept per route and method; all others are looked up each time.
const KEPT: usize = 8;

/// The durations of one route, found without a lookup.
///
/// The router makes one service, and so one of these, per route and method. What differs is the status, as a rule 200.
pub(crate) struct RouteMetrics {
    duration: Histogram<f64>,
    /// As the first request says; every other one says the same, unless the router became part of another.
    route: OnceLock<Option<MatchedPath>>,
    /// Filled from the front and never emptied.
    kept: [OnceLock<(Labels, BoundHistogram<f64>)>; KEPT],
}

impl RouteMetrics {
    pub(crate) fn new(duration: &Histogram<f64>) -> Self {
        Self {
            duration: duration.clone(),
            route: OnceLock::new(),
            kept: [const { OnceLock::new() }; KEPT],
        }
    }

    /// Whether a request that matched `route` is counted here; the first one decides for all.
    pub(crate) fn is_of(&self, route: Option<&MatchedPath>) -> bool {
        let known = self.route.get_or_init(|| route.cloned());
        known.as_ref().map(MatchedPath::as_str) == route.map(MatchedPath::as_str)
    }

    /// The pattern that the path matched, if any.
    pub(crate) fn route(&self) -> Option<&str> {
        self.route.get()?.as_ref().map(MatchedPath::as_str)
    }

    pub(crate) fn record(&self, labels: Labels, took: Duration) {
        let seconds = took.as_secs_f64();
        for kept in &self.kept {
            let (of, duration) = kept.get_or_init(|| (labels, self.bind(labels)));
            if *of == labels {
                return duration.record(seconds);
            }
        }
        self.bind(labels).record(seconds);
    }

    fn bind(&self, labels: Labels) -> BoundHistogram<f64> {
        self.duration.bind(&labels.of_end(self.route()))
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RouteMetrics")
            .field("route", &self.route())
            .finish_non_exhaustive()
    }
}
