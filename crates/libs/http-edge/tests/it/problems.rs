//! Each kind of bad input, and what the client is told.

use http_edge::Readiness;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{OPTIONS, TestApp};

/// The problem's status and detail, after checking what all problems have in common.
async fn problem(request: RequestBuilder) -> (u16, String) {
    read_problem(request.send().await.unwrap()).await
}

async fn read_problem(response: Response) -> (u16, String) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["trace_id"], headers["trace-id"].to_str().unwrap());
    (status, problem["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_body_must_be_json_of_the_right_shape() {
    let app = TestApp::spawn().await;
    let cases = [
        (r#"{"name":"#, 400, "EOF while parsing"),
        ("", 400, "EOF while parsing"),
        (r#"{"name":"a"} b"#, 400, "trailing characters"),
        (
            r#"{"name":1}"#,
            422,
            "name: invalid type: integer `1`, expected a string",
        ),
        (r#"{"name":"a","more":1}"#, 422, "unknown field `more`"),
        (r"{}", 422, "missing field `name`"),
    ];
    for (body, status, detail) in cases {
        let told = problem(app.post("/things", body)).await;
        assert!(told.0 == status && told.1.contains(detail), "{body}: {told:?}");
    }
    assert_eq!(
        app.post("/things", r#"{"name":"a"}"#)
            .send()
            .await
            .unwrap()
            .status(),
        201
    );
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let app = TestApp::spawn().await;
    let unnamed = app.client.post(app.url("/things")).body(r#"{"name":"a"}"#);
    assert_eq!(problem(unnamed).await.0, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_said_or_unsaid() {
    let app = TestApp::spawn().await;
    let fits = format!(r#"{{"name":"{}"}}"#, "a".repeat(OPTIONS.body_limit - 11));
    assert_eq!(fits.len(), OPTIONS.body_limit);
    assert_eq!(app.post("/things", &fits).send().await.unwrap().status(), 201);
    assert_eq!(problem(app.post("/things", &format!("{fits} "))).await.0, 413);

    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /things HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                connection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{fits} \r\n0\r\n\r\n", fits.len() + 1);
    stream
        .write_all(format!("{head}{chunk}").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn parameters_must_parse() {
    let app = TestApp::spawn().await;
    let (status, detail) = problem(app.get("/things/seven")).await;
    assert!(status == 400 && detail.contains("seven"), "{detail}");
    let (status, detail) = problem(app.get("/things?limit=-1")).await;
    assert!(status == 400 && detail.contains("limit"), "{detail}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let app = TestApp::spawn().await;
    assert_eq!(problem(app.get("/nothing")).await.0, 404);
    let response = app.client.delete(app.url("/things")).send().await.unwrap();
    let allow = response.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    assert_eq!(read_problem(response).await.0, 405);
}

#[tokio::test]
async fn readiness_is_asked_every_time() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let receiver = std::sync::Mutex::new(receiver);
    let ready = Readiness::new(move || {
        receiver
            .lock()
            .unwrap()
            .try_recv()
            .map_err(|_| "no broker".to_owned())
    });
    let app = TestApp::spawn_with(ready, OPTIONS).await;

    let response = app.get("/readyz").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (503, &"application/problem+json".parse().unwrap())
    );
    let problem: Value = response.json().await.unwrap();
    assert_eq!(
        (&problem["type"], &problem["detail"]),
        (&"/problems/not-ready".into(), &"no broker".into())
    );
    sender.send(()).unwrap();
    assert_eq!(app.get("/readyz").send().await.unwrap().status(), 200);
    assert_eq!(app.get("/livez").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_a_check_says_beside_is_told() {
    let ready = Readiness::asking(|| async { Ok("the broker is away".to_owned()) });
    let app = TestApp::spawn_with(ready, OPTIONS).await;
    let response = app.get("/readyz").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "ready; the broker is away\n");
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_check_does_not_end_is_not_ready() {
    let ready = Readiness::asking(std::future::pending);
    assert_eq!(ready.check().await.unwrap_err(), "the check takes too long");
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named_and_a_null_is_of_the_wrong_type() {
    let app = TestApp::spawn().await;
    for (body, field) in [
        (r#"{"name":1}"#, "name"),
        (r#"{"name":null}"#, "name"),
        (r#"{"name":"a","note":null}"#, "note"),
    ] {
        let response = app.post("/things", body).send().await.unwrap();
        assert_eq!(response.status(), 422, "{body}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let noted = app.post("/things", r#"{"name":"a","note":"b"}"#);
    assert_eq!(noted.send().await.unwrap().status(), 201);
}

/// RFC 9110, section 15.5.16: what is not honoured is refused, and the answer says what is taken.
#[tokio::test]
async fn a_body_is_taken_as_json_alone_and_not_compressed() {
    let app = TestApp::spawn().await;
    let send = async |headers: &[(&str, &str)]| {
        let request = app.client.post(app.url("/things")).body(r#"{"name":"a"}"#);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    };
    for taken in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ] {
        let response = send(&[("content-type", taken)]).await;
        assert_eq!(response.status(), 201, "{taken}");
    }
    for refused in [
        "text/plain",
        "text/json",
        "application/jsonx",
        "application/json; charset=utf-16",
        "application/json; profile=x",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/vnd.api+json",
        "application/problem+json",
        "",
    ] {
        let response = send(&[("content-type", refused)]).await;
        assert_eq!(response.headers()["accept"], "application/json", "{refused}");
        assert_eq!(read_problem(response).await.0, 415, "{refused}");
    }
    let json = ("content-type", "application/json");
    assert_eq!(send(&[json, json]).await.status(), 415, "of two types none is it");
    for refused in ["gzip", "GZIP", "identity, br", "zstd"] {
        let response = send(&[json, ("content-encoding", refused)]).await;
        assert_eq!(response.headers()["accept-encoding"], "identity", "{refused}");
        assert_eq!(read_problem(response).await.0, 415, "{refused}");
    }
    assert_eq!(
        send(&[json, ("content-encoding", "identity")]).await.status(),
        201
    );
}
