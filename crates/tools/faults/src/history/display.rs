//! What is remembered, as one line each of a report.

use std::fmt;

use stack::{Mark, Source};

use super::{Mutation, Outage, Outcome, Replica, Response, Subject};

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page => "page",
            Self::Naive => "naive-page",
        })
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Page => write!(f, "page-{}", self.index),
            Subject::Naive => write!(f, "naive-page"),
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = format!("{:?}", self.what).to_lowercase();
        write!(
            f,
            "mutation #{} of account {} at {}: {what}, now {}; sent {}, acknowledged {}",
            self.serial, self.account, self.source, self.version, self.sent_at, self.acked_at
        )
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{} of account {} ({}) by {}",
            self.status,
            match self.outcome {
                Outcome::Hit => " hit",
                Outcome::Forwarded { collapsed: true } => " forwarded, collapsed",
                Outcome::Forwarded { collapsed: false } => " forwarded",
            },
            self.account,
            self.window.name(),
            self.replica
        )?;
        match self.run {
            Some(run) => write!(f, ", run {run}")?,
            None => write!(f, ", in one of two runs")?,
        }
        write!(f, "; sent {}, received {}", self.sent_at, self.received_at)?;
        if let Some(date) = self.fresh_as_of {
            write!(f, ", Fresh-As-Of {date}")?;
        }
        if let Some((source, version)) = self.demanded {
            write!(f, ", asked with {source} {version}")?;
        }
        for (name, value) in self.preferences.headers() {
            write!(f, ", asked with {name}: {value}")?;
        }
        if self.wait_applied {
            write!(f, ", said to be within its wait")?;
        }
        write!(f, "; shows")?;
        for (source, fragment) in self.shown() {
            write!(f, " {source} {}", fragment.version)?;
            if let Some(serial) = fragment.serial {
                write!(f, " (#{serial})")?;
            }
        }
        for source in Source::ALL {
            if self.mark(source) != Mark::None {
                write!(f, ", {source} marked {:?}", self.mark(source))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was broken from {} to {}",
            self.place, self.from, self.until
        )
    }
}
