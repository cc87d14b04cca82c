//! What stays of a run: `results.json`, and the report made of it.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;

use crate::results::{FORMAT, Kind, Results};

/// Where runs go that were not told where to.
const FOLDER: &str = "loadtest-results";
const RESULTS: &str = "results.json";
const REPORT: &str = "report.html";

/// A folder that can be written to.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
}

impl Output {
    /// The folder that was asked for, or a new one by the time; made before anything runs, so that nothing is measured in vain.
    pub fn open(asked_for: Option<&Path>, kind: Kind, now: Timestamp) -> Result<Self> {
        let folder = asked_for.map_or_else(|| Path::new(FOLDER).join(name(kind, now)), Path::to_owned);
        fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Writes the results and the report; answers what was written, a line each.
    pub fn write(&self, results: &Results, report: &str) -> Result<Vec<String>> {
        let json = serde_json::to_string_pretty(results).context("writing the results as JSON")?;
        Ok(vec![
            replace(&self.folder.join(RESULTS), &json)?,
            replace(&self.folder.join(REPORT), report)?,
        ])
    }
}

/// Writes a line of JSON to standard output. Who does not want to read on has closed the pipe; what is kept is kept.
pub fn print_json(line: &serde_json::Value) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Reads the results of a kept run.
pub fn read(path: &Path) -> Result<Results> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let results: Results = serde_json::from_str(&text)
        .with_context(|| format!("{} does not hold the results of a run", path.display()))?;
    ensure!(
        results.format == FORMAT,
        "{} is of format {}, and this program reads format {FORMAT}",
        path.display(),
        results.format
    );
    Ok(results)
}

/// Writes the report of kept results beside them; answers what was written.
pub fn write_report(results: &Path, report: &str) -> Result<Vec<String>> {
    Ok(vec![replace(&results.with_file_name(REPORT), report)?])
}

/// `compare-20261123T033600Z`: sorts by time, and holds nothing that a shell or another system minds.
fn name(kind: Kind, now: Timestamp) -> String {
    let kind = match kind {
        Kind::Compare => "compare",
        Kind::Replay => "replay",
        Kind::Capacity => "capacity",
        Kind::Budget => "budget",
    };
    format!("{kind}-{}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// Whole or not at all; says it if there was one before.
fn replace(path: &Path, text: &str) -> Result<String> {
    let writing = || format!("writing {}", path.display());
    let before = path.exists();
    let part = path.with_extension("part");
    fs::write(&part, text).with_context(writing)?;
    fs::rename(&part, path).with_context(writing)?;
    let verb = if before { "replaced" } else { "wrote" };
    Ok(format!("{verb} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gets_a_folder_of_its_own_by_its_time() {
        let now = "2026-11-23T03:36:00Z".parse().unwrap();
        assert_eq!(name(Kind::Compare, now), "compare-20261123T033600Z");
    }

    #[test]
    fn what_is_replaced_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        assert!(replace(&path, "one").unwrap().starts_with("wrote "));
        assert!(replace(&path, "two").unwrap().starts_with("replaced "));
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_result_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let refusal = |path: &Path| format!("{:#}", read(path).unwrap_err());
        assert!(refusal(&path).contains("results.json"));
        fs::write(&path, "{}").unwrap();
        assert!(refusal(&path).contains("does not hold the results of a run"));
    }
}
