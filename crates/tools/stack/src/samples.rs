//! What a service says of itself at `/metrics`, in the Prometheus text format.

use std::collections::HashMap;

use reqwest::Client;

/// Numbers by name and labels.
#[derive(Clone, Debug, Default)]
pub struct Samples(HashMap<String, Vec<Sample>>);

/// A number with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let (_, value) = self.labels.iter().find(|(known, _)| known == name)?;
        Some(value)
    }
}

impl Samples {
    /// Reads `name{label="value",…} number`, line by line; what reads otherwise is left out.
    pub fn parse(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = parse_line(line) {
                samples.0.entry(name.to_owned()).or_default().push(sample);
            }
        }
        samples
    }

    /// Asks a service at this root; none if it does not tell.
    pub async fn scrape(http: &Client, root: &str) -> Option<Self> {
        let url = format!("{}/metrics", root.trim_end_matches('/'));
        let answer = http.get(url).send().await.ok()?;
        let text = answer.error_for_status().ok()?.text().await.ok()?;
        Some(Self::parse(&text))
    }

    /// All of this name.
    pub fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.get(name).into_iter().flatten()
    }

    /// The sum of all that have these labels, whatever others they have; none if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            labels
                .iter()
                .all(|(label, value)| sample.label(label) == Some(value))
        };
        let found = self.of(name).filter(has).map(|sample| sample.value);
        found.reduce(|sum, value| sum + value)
    }

    /// The same, of a counter of whole things.
    pub fn whole(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        self.sum(name, labels).and_then(whole)
    }

    /// The sum of all of this name, which are seconds, in microseconds.
    pub fn micros(&self, name: &str) -> Option<u64> {
        self.sum(name, &[]).map(|seconds| seconds * 1e6).and_then(whole)
    }
}

fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and rounded"
    )]
    (number >= 0.0).then(|| number.round() as u64)
}

fn parse_line(line: &str) -> Option<(&str, Sample)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (Vec::new(), rest),
    };
    // A time may follow the number.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, Sample { labels, value }))
}

/// Reads up to the closing brace; what is behind it is left.
fn parse_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, left) = parse_value(quoted)?;
        labels.push((name.to_owned(), value));
        rest = left;
    }
}

/// Reads up to the closing quote, which is one without a backslash before it.
fn parse_value(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[place + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP page_reads_total Reads.\n# TYPE page_reads_total counter\n\
        page_reads_total{outcome=\"hit\",strategy=\"ttl\"} 12\n\
        page_reads_total{outcome=\"miss\",strategy=\"ttl\"} 3 1700000000\n\
        odd{text=\"a \\\"b\\\", c\\\\\\n}\",other=\"x\"} 1.5e3\nbare 7\nbroken{a=\"b} 1\nnot a number\n";

    #[test]
    fn numbers_are_found_by_name_and_some_of_their_labels() {
        let samples = Samples::parse(TEXT);
        let reads = |labels: &[_]| samples.whole("page_reads_total", labels);
        assert_eq!(reads(&[("outcome", "hit"), ("strategy", "ttl")]), Some(12));
        assert_eq!(reads(&[("strategy", "ttl")]), Some(15));
        assert_eq!(reads(&[("strategy", "none")]), None);
        assert_eq!(samples.whole("bare", &[]), Some(7));
        assert_eq!(samples.whole("broken", &[]), None);
    }

    #[test]
    fn quotes_in_labels_are_understood() {
        let samples = Samples::parse(TEXT);
        assert_eq!(
            samples.whole("odd", &[("text", "a \"b\", c\\\n}"), ("other", "x")]),
            Some(1500)
        );
    }

    #[test]
    fn seconds_become_microseconds() {
        assert_eq!(
            Samples::parse("t 0.25\nt{a=\"b\"} 1").micros("t"),
            Some(1_250_000)
        );
        assert_eq!(Samples::parse("t -1").micros("t"), None);
    }
}
