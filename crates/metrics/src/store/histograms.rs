//! The histograms of an account's endpoints: they change with the samples, in the same transaction.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::error::StoreError;
use crate::histogram::{Bin, Bins, Chunk};
use crate::sample::{AccountId, EndpointId, Sample};
use crate::store::samples;
use crate::summary::Tally;
use crate::window::Frame;

/// Samples of a histogram that is filled that are packed together.
const FILL_AT_ONCE: usize = 10_000;

/// The chunk that a window begins in, and those that begin in it.
pub(super) const CHUNKS_OF_WINDOW: &str = "SELECT first, bins FROM histograms
     WHERE account_id = ?1 AND endpoint_id = ?2 AND first < ?4 AND first >=
         (SELECT first FROM histograms WHERE account_id = ?1 AND endpoint_id = ?2 AND first <= ?3
          ORDER BY first DESC LIMIT 1)
     ORDER BY first";

/// By how many samples which bin changes.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(EndpointId, Bin), i64>);

impl Changes {
    pub(super) fn add(&mut self, endpoint: EndpointId, sample: &Sample) {
        *self.0.entry((endpoint, Bin::of(sample))).or_default() += 1;
    }

    pub(super) fn remove(&mut self, endpoint: EndpointId, sample: &Sample) {
        *self.0.entry((endpoint, Bin::of(sample))).or_default() -= 1;
    }
}

/// Each chunk is read and written once, however many of its bins change.
pub(super) fn change(c: &Connection, account: AccountId, changes: Changes) -> Result<(), StoreError> {
    let mut chunks = Chunks::prepare(c, account)?;
    let changes: Vec<_> = changes.0.into_iter().filter(|(_, by)| *by != 0).collect();
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

/// The chunks of an account, to be changed. Its statements are prepared once for many endpoints: the cache that a
/// connection has of them takes the values out that were bound last, and SQLite plans anew what it planned with these.
struct Chunks<'c> {
    account: AccountId,
    holding: CachedStatement<'c>,
    put: CachedStatement<'c>,
}

impl<'c> Chunks<'c> {
    fn prepare(c: &'c Connection, account: AccountId) -> Result<Self, StoreError> {
        Ok(Self {
            account,
            holding: c.prepare_cached(
                "SELECT first, bins,
                        (SELECT first FROM histograms WHERE account_id = ?1 AND endpoint_id = ?2 AND first > ?3
                         ORDER BY first LIMIT 1)
                 FROM histograms WHERE account_id = ?1 AND endpoint_id = ?2 AND first <= ?3
                 ORDER BY first DESC LIMIT 1",
            )?,
            put: c.prepare_cached(
                "REPLACE INTO histograms (account_id, endpoint_id, first, bins) VALUES (?1, ?2, ?3, ?4)",
            )?,
        })
    }

    /// The chunk that the bin belongs to, and the first bin that does not any more.
    fn holding(&mut self, endpoint: EndpointId, bin: Bin) -> Result<(Chunk, Option<Bin>), StoreError> {
        let found = self
            .holding
            .query_row([self.account.0, endpoint.get(), bin.0], |row| {
                let (first, bytes) = (Bin(row.get(0)?), row.get(1)?);
                Ok((Chunk { first, bytes }, row.get::<_, Option<_>>(2)?.map(Bin)))
            })
            .optional()?;
        Ok(found.unwrap_or_else(|| (Chunk::empty(), None)))
    }

    fn put(&mut self, endpoint: EndpointId, chunk: &Chunk) -> Result<(), StoreError> {
        self.put.execute(params![
            self.account.0,
            endpoint.get(),
            chunk.first.0,
            chunk.bytes
        ])?;
        Ok(())
    }
}

/// The histograms of an account, as far as they lie in a frame. Prepared once, as above.
pub(super) struct Histograms<'c> {
    account: AccountId,
    frame: Frame,
    chunks: CachedStatement<'c>,
}

impl<'c> Histograms<'c> {
    pub(super) fn prepare(c: &'c Connection, account: AccountId, frame: Frame) -> Result<Self, StoreError> {
        Ok(Self {
            account,
            frame,
            chunks: c.prepare_cached(CHUNKS_OF_WINDOW)?,
        })
    }

    pub(super) fn tally(&mut self, endpoint: EndpointId) -> Result<Tally, StoreError> {
        let [start, end] = [self.frame.start(), self.frame.end()].map(|at| Bin::first_of_minute(at).0);
        let mut rows = self.chunks.query([self.account.0, endpoint.get(), start, end])?;
        let mut tally = Tally::new(self.frame);
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            // Some may lie before the frame, or after it: the tally leaves them out.
            for (bin, samples) in Bins::of(Bin(row.get(0)?), bytes) {
                tally.add(bin, samples);
            }
        }
        Ok(tally)
    }
}

/// The endpoints of a database from before there were histograms, or whose histogram was deleted to be made anew.
pub(super) fn missing(c: &Connection) -> Result<Vec<(AccountId, EndpointId)>, StoreError> {
    let missing = c
        .prepare(
            "SELECT account_id, endpoint_id FROM endpoints WHERE NOT EXISTS
                 (SELECT 1 FROM histograms WHERE histograms.account_id = endpoints.account_id
                                             AND histograms.endpoint_id = endpoints.endpoint_id)",
        )?
        .query_map([], |row| {
            let endpoint = EndpointId::parse(row.get(1)?).expect("only positive ids are stored");
            Ok((AccountId(row.get(0)?), endpoint))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(missing)
}

/// Makes the histogram of an endpoint that has none from its samples.
pub(super) fn fill(c: &Connection, account: AccountId, endpoint: EndpointId) -> Result<(), StoreError> {
    let mut changes = Changes::default();
    let mut packed = 0;
    samples::each(c, account, endpoint, |sample| {
        changes.add(endpoint, &sample);
        packed += 1;
        if packed % FILL_AT_ONCE == 0 {
            change(c, account, std::mem::take(&mut changes))?;
        }
        Ok(())
    })?;
    change(c, account, changes)
}
