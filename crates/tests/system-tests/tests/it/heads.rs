//! What the services of a stack say over a raw socket: lengths, and answers to a client that has closed its side.

use std::net::SocketAddr;

use stack::{Source, Stack, Window};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// All that is answered to these bytes; `closes`: whether the client closes its side behind them.
async fn answer(address: SocketAddr, request: &str, closes: bool) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    if closes {
        stream.shutdown().await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test(flavor = "multi_thread")]
async fn head_says_the_length_of_the_200_or_none() {
    let stack = Stack::start().await;
    let account = stack.create_account("Fjord Hosting").await;
    let fragments = stack.sources.iter().map(|(source, service)| {
        let path = source.fragment_path(account, Window::Day);
        (service, path)
    });
    let page = (&stack.pages[0], format!("/accounts/{account}"));
    for (service, path) in fragments.chain([page]) {
        let ask = async |method: &str, more: &str| {
            let head = format!("host: localhost\r\naccept: application/json\r\nconnection: close\r\n{more}");
            answer(
                service.address(),
                &format!("{method} {path} HTTP/1.1\r\n{head}\r\n"),
                false,
            )
            .await
        };
        let (get, head) = (ask("GET", "").await, ask("HEAD", "").await);
        let length = get.split_once("\r\n\r\n").unwrap().1.len().to_string();
        assert!(get.starts_with("HTTP/1.1 200"), "{get}");
        assert_eq!(field(&head, "content-length"), Some(&*length), "{path}: {head}");
        let known = format!("if-none-match: {}\r\n", field(&head, "etag").unwrap());
        for method in ["GET", "HEAD"] {
            let same = ask(method, &known).await;
            assert!(same.starts_with("HTTP/1.1 304"), "{same}");
            assert_eq!(field(&same, "content-length"), None, "{path}: {same}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_before_a_client_closes_its_side_is_done_and_answered() {
    let stack = Stack::start().await;
    let create = "POST /accounts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 12\r\n\r\n{\"name\":\"a\"}";
    let created = answer(stack.sources[Source::Accounts].address(), create, true).await;
    assert!(created.starts_with("HTTP/1.1 201"), "{created:?}");
    let path = field(&created, "location").unwrap();
    for service in [&stack.sources[Source::Accounts], &stack.pages[0]] {
        let read = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let read = answer(service.address(), &read, true).await;
        assert!(read.starts_with("HTTP/1.1 200"), "{read:?}");
    }
}
