//! I4: no evidence of life, no trust.

use stack::{Moment, Source};

use super::date::ROUNDING;
use super::{Exercised, Rule, Violation, violation};
use crate::history::{Outage, Response};
use crate::schedule::Place;

/// The fragments that claim to be complete until a time at which their source was dead, or could neither reach nor be asked by this
/// replica.
pub(super) fn without(response: &Response, outages: &[Outage], exercised: &mut Exercised) -> Vec<Violation> {
    let Some(date) = response.fresh_as_of else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (source, _) in response.shown() {
        let Some(since) = dark_since(response, source, outages) else {
            continue;
        };
        exercised.unproven_fragments += 1;
        if date > since.plus(ROUNDING) {
            let told = broken(response, source, outages).map(ToString::to_string);
            found.push(violation(
                Rule::WithoutLiveness,
                response,
                told.collect::<Vec<_>>(),
            ));
        }
    }
    found
}

/// Since when the replica that answered could not know anything of the source, up to its answer.
fn dark_since(response: &Response, source: Source, outages: &[Outage]) -> Option<Moment> {
    let since = |place| {
        let open = outages
            .iter()
            .filter(|outage| outage.place == place && holds(outage, response));
        open.map(|outage| outage.from).min()
    };
    let replica = response.replica.index;
    let dead = since(Place::Source(source));
    // A watermark that was taken before any of these broke may still arrive after it; one taken later may not.
    let without_feed = feed(replica, source).into_iter().filter_map(since).min();
    let unreachable = since(Place::ReplicaToSource(replica, source));
    let cut_off = without_feed
        .zip(unreachable)
        .map(|(without_feed, unreachable)| without_feed.max(unreachable));
    dead.into_iter().chain(cut_off).min()
}

/// The way of a source's messages to a replica.
const fn feed(replica: usize, source: Source) -> [Place; 3] {
    [
        Place::SourceToBroker(source),
        Place::Broker,
        Place::ReplicaToBroker(replica),
    ]
}

fn broken<'a>(
    response: &Response,
    source: Source,
    outages: &'a [Outage],
) -> impl Iterator<Item = &'a Outage> {
    let replica = response.replica.index;
    let ways = [Place::Source(source), Place::ReplicaToSource(replica, source)];
    let relevant = [&ways[..], &feed(replica, source)].concat();
    outages
        .iter()
        .filter(move |outage| relevant.contains(&outage.place) && holds(outage, response))
}

/// Whether it was still broken when the answer was there.
fn holds(outage: &Outage, response: &Response) -> bool {
    outage.from <= response.received_at && response.received_at < outage.until
}
