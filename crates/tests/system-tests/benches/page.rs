//! What one page costs the page service, in a real stack and without the socket: `cargo bench -p system-tests --bench page`.
//!
//! | measured | is |
//! | --- | --- |
//! | `bare_handler` | a router with one handler that answers the same head and bytes |
//! | `hit`, `hit_json`, `hit_gzip`, `not_modified` | the whole service on a page that it holds |
//! | `composed` | the same on a page that it does not hold: three requests, and a render |
//! | `revalidated` | the same on a page that its sources confirm: three requests answered by 304 |

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use clap::Parser as _;
use divan::Bencher;
use divan::counter::ItemsCount;
use futures::FutureExt as _;
use page::{Config, Service};
use stack::{Options, Source, Stack};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Requests between two looks at the clock.
const ROW: usize = 100;
/// As many as a real account has.
const ENDPOINTS: u32 = 9;
const SAMPLES: u32 = 20;

fn main() {
    fixture();
    divan::main();
    // The stack's processes end with it.
    *fixture().stack.lock().expect("no benchmark panicked") = None;
}

/// A stack, a page service within this process, and what is compared with it.
struct Fixture {
    runtime: Runtime,
    stack: std::sync::Mutex<Option<Stack>>,
    path: String,
    page: Router,
    bare: Router,
    /// The rest of the service, for as long as it is asked.
    _service: Service,
    _telemetry: telemetry::Telemetry,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime can be made");
        let _entered = runtime.enter();
        let telemetry = telemetry::start("page", &telemetry::TelemetryConfig::default());
        let telemetry = telemetry.expect("nothing else was started");
        let (stack, account) = runtime.block_on(stack_with_an_account());
        let service = runtime.block_on(service(&stack));
        let (path, page) = (format!("/accounts/{account}"), service.router());
        let response = runtime.block_on(settled(&page, &path));
        Fixture {
            bare: runtime.block_on(bare(response)),
            stack: Some(stack).into(),
            path,
            page,
            _service: service,
            _telemetry: telemetry,
            runtime,
        }
    })
}

async fn stack_with_an_account() -> (Stack, u64) {
    let options = Options {
        replicas: 0,
        ..Options::default()
    };
    let stack = Stack::start_with(options).await;
    let account = stack.create_account("Fjord Hosting").await;
    for number in 0..ENDPOINTS {
        let url = format!("https://{number}.fjord.example/");
        let endpoint = stack.add_endpoint(account, &format!("Site {number}"), &url).await;
        for sample in 0..SAMPLES {
            stack.record(account, endpoint, 200 + sample).await;
        }
    }
    (stack, account)
}

async fn service(stack: &Stack) -> Service {
    let flags = [
        "page".to_owned(),
        format!("--accounts-url={}", stack.sources[Source::Accounts].url("")),
        format!("--endpoints-url={}", stack.sources[Source::Endpoints].url("")),
        format!("--metrics-url={}", stack.sources[Source::Metrics].url("")),
        format!("--nats-url={}", stack.nats.url()),
        "--allow-override".to_owned(),
    ];
    Service::start(Config::parse_from(flags), &CancellationToken::new())
        .await
        .expect("the service starts")
}

/// A router that answers as the page service did this time.
async fn bare(response: Response<Body>) -> Router {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .expect("the page is at hand");
    let show = async |State(page): State<Arc<(HeaderMap, Bytes)>>, Path(_): Path<String>| {
        (page.0.clone(), page.1.clone())
    };
    Router::new()
        .route("/accounts/{id}", get(show))
        .with_state(Arc::new((head.headers, body)))
}

fn request(path: &str) -> Request<Body> {
    Request::get(path)
        .body(Body::empty())
        .expect("a path is an address")
}

async fn answer(router: &Router, request: Request<Body>) -> Response<Body> {
    router
        .clone()
        .oneshot(request)
        .await
        .expect("a router always answers")
}

/// A hit, once the page follows the feed of every source: then its date advances from hit to hit. What was read before that is
/// asked for once more.
async fn settled(router: &Router, path: &str) -> Response<Body> {
    let hit_and_date = async || {
        let response = answer(router, request(path)).await;
        let shown = |name: &str| {
            response.headers()[name]
                .to_str()
                .expect("a header is text")
                .to_owned()
        };
        let (status, date) = (shown("cache-status"), shown("fresh-as-of"));
        if status.contains("; hit") {
            Ok((response, date))
        } else {
            Err(status)
        }
    };
    let within = Duration::from_secs(20);
    let (_, first) = stack::eventually(within, hit_and_date).await;
    let later = async || match hit_and_date().await {
        Ok((response, date)) if date > first => Ok(response),
        Ok((_, date)) => Err(date),
        Err(status) => Err(status),
    };
    stack::eventually(within, later).await
}

/// Takes what is at hand of a body, as the server does.
fn drain(response: Response<Body>) -> usize {
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(Some(Ok(frame))) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).now_or_never()
    {
        length += frame.into_data().map_or(0, |data| data.len());
    }
    length
}

/// Measures a row of requests with these headers, which are served as `how` says.
fn measure(
    bencher: Bencher<'_, '_>,
    router: &Router,
    row: usize,
    how: Option<&str>,
    headers: &[(&str, &str)],
) {
    let fixture = fixture();
    let ask = || {
        let builder = headers
            .iter()
            .fold(Request::get(&fixture.path), |request, (name, value)| {
                request.header(*name, *value)
            });
        builder.body(Body::empty()).expect("a path is an address")
    };
    let check = |response: &Response<Body>| {
        if let Some(how) = how {
            let served = &response.headers()["cache-status"];
            assert!(
                served.to_str().is_ok_and(|served| served.contains(how)),
                "{served:?}"
            );
        }
    };
    // The first one may find nothing: each strategy has a cache of its own.
    fixture.runtime.block_on(answer(router, ask()));
    check(&fixture.runtime.block_on(answer(router, ask())));
    bencher.counter(ItemsCount::new(row)).bench_local(|| {
        fixture.runtime.block_on(async {
            let mut length = 0;
            for _ in 0..row {
                length += drain(answer(router, ask()).await);
            }
            length
        })
    });
    check(&fixture.runtime.block_on(answer(router, ask())));
}

#[divan::bench]
fn bare_handler(bencher: Bencher<'_, '_>) {
    measure(bencher, &fixture().bare, ROW, None, &[]);
}

#[divan::bench]
fn hit(bencher: Bencher<'_, '_>) {
    measure(bencher, &fixture().page, ROW, Some("; hit"), &[]);
}

#[divan::bench]
fn hit_json(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        &fixture().page,
        ROW,
        Some("; hit"),
        &[("accept", "application/json")],
    );
}

#[divan::bench]
fn hit_gzip(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        &fixture().page,
        ROW,
        Some("; hit"),
        &[("accept-encoding", "gzip")],
    );
}

#[divan::bench]
fn not_modified(bencher: Bencher<'_, '_>) {
    let fixture = fixture();
    let page = fixture
        .runtime
        .block_on(answer(&fixture.page, request(&fixture.path)));
    let etag = page.headers()[header::ETAG]
        .to_str()
        .expect("an ETag is text")
        .to_owned();
    let again = Request::get(&fixture.path)
        .header(header::IF_NONE_MATCH, &etag)
        .body(Body::empty());
    let again = fixture
        .runtime
        .block_on(answer(&fixture.page, again.expect("an ETag is a header's value")));
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    measure(
        bencher,
        &fixture.page,
        ROW,
        Some("; hit"),
        &[("if-none-match", &etag)],
    );
}

#[divan::bench]
fn composed(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        &fixture().page,
        1,
        Some("fwd=bypass"),
        &[("cache-strategy", "none")],
    );
}

#[divan::bench]
fn revalidated(bencher: Bencher<'_, '_>) {
    measure(
        bencher,
        &fixture().page,
        1,
        Some("fwd=stale"),
        &[("cache-strategy", "versioned")],
    );
}
