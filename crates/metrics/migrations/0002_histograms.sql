-- In which minute how many samples had which response time: all that a summary needs of them but the newest, in a tenth of
-- the space. Changed in the transaction that changes the samples. A row is a chunk of an endpoint's histogram, and holds the
-- bins from `first` up to, and without, the first of the next. Bins and bytes: src/histogram.rs.
--
-- The endpoints that have samples already get theirs when the service starts, as SQL cannot pack bins.
CREATE TABLE histograms (
    account_id INTEGER NOT NULL,
    endpoint_id INTEGER NOT NULL,
    first INTEGER NOT NULL,
    bins BLOB NOT NULL,
    PRIMARY KEY (account_id, endpoint_id, first)
) STRICT, WITHOUT ROWID;
