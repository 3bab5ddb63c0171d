-- Front-ends: processes `consign hub` on this database. `address`: where the others reach it. `beat` and
-- `until` are milliseconds of the database's clock; `load` is what it says of itself, as JSON.
CREATE TABLE front_ends (
    id           bytea PRIMARY KEY CHECK (length(id) = 16),
    address      text,
    keeps_chunks boolean NOT NULL,
    version      text    NOT NULL,
    started      bigint  NOT NULL,
    beat         bigint  NOT NULL,
    until        bigint  NOT NULL,
    load         text    NOT NULL
);

-- Who does what is done once for all of them. `term` grows whenever that is somebody else.
CREATE TABLE manager (
    one    bigint PRIMARY KEY CHECK (one = 1),
    holder bytea   NOT NULL CHECK (length(holder) = 16),
    term   bigint  NOT NULL,
    since  bigint  NOT NULL,
    until  bigint  NOT NULL
);

-- Which front-end has a live thing in its memory: a delivery by its id, a code by its number.
CREATE TABLE homes (
    thing     bytea PRIMARY KEY CHECK (length(thing) = 16),
    front_end bytea NOT NULL REFERENCES front_ends (id) ON DELETE CASCADE
);
CREATE INDEX homes_by_front_end ON homes (front_end);

-- Who of the people listens where, and since when.
CREATE TABLE online (
    person    bigint NOT NULL REFERENCES people (id),
    front_end bytea  NOT NULL REFERENCES front_ends (id) ON DELETE CASCADE,
    since     bigint NOT NULL,
    PRIMARY KEY (person, front_end)
);
CREATE INDEX online_by_front_end ON online (front_end);

-- Challenges that were answered, so that none is answered at two front-ends.
CREATE TABLE answered_challenges (
    challenge bytea PRIMARY KEY CHECK (length(challenge) = 32),
    ends      bigint NOT NULL
);

-- The switch for everyone: a row while the hub is down, in seconds since 1970.
CREATE TABLE down (
    one   bigint PRIMARY KEY CHECK (one = 1),
    since bigint NOT NULL,
    until bigint NOT NULL,
    why   text   NOT NULL
);

-- What went through to its end, by person; deliveries are forgotten, their sums are not.
CREATE TABLE totals (
    person              bigint PRIMARY KEY REFERENCES people (id),
    sent_deliveries     bigint NOT NULL DEFAULT 0,
    sent_bytes          bigint NOT NULL DEFAULT 0,
    received_deliveries bigint NOT NULL DEFAULT 0,
    received_bytes      bigint NOT NULL DEFAULT 0
);
