-- An administrator is a publisher with `admin` set.
ALTER TABLE accounts ADD COLUMN admin INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1));
ALTER TABLE invitations ADD COLUMN admin INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1));
ALTER TABLE invitations ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
-- NULL: made on the hub's own machine or in its console.
ALTER TABLE invitations ADD COLUMN creator INTEGER REFERENCES accounts (id);

-- In place of `readers`. `level`: 0 reader, 1 publisher; the owner is in `names`.
CREATE TABLE grants (
    key   BLOB    NOT NULL CHECK (length(key) = 32),
    name  TEXT    NOT NULL,
    level INTEGER NOT NULL CHECK (level IN (0, 1)),
    PRIMARY KEY (key, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_name ON grants (name);
INSERT INTO grants (key, name, level) SELECT key, name, 0 FROM readers;
DROP TABLE readers;

-- Releases to keep: NULL is no rule. `chunks_held` counts the name's rows in `chunk_holders`.
ALTER TABLE names ADD COLUMN keep_last INTEGER CHECK (keep_last >= 0);
ALTER TABLE names ADD COLUMN keep_days INTEGER CHECK (keep_days >= 0);
ALTER TABLE names ADD COLUMN chunks_held INTEGER NOT NULL DEFAULT 0;
UPDATE names SET chunks_held = held.rows FROM
    (SELECT holder >> 1 AS name, count(*) AS rows FROM chunk_holders WHERE holder & 1 GROUP BY holder) AS held
    WHERE held.name = names.id;

-- `accepted` is the hub's time. Of earlier releases only the publisher's word is known.
ALTER TABLE releases ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE releases ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
UPDATE releases SET accepted = issued;

-- Bearer secrets of accounts. `scope`: 0 read, 1 publish. In `chunk_holders` a token is its id
-- times minus two.
CREATE TABLE tokens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    secret_hash BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    account     INTEGER NOT NULL REFERENCES accounts (id),
    label       TEXT    NOT NULL,
    scope       INTEGER NOT NULL CHECK (scope IN (0, 1)),
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    last_used   INTEGER
) STRICT;
CREATE INDEX tokens_by_account ON tokens (account);

-- The names a token is for; all of its account's when there is none.
CREATE TABLE token_names (
    token INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    name  TEXT    NOT NULL,
    PRIMARY KEY (token, name)
) STRICT, WITHOUT ROWID;

-- `actor`: 0 local, 1 account with `key`, 2 console with `label`.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    time    INTEGER NOT NULL,
    actor   INTEGER NOT NULL CHECK (actor IN (0, 1, 2)),
    key     BLOB,
    label   TEXT,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE TABLE sign_ins (
    secret_hash BLOB    PRIMARY KEY CHECK (length(secret_hash) = 32),
    expires     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE console_sessions (
    session_hash BLOB    PRIMARY KEY CHECK (length(session_hash) = 32),
    expires      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Requests that are done once. Without a status one is being done.
CREATE TABLE claims (
    account      INTEGER NOT NULL REFERENCES accounts (id),
    key          TEXT    NOT NULL,
    request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
    created      INTEGER NOT NULL,
    status       INTEGER,
    body         BLOB,
    PRIMARY KEY (account, key)
) STRICT;
CREATE INDEX claims_by_time ON claims (created);

-- Whose database this is: the public key of the hub.
CREATE TABLE hub (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB    NOT NULL CHECK (length(key) = 32)
) STRICT;
