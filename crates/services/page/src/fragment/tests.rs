//! Which answers are taken, and which are refused.

use super::*;

const TAG: &str = "\"0199f7c5a1b27cc38d4e5f6071829304-17-9f86d081884c7d65-v1\"";

fn key() -> PageKey {
    PageKey {
        account: "1".parse().unwrap(),
        window: Window::Hour,
    }
}

fn parse(source: Source, json: &str) -> Result<Fragment, FragmentError> {
    let tag = Tag::parse(TAG).expect("the tag above is well formed");
    Fragment::parse(source, &key(), tag, None, Bytes::copy_from_slice(json.as_bytes()))
}

#[test]
fn an_answer_about_another_account_or_window_is_refused() {
    let other = r#"{"id":2,"revision":1,"name":"a","description":""}"#;
    assert!(matches!(
        parse(Source::Accounts, other),
        Err(FragmentError::OtherAccount { found: 2, .. })
    ));
    let week = r#"{"account_id":1,"window":"7d","start":"2026-11-22T20:00:00Z","end":"2026-11-22T21:00:00Z",
        "bucket_seconds":60,"endpoints":[]}"#;
    assert!(matches!(
        parse(Source::Metrics, week),
        Err(FragmentError::OtherWindow { .. })
    ));
}

#[test]
fn a_share_outside_its_range_is_refused() {
    for (uptime, well) in [
        ("1.0", true),
        ("0", true),
        ("null", true),
        ("1.01", false),
        ("-0.1", false),
    ] {
        let json = format!(
            r#"{{"account_id":1,"window":"1h","start":"2026-11-22T20:00:00Z","end":"2026-11-22T21:00:00Z",
            "bucket_seconds":60,"endpoints":[{{"endpoint_id":1,"samples":1,"uptime":{uptime},"p50_ms":null,
            "p95_ms":null,"p99_ms":null,"last":null,"series":[]}}]}}"#
        );
        assert_eq!(parse(Source::Metrics, &json).is_ok(), well, "{uptime}");
    }
}

#[test]
fn what_an_event_carries_has_the_tag_of_the_answer_in_that_form() {
    let carrying = |form: &str| {
        let fragment = r#"{"id":1,"name":"a","description":""}"#;
        let event = EventFragment {
            version: Tag::parse(TAG).unwrap().version,
            claim: None,
            data: format!(r#"{{"account_id":1{form},"fragment":{fragment}}}"#).into(),
            committed: fresh_cache::Moment::default(),
        };
        let fragment = Fragment::from_event(Source::Accounts, &key(), &event).unwrap();
        fragment.map(|fragment| fragment.tag.text)
    };
    assert_eq!(carrying(r#","form":1"#).as_deref(), Some(TAG));
    assert_eq!(carrying(r#","form":2"#), Some(TAG.replace("-v1", "-v2")));
    assert_eq!(carrying(""), None, "its form is not known");
}

#[test]
fn bytes_that_are_not_utf8_are_refused_even_in_a_field_nobody_reads() {
    let tag = Tag::parse(TAG).unwrap();
    let json = Bytes::from_static(b"{\"id\":1,\"name\":\"a\",\"description\":\"\",\"other\":\"\xff\"}");
    let refused = Fragment::parse(Source::Accounts, &key(), tag, None, json);
    assert!(matches!(refused, Err(FragmentError::NotUtf8)));
}
