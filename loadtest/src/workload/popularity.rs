//! Which pages are read, and how often: the page requests of a real shop.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::{rank, rows};

const FILE: &str = "cache2k_web07_pages.csv.gz";

/// Requests for pages in the order in which they were recorded, without times.
#[derive(Clone, Debug)]
pub struct Popularity {
    order: Arc<[u32]>,
    pages: usize,
    /// How many pages were recorded, before any was left out.
    recorded_pages: usize,
}

#[derive(Deserialize)]
struct Row {
    key: u32,
}

impl Popularity {
    /// Reads all requests for so many of the pages; for all pages, if there are fewer.
    pub fn read(folder: &Path, pages: usize) -> Result<Self> {
        ensure!(pages > 0, "a workload needs at least one page");
        let rows: Vec<Row> = rows(&folder.join(FILE))?;
        let keys: Vec<_> = rows.into_iter().map(|row| row.key).collect();
        Ok(Self::sample(&keys, pages))
    }

    /// Of one page there is one order, whatever was recorded.
    pub fn of_one_page() -> Self {
        Self {
            order: Arc::new([0]),
            pages: 1,
            recorded_pages: 1,
        }
    }

    fn sample(keys: &[u32], pages: usize) -> Self {
        let mut ranked: Vec<_> = keys.iter().map(|key| (rank(*key), *key)).collect();
        ranked.sort_unstable();
        ranked.dedup();
        let recorded_pages = ranked.len();
        ranked.truncate(pages);
        let kept: HashSet<_> = ranked.iter().map(|(_, key)| *key).collect();
        let mut numbers = HashMap::new();
        let mut next = 0_u32;
        let mut number = |key| {
            *numbers.entry(key).or_insert_with(|| {
                next += 1;
                next - 1
            })
        };
        Self {
            order: keys
                .iter()
                .filter(|key| kept.contains(key))
                .map(&mut number)
                .collect(),
            pages: kept.len(),
            recorded_pages,
        }
    }

    /// How many pages are asked for.
    pub const fn pages(&self) -> usize {
        self.pages
    }

    /// Which page each request is for: numbers from 0, by first appearance.
    pub fn order(&self) -> Arc<[u32]> {
        Arc::clone(&self.order)
    }

    /// Whose popularity it is, in words.
    pub fn describe(&self) -> String {
        if self.recorded_pages == 1 {
            return "one page for each strategy".to_owned();
        }
        format!(
            "the page requests of a shop (cache2k web07), in their order: all {} requests for {} of its {} pages",
            self.order.len(),
            self.pages,
            self.recorded_pages
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of requests for a page that was asked for before.
    fn repeated(popularity: &Popularity) -> f64 {
        let number = |count| f64::from(u32::try_from(count).unwrap());
        1.0 - number(popularity.pages()) / number(popularity.order().len())
    }

    fn read(pages: usize) -> Popularity {
        Popularity::read(&super::super::traces(), pages).unwrap()
    }

    #[test]
    fn the_whole_recording_is_read_and_numbered_by_first_appearance() {
        let all = read(usize::MAX);
        let order = all.order();
        assert_eq!(
            (order.len(), all.pages(), all.recorded_pages),
            (76_118, 20_484, 20_484)
        );
        assert_eq!(
            (order[..2].to_vec(), order.iter().max()),
            (vec![0, 1], Some(&20_483))
        );
        assert!((0.730..0.732).contains(&repeated(&all)));
    }

    #[test]
    fn a_sample_has_the_pages_that_were_wanted_and_comes_back_to_them_as_often() {
        for pages in [500, 1_000, 2_000, 5_000] {
            let sample = read(pages);
            assert_eq!(sample.pages(), pages);
            assert_eq!(sample.order().iter().collect::<HashSet<_>>().len(), pages);
            let repeated = repeated(&sample);
            assert!((0.66..0.80).contains(&repeated), "{pages}: {repeated}");
        }
    }

    #[test]
    fn a_page_keeps_all_its_requests_in_their_order_or_none() {
        let keys = [7, 8, 7, 9, 7, 8, 9, 7];
        let out = [7, 8, 9].into_iter().max_by_key(|key| rank(*key)).unwrap();
        let left: Vec<_> = keys.into_iter().filter(|key| *key != out).collect();
        let expected: Vec<_> = left.iter().map(|key| u32::from(*key != left[0])).collect();
        assert_eq!(*Popularity::sample(&keys, 2).order(), expected);
    }
}
