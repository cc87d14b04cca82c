//! The report as text: both subjects side by side.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::{Report, RoundReport, Verdict};
use crate::check::{Rule, Violation};
use crate::history::Subject;
use crate::schedule::Schedule;
use crate::tally::{Spread, Tally};

pub(super) fn round(outcome: &RoundReport) -> String {
    let took = outcome
        .took
        .iter()
        .map(|took| format!("{:.2} s", took.as_secs_f64()));
    let took = took.collect::<Vec<_>>().join(" and ");
    format!(
        "  {} answers, {} mutations; right again after {}; control: {} of {} pages wrong",
        outcome.responses,
        outcome.mutations,
        if took.is_empty() { "too long" } else { &took },
        outcome.naive_wrong,
        outcome.pages
    )
}

pub(super) fn violation(round: u32, schedule: &Schedule, violation: &Violation) -> String {
    let mut text = format!("  BROKEN in round {round}: {violation}");
    for fault in &schedule.faults {
        let _ = write!(text, "\n    schedule: {fault}");
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_faults(f)?;
        self.write_answers(f)?;
        self.write_lags(f)?;
        self.write_ages(f)?;
        self.write_preferred(f)?;
        self.write_convergence(f)?;
        self.write_checks(f)?;
        self.write_broken(f)?;
        writeln!(f, "\n{}", self.verdict())
    }
}

impl Report {
    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.kinds.values().sum();
        writeln!(f, "\n{faults} faults in {} rounds", self.rounds)?;
        for (kind, count) in &self.kinds {
            writeln!(f, "  {kind:<42}{count:>10}")?;
        }
        writeln!(f, "\n{:<44}{:>10}", "mutations acknowledged", self.mutations)?;
        writeln!(
            f,
            "{:<44}{:>10}",
            "  neither acknowledged nor refused", self.attempts
        )?;
        let twins = &self.twins;
        for (name, count) in [
            ("  refused: another publisher is alive", twins.refused_first),
            ("by second publishers acknowledged", twins.acknowledged.len()),
            ("  refused: the first one is alive", twins.refused),
            ("sources that a second publisher replaced", twins.replaced),
        ] {
            writeln!(f, "{name:<44}{count:>10}")?;
        }
        Ok(())
    }

    fn write_answers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<44}{:>10}{:>12}", "answers", "page ×2", "naive-page")?;
        self.row(f, "from the cache, not marked", |tally| tally.hits)?;
        self.row(f, "after requests to the sources, not marked", |tally| {
            tally.forwarded
        })?;
        self.row(f, "marked: some fragment is the last one known", |tally| {
            tally.stale
        })?;
        self.row(f, "marked: some fragment is missing", |tally| tally.partial)?;
        self.row(f, "marked: behind the demanded version", |tally| tally.behind)?;
        self.row(f, "in all", Tally::answers)?;
        self.row(f, "  of these: no such account", |tally| tally.absent)?;
        self.row(f, "  of these: waited with another reader", |tally| {
            tally.collapsed
        })?;
        self.row(f, "refused (503)", |tally| tally.refused)?;
        self.row(f, "not answered (killed, or too late)", |tally| tally.unanswered)?;
        writeln!(f, "\nrequests to the sources that readers waited for")?;
        for (index, name) in ["full answers", "not modified", "failed"].into_iter().enumerate() {
            writeln!(f, "  {name:<42}{:>10}{:>12}", self.page.asked[index], "")?;
        }
        Ok(())
    }

    fn write_lags(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nunmarked answers to readers without max-age, by how far they were behind when requested"
        )?;
        for (index, name) in Tally::LAG_NAMES.into_iter().enumerate() {
            self.row(f, name, |tally| tally.lags[index])?;
        }
        self.row(f, "stale and not marked (> 1 s)", Tally::stale_unmarked)?;
        for (subject, tally) in [(Subject::Page, &self.page), (Subject::Naive, &self.naive)] {
            if let Some((lag, _)) = &tally.furthest {
                writeln!(f, "  the longest, {subject}: {:.3} s", lag.behind.as_secs_f64())?;
            }
        }
        Ok(())
    }

    fn write_ages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nunmarked answers to readers without max-age, by the age of their Fresh-As-Of when requested"
        )?;
        for (name, count) in Spread::NAMES.iter().zip(self.page.ages.counts()) {
            writeln!(f, "  {name:<42}{count:>10}")?;
        }
        let oldest = |name, age: Duration| format!("  the oldest {name}: {:.3} s", age.as_secs_f64());
        writeln!(f, "{}", oldest("hit", self.page.oldest_hit))?;
        writeln!(
            f,
            "{}",
            oldest("that waited for the sources", self.page.oldest_forwarded)
        )?;
        writeln!(f, "{}", oldest("that is marked", self.page.oldest_marked))
    }

    fn write_preferred(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preferred = &self.page.preferred;
        writeln!(f, "\nanswers to readers with preferences")?;
        let counts = [
            ("with a wait", preferred.waits),
            ("  said to be in time", preferred.applied),
            ("marked: not arrived within the wait", preferred.timed_out),
            ("with an age", preferred.ages),
            ("  from the cache, older than a second", preferred.older),
            ("only if cached: a page", preferred.from_memory),
            ("only if cached: none (504)", self.page.not_cached),
        ];
        for (name, count) in counts {
            writeln!(f, "  {name:<42}{count:>10}")?;
        }
        writeln!(f, "  time beyond the wait")?;
        for (name, count) in Spread::NAMES.iter().zip(preferred.overdue.counts()) {
            writeln!(f, "    {name:<40}{count:>10}")?;
        }
        for (name, duration) in [
            ("the longest of these", preferred.most_overdue),
            ("the oldest to a reader with an age", preferred.oldest),
            ("  furthest behind", preferred.furthest_behind),
        ] {
            writeln!(f, "  {name:<42}{:>8.3} s", duration.as_secs_f64())?;
        }
        Ok(())
    }

    fn write_convergence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut took = self.convergences.clone();
        took.sort_unstable();
        let at = |share: usize| {
            let index = (took.len() * share / 100).min(took.len().saturating_sub(1));
            took.get(index).copied().unwrap_or_default().as_secs_f64()
        };
        writeln!(
            f,
            "\nafter the last repair, until every page of a replica was whole, equal to its sources, and a hit where its strategy hits"
        )?;
        writeln!(
            f,
            "  half within {:.2} s, nine of ten within {:.2} s, all {} within {:.2} s",
            at(50),
            at(90),
            took.len(),
            at(100)
        )?;
        let (wrong, looked) = self.naive_wrong;
        writeln!(
            f,
            "  the control was wrong then in {wrong} of {looked} looks at a page"
        )?;
        let still = self.naive_wrong_at_the_end;
        writeln!(f, "  and still, at the end of the run, in {still} pages")
    }

    fn write_checks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exercised = &self.exercised;
        writeln!(f, "\nwhat the checks had to check")?;
        for (name, count) in [
            (
                "fragments compared with their Fresh-As-Of (I3)",
                exercised.dated_fragments,
            ),
            (
                "fragments compared with an earlier answer (I2)",
                exercised.ordered_fragments,
            ),
            (
                "fragments of a source in the dark (I4)",
                exercised.unproven_fragments,
            ),
            ("contents compared with what was written", exercised.contents),
            ("answers about a deleted account (I1)", exercised.deleted),
            ("answers to a Consistency-Token", exercised.tokens),
            ("answers due within their reader's wait (26)", exercised.waits),
            ("answers accepted by their age (27)", exercised.aged),
        ] {
            writeln!(f, "  {name:<42}{count:>10}")?;
        }
        Ok(())
    }

    fn write_broken(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |subject, rule| self.broken.get(&(subject, rule)).copied().unwrap_or_default();
        let rules: std::collections::BTreeSet<Rule> = self.broken.keys().map(|(_, rule)| *rule).collect();
        if !rules.is_empty() {
            writeln!(f, "\n{:<64}{:>10}{:>12}", "broken", "page ×2", "naive-page")?;
        }
        for rule in rules {
            let (page, naive) = (count(Subject::Page, rule), count(Subject::Naive, rule));
            writeln!(f, "  {rule:<62}{page:>10}{naive:>12}")?;
        }
        for told in &self.told {
            writeln!(f, "\n{told}")?;
        }
        let untold = self.violations().saturating_sub(self.told.len());
        if untold > 0 {
            writeln!(f, "\n  and {untold} more")?;
        }
        Ok(())
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, count: impl Fn(&Tally) -> usize) -> fmt::Result {
        writeln!(
            f,
            "  {name:<42}{:>10}{:>12}",
            count(&self.page),
            count(&self.naive)
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => {
                "KEPT: no promise was broken, under faults that made the naive page wrong without a mark."
            }
            Self::Broken => "BROKEN: the page broke a promise; see above.",
            Self::TooGentle => "TOO GENTLE: no promise was broken, but not even the naive page was wrong.",
        })
    }
}
