//! How many requests per second the generator itself can send, measured against a server that does nothing.
//!
//! `cargo run --release -p loadtest --example ceiling`: each line is a rate that was asked for, and how late requests left.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use loadtest::client::{Account, Addresses, Client, Reading};
use loadtest::generator::{Limits, drive};
use loadtest::plan::Planner;
use loadtest::target::Target;
use stack::PerSource;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

const TRIAL: Duration = Duration::from_secs(3);
/// About as long as the page of a real account.
const BODY: usize = 20_000;

fn main() -> Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let root = format!("http://{}", listener.local_addr()?);
    // A thread of its own, as a server is a process of its own.
    thread::spawn(move || serve(listener));
    let generator = Builder::new_current_thread().enable_all().build()?;
    generator.block_on(climb(&root))
}

async fn climb(root: &str) -> Result<()> {
    let addresses = Addresses {
        page: root.to_owned(),
        sources: PerSource::from_fn(|_| root.to_owned()),
    };
    let account = Account {
        id: 7,
        endpoints: Vec::new(),
    };
    let target = Target::new(Client::new(addresses), Reading::default(), vec![account]);
    let limits = Limits {
        budget: Duration::from_millis(250),
        in_flight: 1000,
    };
    println!("    rate  answered  late p50 us  late p99 us  latency p50 us  latency p99 us  failed");
    for rate in [
        500.0, 1000.0, 2000.0, 4000.0, 6000.0, 8000.0, 10_000.0, 12_000.0, 16_000.0, 20_000.0, 24_000.0,
        28_000.0, 32_000.0,
    ] {
        let plan = Planner::new(1, Arc::new([0]), f64::INFINITY).turn(rate, TRIAL);
        let numbers = drive(&target, &plan, limits).await.numbers();
        let (late, latency) = (numbers.late_us, numbers.latency_us);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let answered = latency.count as f64 / numbers.seconds;
        println!(
            "{rate:8} {answered:9.0} {:12} {:12} {:15} {:15} {:7}",
            late.p50,
            late.p99,
            latency.p50,
            latency.p99,
            numbers.reads - latency.count
        );
    }
    Ok(())
}

fn serve(listener: std::net::TcpListener) -> Result<()> {
    let server = Builder::new_current_thread().enable_all().build()?;
    server.block_on(async {
        let routes = Router::new().route("/accounts/{id}", get(answer));
        let listener = TcpListener::from_std(listener)?;
        axum::serve(listener, routes).await.context("serving")
    })
}

async fn answer() -> ([(&'static str, &'static str); 3], &'static [u8]) {
    static PAGE: [u8; BODY] = [b'x'; BODY];
    let headers = [
        ("cache-status", "page; hit"),
        ("fresh-as-of", "2026-11-22T21:18:03.042Z"),
        (
            "consistency-token",
            "accounts/7/0199f7c5a1b27cc38d4e5f6071829304=1-9f86d081884c7d65, endpoints/7/0199f7c5a1b27cc38d4e5f6071829305=1-9f86d081884c7d65, metrics/7/0199f7c5a1b27cc38d4e5f6071829306=1-9f86d081884c7d65",
        ),
    ];
    (headers, &PAGE)
}
