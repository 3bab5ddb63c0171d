-- Accounts: one per node key. `role`: 0 reader, 1 publisher. Times are unix seconds.
CREATE TABLE accounts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    key     BLOB    NOT NULL UNIQUE CHECK (length(key) = 32),
    role    INTEGER NOT NULL CHECK (role IN (0, 1)),
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT;

-- Only the hash of an invitation's secret is kept.
CREATE TABLE invitations (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    secret_hash BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    role        INTEGER NOT NULL CHECK (role IN (0, 1)),
    uses_left   INTEGER NOT NULL CHECK (uses_left >= 0),
    expires     INTEGER NOT NULL
) STRICT;

CREATE TABLE invitation_grants (
    invitation INTEGER NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    PRIMARY KEY (invitation, name)
) STRICT, WITHOUT ROWID;

-- Who used which invitation, so that a repeated registration costs no second use.
CREATE TABLE registrations (
    invitation INTEGER NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    account    INTEGER NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (invitation, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE names (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE,
    public  INTEGER NOT NULL CHECK (public IN (0, 1)),
    owner   INTEGER NOT NULL REFERENCES accounts (id),
    created INTEGER NOT NULL
) STRICT;
CREATE INDEX names_by_owner ON names (owner);

-- By text and key, so that a grant can come before the name's first release and before
-- the reader's registration.
CREATE TABLE readers (
    key  BLOB NOT NULL CHECK (length(key) = 32),
    name TEXT NOT NULL,
    PRIMARY KEY (key, name)
) STRICT, WITHOUT ROWID;

-- `id` grows with every release of any name: it is the event id.
CREATE TABLE releases (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         INTEGER NOT NULL REFERENCES names (id),
    sequence     INTEGER NOT NULL CHECK (sequence >= 1),
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    manifest     BLOB    NOT NULL,
    head         BLOB    NOT NULL,
    tree         BLOB    NOT NULL CHECK (length(tree) = 32),
    closure      BLOB    NOT NULL CHECK (length(closure) = 32),
    stored_bytes INTEGER NOT NULL,
    issued       INTEGER NOT NULL,
    UNIQUE (name, sequence)
) STRICT;

-- Who may read a chunk. `holder` is an account's id times two, or a name's id times two plus one.
CREATE TABLE chunk_holders (
    chunk  BLOB    NOT NULL CHECK (length(chunk) = 32),
    holder INTEGER NOT NULL,
    PRIMARY KEY (chunk, holder)
) STRICT, WITHOUT ROWID;
