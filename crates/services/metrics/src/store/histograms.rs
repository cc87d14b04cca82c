//! The histograms of an account's endpoints: they follow the samples, in the same transaction.

use std::collections::BTreeMap;

use crate::histogram::{Bin, Bins, Chunk};
use crate::sample::{AccountId, EndpointId, Sample, UnixMs};
use crate::store::endpoints::{self, Endpoints, Packed};
use crate::store::samples::{self, Newest, Stored};
use crate::summary::Tally;
use crate::window::Frame;
use group_commit::{Connection, Error, Statement, params};

/// The most samples that an endpoint has, once a batch is recorded, that are not packed: what a summary reads one by one.
const UNPACKED_LIMIT: usize = 32;
/// How many of the newest are not packed then: those that come a little late belong among them, and change no chunk.
const LEFT_UNPACKED: usize = 16;
/// The most that are packed in one transaction.
const PACKED_AT_ONCE: usize = 10_000;

/// The chunk that a window begins in, and those that begin in it.
pub(super) const CHUNKS_OF_WINDOW: &str = "SELECT first, bins FROM histograms
     WHERE account_id = ?1 AND endpoint_id = ?2 AND first < ?4 AND first >=
         (SELECT first FROM histograms WHERE account_id = ?1 AND endpoint_id = ?2 AND first <= ?3
          ORDER BY first DESC LIMIT 1)
     ORDER BY first";

/// Those of the window's samples that are not packed.
pub(super) const SAMPLES_OF_WINDOW: &str = "SELECT at, state, status_code, response_ms FROM samples
     WHERE account_id = ?1 AND endpoint_id = ?2 AND at >= ?3 AND at < ?4 ORDER BY at";

/// By how many samples which bin changes.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(EndpointId, Bin), i64>);

impl Changes {
    fn exchange(&mut self, endpoint: EndpointId, replaced: Option<&Sample>, sample: &Sample) {
        *self.0.entry((endpoint, Bin::of(sample))).or_default() += 1;
        if let Some(replaced) = replaced {
            *self.0.entry((endpoint, Bin::of(replaced))).or_default() -= 1;
        }
    }
}

/// Takes in what was stored, in its order. What lies before the moment that an endpoint's histogram reaches to changes
/// it; the rest waits until there is enough of it to be packed.
pub(super) fn follow(c: &Connection<'_>, account: AccountId, stored: &[Stored]) -> Result<(), Error> {
    let mut changes = Changes::default();
    let mut endpoints = Endpoints::prepare(c, account)?;
    let mut full = Vec::new();
    for of_endpoint in stored.chunk_by(|one, other| one.endpoint == other.endpoint) {
        let endpoint = of_endpoint[0].endpoint;
        let known = endpoints.find(endpoint)?;
        let mut packed = known.unwrap_or_default();
        for stored in of_endpoint {
            if packed.holds(stored.sample.at) {
                changes.exchange(endpoint, stored.replaced.as_ref(), &stored.sample);
            } else if stored.replaced.is_none() {
                packed.unpacked += 1;
            }
        }
        if packed.unpacked > UNPACKED_LIMIT {
            full.push((endpoint, packed));
        } else if known != Some(packed) {
            endpoints.put(endpoint, packed)?;
        }
    }
    if !full.is_empty() {
        let mut unpacked = Unpacked::prepare(c, account)?;
        for (endpoint, packed) in full {
            endpoints.put(endpoint, unpacked.pack(endpoint, packed, &mut changes)?)?;
        }
    }
    change(c, account, changes)
}

/// The endpoints with more to pack than is left to the next batch: of a database from before there were histograms.
pub(super) fn unpacked(c: &Connection<'_>) -> Result<Vec<(AccountId, EndpointId)>, Error> {
    endpoints::with_more_unpacked(c, UNPACKED_LIMIT)
}

/// Packs the next of an endpoint's samples; false when there are no more than a batch would leave.
pub(super) fn pack_more(c: &Connection<'_>, account: AccountId, endpoint: EndpointId) -> Result<bool, Error> {
    let mut changes = Changes::default();
    let mut endpoints = Endpoints::prepare(c, account)?;
    let packed = endpoints.find(endpoint)?.unwrap_or_default();
    let packed = Unpacked::prepare(c, account)?.pack(endpoint, packed, &mut changes)?;
    endpoints.put(endpoint, packed)?;
    change(c, account, changes)?;
    Ok(packed.unpacked > UNPACKED_LIMIT)
}

/// The samples of an account that are to be packed. Its statement is prepared once for many endpoints: the cache that a
/// connection has of them takes the values out that were bound last, and SQLite plans anew what it planned with these.
struct Unpacked<'c> {
    account: AccountId,
    samples: Statement<'c>,
}

impl<'c> Unpacked<'c> {
    fn prepare(c: &Connection<'c>, account: AccountId) -> Result<Self, Error> {
        Ok(Self {
            account,
            samples: c.prepare(
                "SELECT at, state, status_code, response_ms FROM samples
                 WHERE account_id = ?1 AND endpoint_id = ?2 AND at >= ?3 ORDER BY at LIMIT ?4",
            )?,
        })
    }

    /// Adds all but the newest of them, the oldest first, and answers how far the histogram then reaches.
    fn pack(
        &mut self,
        endpoint: EndpointId,
        mut packed: Packed,
        changes: &mut Changes,
    ) -> Result<Packed, Error> {
        let from = packed.until.map_or(i64::MIN, |until| until.0);
        let due = PACKED_AT_ONCE.min(packed.unpacked.saturating_sub(LEFT_UNPACKED));
        let parameters = params![self.account.0, endpoint.get(), from, due];
        self.samples.for_each(parameters, |row| {
            let sample = samples::sample_from(row)?;
            changes.exchange(endpoint, None, &sample);
            packed.until = Some(UnixMs(sample.at.0 + 1));
            Ok(())
        })?;
        packed.unpacked -= due;
        Ok(packed)
    }
}

/// Each chunk is read and written once, however many of its bins change.
fn change(c: &Connection<'_>, account: AccountId, changes: Changes) -> Result<(), Error> {
    let changes: Vec<_> = changes.0.into_iter().filter(|(_, by)| *by != 0).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let mut chunks = Chunks::prepare(c, account)?;
    for of_endpoint in changes.chunk_by(|((one, _), _), ((other, _), _)| one == other) {
        let endpoint = of_endpoint[0].0.0;
        let bins: Vec<_> = of_endpoint.iter().map(|((_, bin), by)| (*bin, *by)).collect();
        let mut rest = bins.as_slice();
        while let Some((bin, _)) = rest.first() {
            let (chunk, end) = chunks.holding(endpoint, *bin)?;
            let inside = rest.partition_point(|(bin, _)| end.is_none_or(|end| *bin < end));
            let (now, later) = rest.split_at(inside);
            for chunk in chunk.changed(now, end.is_none()) {
                chunks.put(endpoint, &chunk)?;
            }
            rest = later;
        }
    }
    Ok(())
}

/// The chunks of an account, to be changed.
struct Chunks<'c> {
    account: AccountId,
    holding: Statement<'c>,
    put: Statement<'c>,
}

impl<'c> Chunks<'c> {
    fn prepare(c: &Connection<'c>, account: AccountId) -> Result<Self, Error> {
        Ok(Self {
            account,
            holding: c.prepare(
                "SELECT first, bins,
                        (SELECT first FROM histograms WHERE account_id = ?1 AND endpoint_id = ?2 AND first > ?3
                         ORDER BY first LIMIT 1) AS next
                 FROM histograms WHERE account_id = ?1 AND endpoint_id = ?2 AND first <= ?3
                 ORDER BY first DESC LIMIT 1",
            )?,
            put: c.prepare(
                "INSERT INTO histograms (account_id, endpoint_id, first, bins) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account_id, endpoint_id, first) DO UPDATE SET bins = excluded.bins",
            )?,
        })
    }

    /// The chunk that the bin belongs to, and the first bin that does not any more.
    fn holding(&mut self, endpoint: EndpointId, bin: Bin) -> Result<(Chunk, Option<Bin>), Error> {
        let parameters = params![self.account.0, endpoint.get(), bin.0];
        let found = self.holding.query_opt(parameters, |row| {
            let (first, bytes) = (Bin(row.get("first")?), row.get("bins")?);
            Ok((Chunk { first, bytes }, row.get::<Option<_>>("next")?.map(Bin)))
        })?;
        Ok(found.unwrap_or_else(|| (Chunk::empty(), None)))
    }

    fn put(&mut self, endpoint: EndpointId, chunk: &Chunk) -> Result<(), Error> {
        self.put.execute(params![
            self.account.0,
            endpoint.get(),
            chunk.first.0,
            chunk.bytes
        ])?;
        Ok(())
    }
}

/// The samples of an account, as far as they lie in a frame: packed, and one by one.
pub(super) struct Windows<'c> {
    account: AccountId,
    frame: Frame,
    chunks: Statement<'c>,
    samples: Statement<'c>,
}

impl<'c> Windows<'c> {
    pub(super) fn prepare(c: &Connection<'c>, account: AccountId, frame: Frame) -> Result<Self, Error> {
        Ok(Self {
            account,
            frame,
            chunks: c.prepare(CHUNKS_OF_WINDOW)?,
            samples: c.prepare(SAMPLES_OF_WINDOW)?,
        })
    }

    pub(super) fn tally(&mut self, endpoint: &Newest) -> Result<Tally, Error> {
        let mut tally = Tally::new(self.frame);
        if endpoint.packed.holds(self.frame.start()) {
            self.add_chunks(endpoint.id, &mut tally)?;
        }
        if !endpoint.packed.holds(endpoint.sample.at) {
            self.add_samples(endpoint, &mut tally)?;
        }
        Ok(tally)
    }

    /// Some of the bins may lie before the frame, or after it: the tally leaves them out.
    fn add_chunks(&mut self, endpoint: EndpointId, tally: &mut Tally) -> Result<(), Error> {
        let [start, end] = [self.frame.start(), self.frame.end()].map(|at| Bin::first_of_minute(at).0);
        let parameters = params![self.account.0, endpoint.get(), start, end];
        self.chunks.for_each(parameters, |row| {
            for (bin, samples) in Bins::of(Bin(row.get("first")?), row.bytes("bins")?) {
                tally.add(bin, samples);
            }
            Ok(())
        })
    }

    fn add_samples(&mut self, endpoint: &Newest, tally: &mut Tally) -> Result<(), Error> {
        let from = endpoint.packed.until.max(Some(self.frame.start()));
        let from = from.expect("a frame has a start");
        let parameters = params![self.account.0, endpoint.id.get(), from.0, self.frame.end().0];
        self.samples.for_each(parameters, |row| {
            tally.add(Bin::of(&samples::sample_from(row)?), 1);
            Ok(())
        })
    }
}
