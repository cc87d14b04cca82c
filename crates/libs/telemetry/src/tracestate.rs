//! What `tracestate` says (W3C Trace Context, 3.3): whole, or not at all.

use opentelemetry::trace::TraceState;

/// The most entries of a list.
const MOST_MEMBERS: usize = 32;

/// Reads all lines of the header as one list, in their order. A list that breaks a rule is discarded as a whole.
pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> TraceState {
    members(lines)
        .and_then(|members| TraceState::from_key_value(members).ok())
        .unwrap_or_default()
}

fn members<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Vec<(&'a str, &'a str)>> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in lines.into_iter().flat_map(|line| line.split(',')) {
        let member = member.trim_matches([' ', '\t']);
        // Empty entries are allowed, as in every list of HTTP.
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        let repeated = members.iter().any(|(known, _)| *known == key);
        if repeated || !is_key(key) || !is_value(value) || members.len() == MOST_MEMBERS {
            return None;
        }
        members.push((key, value));
    }
    Some(members)
}

/// A simple key of 256 characters at most, or a tenant of 241 and a system of 14. Of 13, in fact: the SDK takes none of 14.
fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        None => is_name(key, 256),
        Some((tenant, system)) => is_name(tenant, 241) && is_name(system, 14),
    }
}

fn is_name(text: &str, most: usize) -> bool {
    let lower_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte| lower_or_digit(byte) || b"_-*/".contains(&byte);
    let begins = text.bytes().next().is_some_and(lower_or_digit);
    begins && text.len() <= most && text.bytes().all(allowed)
}

fn is_value(value: &str) -> bool {
    let character = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    !value.is_empty() && value.len() <= 256 && value.bytes().all(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> String {
        read(lines.iter().copied()).header()
    }

    #[test]
    fn all_lines_are_one_list() {
        assert_eq!(
            header(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]),
            "foo=1,bar=2,rojo=1,congo=2,baz=3"
        );
        for lines in [&["foo=1", ""][..], &["", "foo=1"], &["foo=1,", ",,"], &["foo=1"]] {
            assert_eq!(header(lines), "foo=1", "{lines:?}");
        }
        assert_eq!(header(&[""]), "");
    }

    #[test]
    fn whitespace_around_an_entry_is_no_part_of_it() {
        for line in [
            "foo=1 \t , \t bar=2, \t baz=3",
            "foo=1\t \t,\t \tbar=2,\t \tbaz=3",
        ] {
            assert_eq!(header(&[line]), "foo=1,bar=2,baz=3");
        }
        for line in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
            assert_eq!(header(&[line]), "foo=1");
        }
    }

    #[test]
    fn all_that_is_allowed_comes_through() {
        let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
        let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
        let (long, tenant, system) = ("z".repeat(256), "t".repeat(241), "v".repeat(13));
        for member in [
            format!("{key}={value}"),
            format!("{key}@a-z0-9_-*/={value}"),
            format!("{long}=1"),
            format!("{tenant}@{system}=1"),
            format!("foo={}", "v".repeat(256)),
            "0foo=1".to_owned(),
        ] {
            // A value may begin with a space, and not end with one.
            assert_eq!(header(&[&member]), member.trim_end());
        }
        let most: Vec<_> = (1..=32).map(|n| format!("bar{n:02}={n:02}")).collect();
        assert_eq!(header(&[&most.join(",")]), most.join(","));
    }

    #[test]
    fn a_list_that_breaks_a_rule_is_discarded_whole() {
        let many: Vec<_> = (1..=33).map(|n| format!("bar{n:02}={n:02}")).collect();
        let long = [
            "z".repeat(257),
            "t".repeat(242) + "@v",
            "t@".to_owned() + &"v".repeat(15),
        ];
        let lists = [
            &["foo=1,foo=1"][..],
            &["foo=1,foo=2"],
            &["foo=1", "foo=1"],
            &["foo=1", "foo=2"],
            &["foo =1,bar=2"],
            &["FOO=1,bar=2"],
            &["foo.bar=1,bar=2"],
            &["foo@=1,bar=2"],
            &["@foo=1,bar=2"],
            &["foo@@bar=1,bar=2"],
            &["foo@bar@baz=1,bar=2"],
            &["foo=bar=baz,bar=2"],
            &["foo=,bar=2"],
            &["foo,bar=2"],
            &["=1,bar=2"],
            &["foo=\u{7f},bar=2"],
            &["foo=\u{e9},bar=2"],
            &[&many.join(",")],
            &[&format!("foo={},bar=2", "v".repeat(257))],
        ];
        for list in lists {
            assert_eq!(header(list), "", "{list:?}");
        }
        for key in long {
            assert_eq!(header(&[&format!("{key}=1,bar=2")]), "", "{key}");
        }
    }
}
