-- 1: made by a roster, which also takes it back. See `Communities`.
ALTER TABLE accounts ADD COLUMN of_community INTEGER NOT NULL DEFAULT 0 CHECK (of_community IN (0, 1));

-- The roster in force stands beside its place in their order, charter and number.
CREATE TABLE communities (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    community      BLOB    NOT NULL UNIQUE CHECK (length(community) = 16),
    created        INTEGER NOT NULL,
    roster         BLOB,
    roster_charter INTEGER,
    roster_number  INTEGER,
    renewal        BLOB,
    renewal_issued INTEGER,
    CHECK ((roster IS NULL) = (roster_charter IS NULL)),
    CHECK ((roster IS NULL) = (roster_number IS NULL)),
    CHECK ((renewal IS NULL) = (renewal_issued IS NULL)),
    CHECK (renewal IS NULL OR roster IS NOT NULL)
) STRICT;

CREATE TABLE charters (
    community INTEGER NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL CHECK (number >= 1),
    signed    BLOB    NOT NULL,
    PRIMARY KEY (community, number)
) STRICT;

-- `roles`: 1 publisher, 2 relay, 4 target, added up.
CREATE TABLE members (
    community INTEGER NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    peer      TEXT    NOT NULL,
    key       BLOB    NOT NULL CHECK (length(key) = 32),
    roles     INTEGER NOT NULL CHECK (roles BETWEEN 0 AND 7),
    payload   BLOB    NOT NULL,
    PRIMARY KEY (community, peer),
    UNIQUE (community, key)
) STRICT;
CREATE INDEX members_by_key ON members (key);

-- Who may send, and the name of its feed.
CREATE TABLE community_publishers (
    community INTEGER NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    key       BLOB    NOT NULL CHECK (length(key) = 32),
    name      TEXT    NOT NULL UNIQUE,
    PRIMARY KEY (community, key)
) STRICT;

CREATE TABLE admissions (
    community INTEGER NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    admission BLOB    NOT NULL CHECK (length(admission) = 16),
    expires   INTEGER NOT NULL,
    PRIMARY KEY (community, admission)
) STRICT, WITHOUT ROWID;
CREATE INDEX admissions_by_time ON admissions (expires);

-- `announced`: the first with its admission. `ended`: 0 admitted, 1 refused, 2 aborted.
CREATE TABLE joins (
    id        BLOB    PRIMARY KEY CHECK (length(id) = 32),
    community INTEGER NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    admission BLOB    CHECK (length(admission) = 16),
    announced INTEGER NOT NULL CHECK (announced IN (0, 1)),
    request   BLOB    NOT NULL,
    challenge BLOB,
    answer    BLOB,
    ended     INTEGER CHECK (ended IN (0, 1, 2)),
    reason    TEXT,
    came      INTEGER NOT NULL,
    changed   INTEGER NOT NULL,
    CHECK (answer IS NULL OR challenge IS NOT NULL),
    CHECK (reason IS NULL OR ended IN (1, 2))
) STRICT;
CREATE INDEX joins_in_place ON joins (community, came, id) WHERE ended IS NULL OR ended = 2;
CREATE INDEX joins_by_time ON joins (changed);
