//! A hit, beside a `get` of the store underneath: what the check, the date and the answer add.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use divan::{Bencher, black_box};
use fresh_cache::{Consistency, FreshCache, Outcome};
use futures::FutureExt as _;
use moka::sync::Cache;

use crate::pages::{Key, Pages, SOURCES};
use crate::resident::{HOT, Resident};

/// Accounts with a page: they fit into a core's cache, into the processor's, into none.
const ACCOUNTS: [u64; 3] = [1 << 6, 1 << 14, 1 << 20];
/// Events per millisecond while pages are read; in the end, more than anybody can apply.
const EVENTS: [usize; 3] = [0, 100, 1_000_000];

/// Reads a page that is fresh.
fn read(cache: &FreshCache<Pages>, key: Key) {
    let answer = cache
        .read(black_box(&key), Consistency::MinimizeLatency)
        .now_or_never();
    let answer = black_box(answer).expect("a hit waits for nothing");
    assert_eq!(answer.outcome, Outcome::Hit);
}

/// The same of the store underneath.
fn get(bare: &Cache<Key, Arc<()>>, key: Key) {
    assert!(black_box(bare.get(black_box(&key))).is_some());
}

/// A page by chance.
fn any(accounts: u64) -> Key {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(1) });
    let state = STATE
        .get()
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    STATE.set(state);
    Key {
        account: (state >> 32) % accounts,
        variant: 0,
    }
}

#[divan::bench(sample_size = 1000, sample_count = 200)]
fn one_page_bare(bencher: Bencher<'_, '_>) {
    let resident = Resident::of(SOURCES, 1);
    bencher.bench_local(|| get(&resident.bare, HOT));
}

/// The difference of two fragments is twice the check of one.
#[divan::bench(sample_size = 1000, sample_count = 200, args = [1, SOURCES])]
fn one_page_of_parts(bencher: Bencher<'_, '_>, fragments: usize) {
    let resident = Resident::of(fragments, 1);
    bencher.bench_local(|| read(&resident.cache, HOT));
}

#[divan::bench(sample_size = 1000, sample_count = 200, args = ACCOUNTS)]
fn many_pages_bare(bencher: Bencher<'_, '_>, accounts: u64) {
    let resident = Resident::of(SOURCES, accounts);
    bencher.bench_local(|| get(&resident.bare, any(accounts)));
}

#[divan::bench(sample_size = 1000, sample_count = 200, args = ACCOUNTS)]
fn many_pages(bencher: Bencher<'_, '_>, accounts: u64) {
    let resident = Resident::of(SOURCES, accounts);
    bencher.bench_local(|| read(&resident.cache, any(accounts)));
}

#[divan::bench(sample_size = 1000, sample_count = 200, threads = [2])]
fn two_readers_bare(bencher: Bencher<'_, '_>) {
    let resident = Resident::of(SOURCES, 1);
    bencher.bench(|| get(&resident.bare, HOT));
}

#[divan::bench(sample_size = 1000, sample_count = 200, threads = [2], args = EVENTS)]
fn two_readers_and_events(bencher: Bencher<'_, '_>, events: usize) {
    let resident = Resident::of(SOURCES, 1);
    resident.events.store(events, Ordering::Relaxed);
    bencher.bench(|| read(&resident.cache, HOT));
    resident.events.store(0, Ordering::Relaxed);
}

#[divan::bench(sample_size = 1000, sample_count = 200, args = EVENTS)]
fn one_reader_and_events(bencher: Bencher<'_, '_>, events: usize) {
    let resident = Resident::of(SOURCES, 1);
    resident.events.store(events, Ordering::Relaxed);
    bencher.bench_local(|| read(&resident.cache, HOT));
    resident.events.store(0, Ordering::Relaxed);
}
