-- The streams of the source's events, numbered in the order in which this service heard of them. A stream that was deleted and
-- made again is another stream. Its time of creation does not order the two: the broker's clock may have been set back.
CREATE TABLE streams_heard (
    number INTEGER PRIMARY KEY,
    created INTEGER NOT NULL UNIQUE -- unix time, nanoseconds
) STRICT;

-- Where the first event of an incarnation stands, of those that were heard. It orders the incarnations. The order in which they
-- were heard does not: a replay of the stream changes it. NULL: last heard by a version that did not keep places; then the
-- number orders them.
ALTER TABLE incarnations_heard ADD COLUMN stream INTEGER REFERENCES streams_heard (number);
ALTER TABLE incarnations_heard ADD COLUMN place INTEGER;

-- Whose the data is: the nonce of the account's creation, which no other account of this id has. 0: not known.
ALTER TABLE accounts ADD COLUMN life INTEGER NOT NULL DEFAULT 0;

-- Up to which place the stream was past when the first of the data was written: no event up to there deletes it. NULL: not known.
ALTER TABLE accounts ADD COLUMN past_stream INTEGER REFERENCES streams_heard (number);
ALTER TABLE accounts ADD COLUMN past_place INTEGER;
