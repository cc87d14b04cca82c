-- In which minute how many samples had which response time: all that a summary needs of them but the newest, in a sixth of
-- the space or less. A row is a chunk of an endpoint's histogram, and holds the bins from `first` up to, and without, the
-- first of the next. Bins and bytes: src/histogram.rs.
CREATE TABLE histograms (
    account_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    first INTEGER NOT NULL,
    bins BLOB NOT NULL,
    PRIMARY KEY (account_id, endpoint_id, first)
) STRICT, WITHOUT ROWID;

-- The histogram of an endpoint has the samples before this moment, all of them and no others; those from there on are few, and
-- are read one by one. So a sample that is the newest, as most are, costs its histogram nothing until there are some to pack.
ALTER TABLE endpoints ADD COLUMN packed_until INTEGER; -- unix time, milliseconds; NULL: nothing is packed yet
ALTER TABLE endpoints ADD COLUMN unpacked INTEGER NOT NULL DEFAULT 0; -- how many samples there are from there on

-- What is there already is packed when the service starts, as SQL cannot.
UPDATE endpoints SET unpacked = (SELECT count(*) FROM samples WHERE samples.account_id = endpoints.account_id
                                                                AND samples.endpoint_id = endpoints.endpoint_id);
