//! A million samples inside a window, spread over endpoints in several ways.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::naive;
use crate::service::{Sample, Service};

const SAMPLES: i64 = 1_000_000;
/// Within one batch, as a monitor would send them: in the order of time, the endpoints in turn.
const BATCH: i64 = 1_000;
const READS: usize = 15;
const SCANS: usize = 3;

pub(crate) struct Shape {
    pub(crate) name: &'static str,
    endpoints: i64,
    window: &'static str,
    /// Over how many minutes before now the samples are spread: a little less than the window has.
    minutes: i64,
}

pub(crate) const SHAPES: &[Shape] = &[
    shape("reading/1-7d", 1, "7d", 9_700),
    shape("reading/1-24h", 1, "24h", 1_380),
    shape("reading/1-1h", 1, "1h", 50),
    shape("reading/65-7d", 65, "7d", 9_700),
    shape("reading/65-24h", 65, "24h", 1_380),
    shape("reading/65-1h", 65, "1h", 50),
    shape("reading/500-7d", 500, "7d", 9_700),
    shape("reading/500-24h", 500, "24h", 1_380),
    shape("reading/500-1h", 500, "1h", 50),
];

const fn shape(name: &'static str, endpoints: i64, window: &'static str, minutes: i64) -> Shape {
    Shape {
        name,
        endpoints,
        window,
        minutes,
    }
}

pub(crate) async fn measure(shape: &Shape) {
    let service = Service::start().await;
    let loading = Instant::now();
    load(&service, shape).await;
    let loaded = loading.elapsed();
    let mut reads = Vec::new();
    let mut size = 0;
    for _ in 0..READS {
        let asked = Instant::now();
        size = service.summary(shape.window).await.len();
        reads.push(asked.elapsed());
    }
    reads.sort_unstable();
    let mut scans = Vec::new();
    for _ in 0..SCANS {
        scans.push(compare(&service, shape).await);
    }
    scans.sort_unstable();
    service.stop().await;
    println!(
        "{:<16} summary median {:>6.1} ms, worst {:>6.1} ms ({} KB); naive {:>6.1} ms; loaded in {:.1} s",
        shape.name,
        milliseconds(reads[READS / 2]),
        milliseconds(reads[READS - 1]),
        size / 1_000,
        milliseconds(scans[SCANS / 2]),
        loaded.as_secs_f64(),
    );
}

async fn load(service: &Service, shape: &Shape) {
    let first = Timestamp::now().as_millisecond() - shape.minutes * 60_000;
    let each = SAMPLES / shape.endpoints;
    let step = shape.minutes * 60_000 / each;
    let sample = |i: i64| Sample {
        endpoint: 1 + i % shape.endpoints,
        at: first + i / shape.endpoints * step,
        down: i % 101 == 0,
        // Nearly all distinct, and in no order.
        response_ms: i * 386_093 % 600_001,
    };
    for batch in 0..SAMPLES / BATCH {
        let samples: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(sample).collect();
        service.record(&samples).await;
    }
}

/// Checks an answer against the raw samples, and says how long it took to go through these.
async fn compare(service: &Service, shape: &Shape) -> Duration {
    let answer: Value = serde_json::from_slice(&service.summary(shape.window).await).unwrap();
    let time = |field: &str| {
        answer[field]
            .as_str()
            .unwrap()
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond()
    };
    let bucket_ms = answer["bucket_seconds"].as_i64().unwrap() * 1_000;
    let begun = Instant::now();
    let expected = naive::endpoints(&service.database(), time("start"), time("end"), bucket_ms);
    let elapsed = begun.elapsed();
    let told = answer["endpoints"].as_array().unwrap();
    assert_eq!(told.len(), expected.len());
    let mut samples = 0;
    for (told, expected) in told.iter().zip(expected) {
        // As it looks after it was text once: the parser may miss a number's last bit.
        let expected: Value = serde_json::from_str(&expected.to_string()).unwrap();
        assert_eq!(told, &expected);
        samples += told["samples"].as_i64().unwrap();
    }
    assert_eq!(samples, SAMPLES, "all of them are inside the window");
    elapsed
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
