//! What only a raw socket can say and see (RFC 9110 and RFC 9112).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use http_edge::{AllowedHosts, EdgeOptions, Json, Readiness, ServeOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A service behind the edge, under the names of a setting.
struct Service {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Service {
    async fn start() -> Self {
        Self::listening("127.0.0.1:0", &[]).await
    }

    async fn listening(on: &str, allowed: &[&str]) -> Self {
        let listener = TcpListener::bind(on).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
        let known = async || (StatusCode::NOT_MODIFIED, [(header::ETAG, "\"a\"")]);
        // Long enough for the server to see that the client has closed its side.
        let later = async || {
            sleep(Duration::from_millis(50)).await;
            "here"
        };
        let told = async |Json(told): Json<serde_json::Value>| {
            sleep(Duration::from_millis(50)).await;
            told["name"].to_string()
        };
        let router = Router::new()
            .route("/", get(async || "here"))
            .route("/later", get(later).post(told))
            .route("/known", get(known));
        let router = http_edge::edge(router, Readiness::always(), EdgeOptions::default());
        let options = ServeOptions {
            allowed_hosts: AllowedHosts::of(allowed.iter().copied()).unwrap(),
            ..ServeOptions::default()
        };
        let stop = CancellationToken::new();
        tokio::spawn(http_edge::serve(listener, router, options, stop.clone()));
        Self {
            address,
            _stop: stop.drop_guard(),
        }
    }

    /// Sends these bytes, and reads all that comes until the server closes.
    async fn answers(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(stream).await
    }

    /// The status of `GET path` with these lines in its head.
    async fn status(&self, path: &str, head: &str) -> u16 {
        let request = format!("GET {path} HTTP/1.1\r\n{head}connection: close\r\n\r\n");
        let answer = self.answers(&request).await;
        let status = answer.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]);
        status.unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut rest = String::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_string(&mut rest)).await;
    read.expect("the server closes").unwrap();
    rest
}

fn length(answer: &str) -> Option<usize> {
    let (_, after) = answer.split_once("content-length: ")?;
    Some(after.lines().next()?.parse().unwrap())
}

#[tokio::test]
async fn a_304_says_no_length_and_head_says_the_length_that_get_has() {
    let service = Service::start().await;
    let ask = async |method: &str, path: &str| {
        let head = "host: localhost\r\nconnection: close";
        service
            .answers(&format!("{method} {path} HTTP/1.1\r\n{head}\r\n\r\n"))
            .await
    };
    for method in ["GET", "HEAD"] {
        let answer = ask(method, "/known").await;
        assert!(answer.starts_with("HTTP/1.1 304"), "{answer}");
        assert_eq!(length(&answer), None, "{method}: {answer}");
    }
    for (path, status) in [("/", "200"), ("/livez", "200"), ("/nowhere", "404")] {
        let (get, head) = (ask("GET", path).await, ask("HEAD", path).await);
        assert!(get.contains(status) && head.contains(status), "{get} {head}");
        let (_, body) = get.split_once("\r\n\r\n").unwrap();
        assert_eq!(length(&head), Some(body.len()), "{path}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_request_without_one_valid_host_is_refused() {
    // Where no name is refused.
    let service = Service::listening("0.0.0.0:0", &[]).await;
    for head in [
        "",
        "host:\r\n",
        "host: localhost\r\nhost: localhost\r\n",
        "host: localhost, evil.example\r\n",
        "host: local host\r\n",
        "host: user@localhost\r\n",
        "host: localhost/\r\n",
        "host: localhost:http\r\n",
        "host: localhost:80:80\r\n",
        "host: localhost:65536\r\n",
        "host: :8080\r\n",
        "host: ::1\r\n",
        "host: [::1\r\n",
        "host: [::1]8080\r\n",
        "host: [localhost]\r\n",
        "host: %zz\r\n",
        "host: caf\u{e9}.example\r\n",
    ] {
        for path in ["/", "/livez", "/nowhere"] {
            assert_eq!(service.status(path, head).await, 400, "{path} {head:?}");
        }
    }
    for head in [
        "host: anything.example\r\n",
        "Host:localhost:8080\r\n",
        "host: [::1]:8080\r\n",
        "host: 192.0.2.1:\r\n",
        "host: a_b.example\r\n",
        "host: caf%C3%A9.example\r\n",
    ] {
        assert_eq!(service.status("/", head).await, 200, "{head:?}");
    }
    // HTTP/1.0 knew no Host.
    let answer = service.answers("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

#[tokio::test]
async fn what_listens_on_loopback_answers_under_loopback_names_alone() {
    let service = Service::start().await;
    for ours in [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "page.localhost:1",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]:8080",
    ] {
        let head = format!("host: {ours}\r\n");
        assert_eq!(service.status("/", &head).await, 200, "{ours}");
    }
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "[2001:db8::1]",
        "0.0.0.0",
    ] {
        for path in ["/", "/livez", "/metrics", "/nowhere"] {
            let head = format!("host: {foreign}\r\n");
            assert_eq!(service.status(path, &head).await, 421, "{foreign}{path}");
        }
    }
    // The name in the target counts, and not that in the header (RFC 9112, section 3.2.2).
    let host = "host: localhost\r\n";
    assert_eq!(service.status("http://evil.example/", host).await, 421);
    assert_eq!(
        service
            .status("http://localhost:8080/", "host: evil.example\r\n")
            .await,
        200
    );
}

#[tokio::test]
async fn other_names_are_a_setting_wherever_it_listens() {
    for on in ["127.0.0.1:0", "0.0.0.0:0"] {
        let service = Service::listening(on, &["Page.example", "192.0.2.1", "[2001:db8::1]", ""]).await;
        for allowed in [
            "page.example",
            "PAGE.example:8080",
            "192.0.2.1:80",
            "[2001:DB8:0::1]",
            "localhost:8080",
            "127.0.0.1",
        ] {
            let head = format!("host: {allowed}\r\n");
            assert_eq!(service.status("/", &head).await, 200, "{allowed} on {on}");
        }
        for foreign in ["other.example", "sub.page.example"] {
            let head = format!("host: {foreign}\r\n");
            assert_eq!(service.status("/", &head).await, 421, "{foreign} on {on}");
        }
    }
}

#[tokio::test]
async fn who_has_said_all_and_closes_its_side_is_answered() {
    let service = Service::start().await;
    let post = "POST /later HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"name\":\"a\"}";
    for (request, end) in [
        ("GET /later HTTP/1.1\r\nhost: localhost\r\n\r\n", "here"),
        ("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n", "alive\n"),
        (post, "\"a\""),
    ] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with(end),
            "{answer:?}"
        );
    }
}

/// Ends with a reset the connection of a request that is under way.
#[tokio::test]
async fn a_request_whose_connection_is_reset_is_dropped_at_once() {
    let (reached, dropped) = (Arc::new(Notify::new()), CancellationToken::new());
    let (notify, token) = (Arc::clone(&reached), dropped.clone());
    let never = async move || {
        let _dropped = token.drop_guard();
        notify.notify_one();
        std::future::pending::<()>().await;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(never));
    let stop = CancellationToken::new();
    tokio::spawn(http_edge::serve(
        listener,
        router,
        ServeOptions::default(),
        stop.clone(),
    ));
    let _stop = stop.drop_guard();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    reached.notified().await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    let at_once = timeout(Duration::from_millis(1500), dropped.cancelled()).await;
    at_once.expect("sooner than that of a client that closed its sending side");
}

#[tokio::test]
async fn a_body_that_ends_too_soon_is_not_taken_for_whole() {
    let service = Service::start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let cut = "POST /later HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"name\":\"a\"}";
    stream.write_all(cut.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest(stream).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test]
async fn no_cache_guesses_how_long_an_answer_is_good_for() {
    let service = Service::start().await;
    for path in ["/", "/known", "/nowhere", "/livez", "/metrics"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = service.answers(&request).await;
        assert!(
            answer.contains("cache-control: private, no-cache\r\n"),
            "{answer}"
        );
    }
}
