//! What is compared between runs; of each, less is better.

use crate::figures::float;
use crate::results::Numbers;

/// One figure of a round.
pub(super) struct Measure {
    pub(super) name: &'static str,
    /// The figure; none where it was not measured, or is zero, of which there is no ratio.
    pub(super) of: fn(&Numbers) -> Option<f64>,
}

pub(super) const ALL: [Measure; 4] = [
    Measure {
        name: "median latency",
        of: |it| positive(float(it.latency_us.p50)),
    },
    Measure {
        name: "p99 latency",
        of: |it| positive(float(it.latency_us.p99)),
    },
    Measure {
        name: "CPU per page",
        of: |it| it.stack_cpu_per_page().and_then(positive),
    },
    Measure {
        name: "upstream requests per page",
        of: |it| it.upstream_per_page().and_then(positive),
    },
];

fn positive(figure: f64) -> Option<f64> {
    (figure > 0.0).then_some(figure)
}
