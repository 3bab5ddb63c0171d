-- Front-ends: processes `consign hub` on this database. `address`: where the others reach it. `beat` and
-- `until` are milliseconds of the database's clock; `load` is what it says of itself, as JSON.
CREATE TABLE front_ends (
    id           BLOB    PRIMARY KEY CHECK (length(id) = 16),
    address      TEXT,
    keeps_chunks INTEGER NOT NULL CHECK (keeps_chunks IN (0, 1)),
    version      TEXT    NOT NULL,
    started      INTEGER NOT NULL,
    beat         INTEGER NOT NULL,
    until        INTEGER NOT NULL,
    load         TEXT    NOT NULL
) STRICT;

-- Who does what is done once for all of them. `term` grows whenever that is somebody else.
CREATE TABLE manager (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    holder BLOB    NOT NULL CHECK (length(holder) = 16),
    term   INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT;

-- Which front-end has a live thing in its memory: a delivery by its id, a code by its number.
CREATE TABLE homes (
    thing     BLOB PRIMARY KEY CHECK (length(thing) = 16),
    front_end BLOB NOT NULL REFERENCES front_ends (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX homes_by_front_end ON homes (front_end);

-- Who of the people listens where, and since when.
CREATE TABLE online (
    person    INTEGER NOT NULL REFERENCES people (id),
    front_end BLOB    NOT NULL REFERENCES front_ends (id) ON DELETE CASCADE,
    since     INTEGER NOT NULL,
    PRIMARY KEY (person, front_end)
) STRICT;
CREATE INDEX online_by_front_end ON online (front_end);

-- Challenges that were answered, so that none is answered at two front-ends.
CREATE TABLE answered_challenges (
    challenge BLOB    PRIMARY KEY CHECK (length(challenge) = 32),
    ends      INTEGER NOT NULL
) STRICT;

-- The switch for everyone: a row while the hub is down, in seconds since 1970.
CREATE TABLE down (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    why   TEXT    NOT NULL
) STRICT;

-- What went through to its end, by person; deliveries are forgotten, their sums are not.
CREATE TABLE totals (
    person              INTEGER PRIMARY KEY REFERENCES people (id),
    sent_deliveries     INTEGER NOT NULL DEFAULT 0,
    sent_bytes          INTEGER NOT NULL DEFAULT 0,
    received_deliveries INTEGER NOT NULL DEFAULT 0,
    received_bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;
