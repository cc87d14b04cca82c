//! Under which names the services of a stack answer, and under which they can be written to.

use reqwest::Method;
use stack::{Process, Source, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The status of a request with these lines in its head.
async fn status(service: &Process, method: &str, path: &str, head: &str) -> u16 {
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let body = r#"{"name":"written"}"#;
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer[9..12].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn services_on_loopback_answer_this_machines_names_alone_and_foreign_names_write_nothing() {
    let stack = Stack::start().await;
    let account = stack.create_account("before").await;
    for service in stack.services() {
        let ask = async |head: &str| status(service, "GET", "/livez", head).await;
        assert_eq!(ask("host: localhost\r\n").await, 200);
        assert_eq!(ask("host: 127.0.0.1:1\r\n").await, 200);
        assert_eq!(ask("host: evil.example\r\n").await, 421);
        assert_eq!(ask("").await, 400);
        assert_eq!(ask("host: localhost\r\nhost: localhost\r\n").await, 400);
    }
    let path = format!("/accounts/{account}");
    let rename = async |host| {
        status(
            &stack.sources[Source::Accounts],
            "PATCH",
            &path,
            &format!("host: {host}\r\n"),
        )
        .await
    };
    let name = async || {
        let request = stack.request(Method::GET, stack.sources[Source::Accounts].url(&path));
        let account: serde_json::Value = stack.send(request).await.json().await.unwrap();
        account["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(rename("evil.example").await, 421);
    assert_eq!(name().await, "before");
    assert_eq!(rename("localhost").await, 200);
    assert_eq!(name().await, "written");
}
