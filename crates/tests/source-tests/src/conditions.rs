//! What a client relies on that names a version in its request.

#![expect(missing_docs, reason = "a test's name says what it shows")]

use reqwest::Method;
use serde_json::Value;

use crate::sources::{Change, Source, etag, read};
use crate::{Running, header};

/// Every kind of change. All of them can be made to what was created, one after the other.
fn changes<S: Source>() -> Vec<Change> {
    let mut changes = S::other_changes();
    changes.insert(0, S::change(2));
    changes
}

/// A source with what [`Source::creation`] makes.
async fn with_a_thing<S: Source>() -> Running<S> {
    let app = Running::spawn().await;
    S::creation().make(&app, &[]).await;
    app
}

pub async fn a_change_is_made_to_a_version_that_is_named_and_to_no_other<S: Source>() {
    let app = Running::<S>::spawn().await;
    let nothing = etag(&app).await;
    S::creation().make(&app, &[]).await;
    let first = etag(&app).await;
    S::change(1).make(&app, &[("if-match", &first)]).await;
    let current = etag(&app).await;
    let weak = format!("W/{current}");
    let mut others = vec![&*nothing, &first, "\"nope-1\"", "\"x\", \"y\"", &weak];
    let answer = app.get(S::READS[0]).await;
    let of_an_answer = header(&answer, "etag");
    others.extend((of_an_answer != current).then_some(of_an_answer));
    let repeated = [S::change(1)];
    for named in others {
        for change in changes::<S>().iter().chain(&repeated) {
            let refused = change.send(&app, &[("if-match", named)]).await;
            assert_eq!(
                (refused.status().as_u16(), header(&refused, "etag")),
                (412, &*current)
            );
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["type"], "/problems/version-mismatch");
            let detail = format!("{} ETag is {current}", S::WHOSE);
            assert_eq!(problem["detail"], detail, "{change:?} {named}");
        }
    }
    assert_eq!(etag(&app).await, current, "nothing was written");
    for change in changes::<S>() {
        let listed = format!("\"x\", {}", etag(&app).await);
        change.make(&app, &[("if-match", &listed)]).await;
    }
    let count = 2 + changes::<S>().len();
    let received = app.changes(count).await;
    let revisions: Vec<_> = received.iter().map(|it| it.attribute("ce-revision")).collect();
    let expected: Vec<_> = (1..=count).map(|revision| revision.to_string()).collect();
    assert_eq!(revisions, expected, "what was refused was not announced");
}

pub async fn a_star_changes_what_exists_and_an_absence_is_not_found_whatever_is_named<S: Source>() {
    let app = with_a_thing::<S>().await;
    for change in changes::<S>() {
        change.make(&app, &[("if-match", "*")]).await;
    }
    let absence = etag(&app).await;
    for change in changes::<S>().iter().filter(|change| !change.creates()) {
        for named in ["*", &absence, "\"nope-1\""] {
            let refused = change.send(&app, &[("if-match", named)]).await;
            assert_eq!(refused.status(), 404, "{change:?} {named}");
        }
    }
}

pub async fn a_condition_that_cannot_be_read_is_refused_and_changes_nothing<S: Source>() {
    let app = with_a_thing::<S>().await;
    let before = etag(&app).await;
    let listed = format!("*, {before}");
    for malformed in ["1", "\"x", before.trim_matches('"'), &listed] {
        for change in changes::<S>() {
            let refused = change.send(&app, &[("if-match", malformed)]).await;
            assert_eq!(refused.status(), 400, "{change:?} {malformed}");
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
        }
    }
    assert_eq!(etag(&app).await, before);
}

pub async fn of_two_writers_who_name_the_same_version_exactly_one_wins<S: Source>() {
    let app = with_a_thing::<S>().await;
    for round in 0..20 {
        let before = etag(&app).await;
        let (one, other) = (S::change(2 * round), S::change(2 * round + 1));
        let condition = [("if-match", &*before)];
        let answers = tokio::join!(one.send(&app, &condition), other.send(&app, &condition));
        let (won, lost) = if one.is_made_by(&answers.0) {
            (answers.0, answers.1)
        } else {
            (answers.1, answers.0)
        };
        assert!(one.is_made_by(&won), "{won:?}");
        assert_eq!(lost.status(), 412);
        assert_eq!(header(&lost, "etag"), header(&won, "etag"));
        app.assert_shows(&won.json().await.unwrap()).await;
    }
}

pub async fn a_renewed_incarnation_has_none_of_the_versions_of_before<S: Source>() {
    let app = with_a_thing::<S>().await;
    let before = etag(&app).await;
    let app = app.respawn(&["--renew-incarnation"]).await;
    let refused = S::change(1).send(&app, &[("if-match", &before)]).await;
    assert_eq!(refused.status(), 412);
}

pub async fn what_if_none_match_names_is_neither_changed_nor_deleted<S: Source>() {
    let app = with_a_thing::<S>().await;
    let current = etag(&app).await;
    for change in changes::<S>() {
        for named in ["*", &current, &format!("W/{current}")] {
            let refused = change.send(&app, &[("if-none-match", named)]).await;
            assert_eq!(refused.status(), 412, "{change:?} {named}");
            assert_eq!(header(&refused, "etag"), current);
        }
        let malformed = change.send(&app, &[("if-none-match", "x")]).await;
        assert_eq!(malformed.status(), 400);
    }
    assert_eq!(etag(&app).await, current, "nothing was written");
    for change in changes::<S>() {
        change.make(&app, &[("if-none-match", "\"x\"")]).await;
    }
}

pub async fn if_match_holds_for_readers_and_is_evaluated_first<S: Source>() {
    let app = with_a_thing::<S>().await;
    let answer = app.get(S::READS[0]).await;
    let current = header(&answer, "etag");
    for (path, method) in S::READS
        .iter()
        .flat_map(|path| [(path, Method::GET), (path, Method::HEAD)])
    {
        let read = async |conditions: &[(&str, &str)]| {
            let response = read(&app, method.clone(), path, conditions).await;
            assert_eq!(header(&response, "etag"), current);
            response.status().as_u16()
        };
        assert_eq!(read(&[("if-match", "\"x\"")]).await, 412);
        assert_eq!(read(&[("if-match", &format!("W/{current}"))]).await, 412);
        assert_eq!(read(&[("if-match", current)]).await, 200);
        assert_eq!(read(&[("if-match", "*")]).await, 200);
        let both = |tag| [("if-none-match", current), ("if-match", tag)];
        assert_eq!(read(&both("\"x\"")).await, 412);
        assert_eq!(read(&both(current)).await, 304);
    }
    for path in S::READS {
        let malformed = read(&app, Method::GET, path, &[("if-match", "x")]).await;
        assert_eq!(malformed.status(), 400);
    }
    for (path, tag) in S::ABSENT.iter().flat_map(|path| [(path, "\"x\""), (path, "*")]) {
        let absent = read(&app, Method::GET, path, &[("if-match", tag)]).await;
        assert_eq!(
            absent.status(),
            404,
            "what is 404 without a condition is 404 with one"
        );
    }
}

/// RFC 9111, section 4.2.2: caches guess if an answer does not say how long it is fresh. A cache that took the end of a window of
/// metrics for a promise would show what was before a new sample.
pub async fn every_answer_says_to_caches_that_it_is_to_be_asked_about<S: Source>() {
    let app = with_a_thing::<S>().await;
    let assert_said = async |path: &str, conditions: &[(&str, &str)], status: u16| {
        let answer = read(&app, Method::GET, path, conditions).await;
        assert_eq!(answer.status(), status, "{path} {conditions:?}");
        assert_eq!(header(&answer, "cache-control"), "private, no-cache", "{path}");
        answer
    };
    for path in S::READS {
        let answer = assert_said(path, &[], 200).await;
        let held = ("if-none-match", header(&answer, "etag"));
        assert_said(path, &[held], 304).await;
        assert_said(path, &[("if-match", "\"x\"")], 412).await;
    }
    for (path, status) in S::OTHERS {
        assert_said(path, &[], *status).await;
    }
    for path in S::ABSENT {
        assert_said(path, &[], 404).await;
    }
}
