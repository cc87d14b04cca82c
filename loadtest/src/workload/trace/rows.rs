//! The rows of a recording: which of them are kept, and when they were.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Deserialize;

use crate::workload::rank;

#[derive(Clone, Copy, Deserialize)]
pub(super) struct Row {
    pub(super) t: f64,
    pub(super) key: u32,
    pub(super) op: Operation,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
pub(super) enum Operation {
    #[serde(rename = "r")]
    Read,
    #[serde(rename = "w")]
    Write,
}

/// One in so many keys, all their requests: of the samples that there are, the one whose number of requests is nearest to its share.
///
/// A few keys make up much of a workload. A sample with one of them would have far more hits than the whole, one of the many
/// without any of them somewhat fewer; so the choice is not left to chance (compare SHARDS-adj).
pub(super) fn kept_keys(rows: &[Row], one_in: u32) -> HashSet<u32> {
    let sample_of = |key| rank(key) % u64::from(one_in);
    let mut sizes: HashMap<u64, usize> = HashMap::new();
    for row in rows {
        *sizes.entry(sample_of(row.key)).or_default() += 1;
    }
    let wanted = rows.len() / one_in as usize;
    let nearest = sizes
        .into_iter()
        .min_by_key(|(sample, size)| (size.abs_diff(wanted), *sample))
        .map(|(sample, _)| sample);
    rows.iter()
        .map(|row| row.key)
        .filter(|key| Some(sample_of(*key)) == nearest)
        .collect()
}

/// When each request was made. Where several have one time, they are laid evenly until the next time, over a
/// second at most: a clock of whole seconds says no more of them than their order.
pub(super) fn spread(rows: &[Row]) -> impl Iterator<Item = Duration> {
    #[expect(clippy::float_cmp, reason = "the same text is the same number")]
    let together: Vec<_> = rows.chunk_by(|one, other| one.t == other.t).collect();
    let ends: Vec<_> = together
        .iter()
        .skip(1)
        .map(|next| next[0].t)
        .chain(together.last().map(|last| last[0].t + 1.0))
        .collect();
    together.into_iter().zip(ends).flat_map(|(same, end)| {
        let (start, count) = (same[0].t, u32::try_from(same.len()).unwrap_or(u32::MAX));
        let step = (end - start).clamp(0.0, 1.0) / f64::from(count);
        (0..count).map(move |place| Duration::from_secs_f64(step.mul_add(f64::from(place), start)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_time_are_laid_until_the_next_but_not_over_a_pause() {
        let row = |t| Row {
            t,
            key: 1,
            op: Operation::Read,
        };
        let rows = [
            row(0.0),
            row(0.0),
            row(0.5),
            row(1.0),
            row(1.0),
            row(9.0),
            row(9.0),
        ];
        let times: Vec<_> = spread(&rows).map(|at| at.as_secs_f64()).collect();
        assert_eq!(times, [0.0, 0.25, 0.5, 1.0, 1.5, 9.0, 9.5]);
    }
}
