-- People: a handle, a password, and devices, each of which is an account. A handle is never given twice.
-- `policy`: 0 address book, 1 block all. `book` is sealed for the devices; of it the hub knows the number.
CREATE TABLE people (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    handle       TEXT    NOT NULL UNIQUE,
    password     TEXT    NOT NULL,
    first_name   TEXT    NOT NULL,
    last_name    TEXT    NOT NULL,
    organisation TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    created      INTEGER NOT NULL,
    policy       INTEGER NOT NULL DEFAULT 0 CHECK (policy IN (0, 1)),
    book_number  INTEGER NOT NULL DEFAULT 0,
    book         BLOB,
    first_online INTEGER,
    last_online  INTEGER
) STRICT;

-- `listed`: it stands on the newest signed list. `free` and `largest`: what it said to have room for.
CREATE TABLE devices (
    account INTEGER PRIMARY KEY REFERENCES accounts (id),
    person  INTEGER NOT NULL REFERENCES people (id),
    since   INTEGER NOT NULL,
    listed  INTEGER NOT NULL CHECK (listed IN (0, 1)),
    free    INTEGER,
    largest INTEGER,
    CHECK ((free IS NULL) = (largest IS NULL))
) STRICT;
CREATE INDEX devices_by_person ON devices (person);

-- The signed lists of devices since the person began, or began anew.
CREATE TABLE device_lists (
    person INTEGER NOT NULL REFERENCES people (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    signed BLOB    NOT NULL,
    PRIMARY KEY (person, number)
) STRICT;

-- `kind`: 0 contact, 1 blocked. By text, so that an entry can come before its handle is anybody's.
CREATE TABLE book_entries (
    person INTEGER NOT NULL REFERENCES people (id),
    kind   INTEGER NOT NULL CHECK (kind IN (0, 1)),
    handle TEXT    NOT NULL,
    PRIMARY KEY (person, kind, handle)
) STRICT, WITHOUT ROWID;

-- Deliveries that are addressed to a person; of what is in them there is nothing here. `state`: 0 pending
-- approval, 1 waiting, 2 running, 3 received, 4 terminated, 5 removed. `ended_by`: 0 sender,
-- 1 recipient, 2 hub. `list` is the recipient's list that the letters are for.
CREATE TABLE addressed (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery  BLOB    NOT NULL UNIQUE CHECK (length(delivery) = 16),
    sender    INTEGER NOT NULL REFERENCES people (id),
    account   BLOB    NOT NULL CHECK (length(account) = 32),
    recipient INTEGER NOT NULL REFERENCES people (id),
    list      INTEGER NOT NULL,
    token     BLOB    NOT NULL CHECK (length(token) = 32),
    segments  INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    files     INTEGER NOT NULL,
    largest   INTEGER NOT NULL,
    state     INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    since     INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    started   INTEGER,
    finished  INTEGER,
    used      INTEGER NOT NULL,
    verified  INTEGER NOT NULL DEFAULT 0,
    restarts  INTEGER NOT NULL DEFAULT 0,
    ended_by  INTEGER CHECK (ended_by IN (0, 1, 2)),
    reason    TEXT,
    CHECK ((ended_by IS NULL) = (reason IS NULL)),
    CHECK ((finished IS NULL) = (state < 3))
) STRICT;
CREATE INDEX addressed_to ON addressed (recipient, number);
CREATE INDEX addressed_by ON addressed (sender, number);
CREATE INDEX addressed_in_place ON addressed (recipient, state, sender) WHERE state < 3;
CREATE INDEX addressed_by_use ON addressed (used) WHERE state < 3;
CREATE INDEX addressed_by_end ON addressed (finished) WHERE state >= 3;

-- The secret of a delivery, sealed for one device; gone when the delivery is over.
CREATE TABLE letters (
    delivery INTEGER NOT NULL REFERENCES addressed (number) ON DELETE CASCADE,
    key      BLOB    NOT NULL CHECK (length(key) = 32),
    sealed   BLOB    NOT NULL,
    PRIMARY KEY (delivery, key)
) STRICT, WITHOUT ROWID;

-- Tries of passwords that were not the right one, or are not decided yet.
CREATE TABLE failed_logins (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    handle  TEXT    NOT NULL,
    network TEXT    NOT NULL,
    time    INTEGER NOT NULL
) STRICT;
CREATE INDEX failed_logins_from ON failed_logins (handle, network, time);
CREATE INDEX failed_logins_by_time ON failed_logins (time);
