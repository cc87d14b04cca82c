//! How many reads come to one write, as lobste.rs counted.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

const FILE: &str = "lobsters_requests.dat";

/// The routes that change what a page shows: stories, comments and votes are posted. Who logs in changes no content.
const CONTENT_WRITES: [&str; 7] = [
    "/stories",
    "/stories/X/upvote",
    "/stories/X/downvote",
    "/comments",
    "/comments/X",
    "/comments/X/upvote",
    "/comments/X/downvote",
];

/// Requests of a real site, by what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// All its `GET` routes.
    pub reads: u64,
    /// What changes content.
    pub writes: u64,
}

impl Mix {
    /// Reads the counts from a folder of traces.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let mut text = String::new();
        super::open(&path)?
            .read_to_string(&mut text)
            .with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// How many reads come to one write.
    pub fn reads_per_write(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "millions")]
        let ratio = self.reads as f64 / self.writes as f64;
        ratio
    }

    /// The mix in words.
    pub fn describe(&self) -> String {
        format!(
            "{:.0} reads to 1 write, as lobste.rs counted: {} GET of all routes, {} POST of stories, comments and votes",
            self.reads_per_write(),
            self.reads,
            self.writes
        )
    }

    /// Lines of count, share, method and path.
    fn parse(text: &str) -> Result<Self> {
        let mut mix = Self { reads: 0, writes: 0 };
        for line in text.lines() {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [count, _, method, path] = fields[..] else {
                anyhow::bail!("a line of another form: {line:?}");
            };
            let count: u64 = count.parse().with_context(|| format!("a count in {line:?}"))?;
            match method {
                "GET" => mix.reads += count,
                "POST" if CONTENT_WRITES.contains(&path) => mix.writes += count,
                _ => {}
            }
        }
        ensure!(
            mix.reads > 0 && mix.writes > 0,
            "there are no reads or no writes in it"
        );
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_site_reads_61_times_for_each_change_of_content() {
        let mix = Mix::read(&super::super::traces()).unwrap();
        assert_eq!(
            mix,
            Mix {
                reads: 2_843_736,
                writes: 46_841
            }
        );
        assert!((60.7..60.8).contains(&mix.reads_per_write()));
        assert!(
            mix.describe()
                .starts_with("61 reads to 1 write, as lobste.rs counted")
        );
    }

    #[test]
    fn logging_in_is_neither_a_read_nor_a_write() {
        let text = "10 1% GET /\n5 1% POST /login\n4 1% POST /logout\n2 1% POST /comments\n";
        assert_eq!(Mix::parse(text).unwrap(), Mix { reads: 10, writes: 2 });
    }

    #[test]
    fn what_is_no_count_by_route_is_refused() {
        for text in ["", "10 1% GET", "ten 1% GET /", "10 1% GET /"] {
            assert!(Mix::parse(text).is_err(), "{text}");
        }
    }
}
