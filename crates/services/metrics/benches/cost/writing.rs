//! Batches of samples, on an account that has a good many already.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;

use crate::service::{Sample, Service};

/// What the account has before, of each endpoint.
const BEFORE: i64 = 200;

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    endpoints: i64,
    batch: i64,
    clients: i64,
    batches: i64,
    /// Whether the samples are of anywhere in the last week, not each newer than the one before.
    scattered: bool,
}

pub(crate) const SHAPES: &[Shape] = &[
    shape("writing/17", 17, 17, 1, 2_000, false),
    // Each client has endpoints of its own.
    shape("writing/17-by-16", 272, 17, 16, 6_400, false),
    shape("writing/1000", 500, 1_000, 1, 300, false),
    shape("writing/1000-by-16", 500, 1_000, 16, 320, false),
    shape("writing/1000-of-1", 1, 1_000, 1, 300, false),
    shape("writing/1000-scattered", 1, 1_000, 1, 300, true),
];

const fn shape(
    name: &'static str,
    endpoints: i64,
    batch: i64,
    clients: i64,
    batches: i64,
    scattered: bool,
) -> Shape {
    Shape {
        name,
        endpoints,
        batch,
        clients,
        batches,
        scattered,
    }
}

pub(crate) async fn measure(shape: &Shape) {
    let service = Service::start().await;
    let now = Timestamp::now().as_millisecond();
    let sample = |i: i64| {
        let week = 7 * 86_400_000;
        // One second apart, from a week ago on; or all over the week.
        let moment = i / shape.endpoints * 1_000;
        let moment = if shape.scattered {
            i * 386_093_000_009 % week
        } else {
            moment
        };
        Sample {
            endpoint: 1 + i % shape.endpoints,
            at: now - week + moment,
            down: i % 101 == 0,
            response_ms: i * 386_093 % 600_001,
        }
    };
    let before = if shape.scattered {
        300_000
    } else {
        BEFORE * shape.endpoints
    };
    let mut first = 0;
    while first < before {
        let samples: Vec<_> = (first..before.min(first + 1_000)).map(sample).collect();
        service.record(&samples).await;
        first += 1_000;
    }
    let begun = Instant::now();
    let each = shape.batches / shape.clients;
    let clients = (0..shape.clients).map(|client| {
        let service = &service;
        async move {
            let mut took = Vec::new();
            for batch in 0..each {
                let from = before + (batch * shape.clients + client) * shape.batch;
                let samples: Vec<_> = (from..from + shape.batch).map(sample).collect();
                let sent = Instant::now();
                service.record(&samples).await;
                took.push(sent.elapsed());
            }
            took
        }
    });
    let mut took = join_all(clients).await.concat();
    let elapsed = begun.elapsed();
    took.sort_unstable();
    service.stop().await;
    report(shape, elapsed, &took);
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of batches")]
fn report(shape: &Shape, elapsed: Duration, took: &[Duration]) {
    let batches = took.len() as f64 / elapsed.as_secs_f64();
    println!(
        "{:<24} {:>7.1} batches/s, {:>8.0} samples/s; median {:>6.2} ms, p99 {:>6.2} ms",
        shape.name,
        batches,
        batches * shape.batch as f64,
        took[took.len() / 2].as_secs_f64() * 1_000.0,
        took[took.len() * 99 / 100].as_secs_f64() * 1_000.0,
    );
}
