-- True: made by a roster, which also takes it back. See `Communities`.
ALTER TABLE accounts ADD COLUMN of_community boolean NOT NULL DEFAULT false;

-- The roster in force stands beside its place in their order, charter and number.
CREATE TABLE communities (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    community      bytea  NOT NULL UNIQUE CHECK (length(community) = 16),
    created        bigint NOT NULL,
    roster         bytea,
    roster_charter bigint,
    roster_number  bigint,
    renewal        bytea,
    renewal_issued bigint,
    CHECK ((roster IS NULL) = (roster_charter IS NULL)),
    CHECK ((roster IS NULL) = (roster_number IS NULL)),
    CHECK ((renewal IS NULL) = (renewal_issued IS NULL)),
    CHECK (renewal IS NULL OR roster IS NOT NULL)
);

CREATE TABLE charters (
    community bigint NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    number    bigint NOT NULL CHECK (number >= 1),
    signed    bytea  NOT NULL,
    PRIMARY KEY (community, number)
);

-- `roles`: 1 publisher, 2 relay, 4 target, added up.
CREATE TABLE members (
    community bigint NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    peer      text   COLLATE "C" NOT NULL,
    key       bytea  NOT NULL CHECK (length(key) = 32),
    roles     bigint NOT NULL CHECK (roles BETWEEN 0 AND 7),
    payload   bytea  NOT NULL,
    PRIMARY KEY (community, peer),
    UNIQUE (community, key)
);
CREATE INDEX members_by_key ON members (key);

-- Who may send, and the name of its feed.
CREATE TABLE community_publishers (
    community bigint NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    key       bytea  NOT NULL CHECK (length(key) = 32),
    name      text   COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (community, key)
);

CREATE TABLE admissions (
    community bigint NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    admission bytea  NOT NULL CHECK (length(admission) = 16),
    expires   bigint NOT NULL,
    PRIMARY KEY (community, admission)
);
CREATE INDEX admissions_by_time ON admissions (expires);

-- `announced`: the first with its admission. `ended`: 0 admitted, 1 refused, 2 aborted.
CREATE TABLE joins (
    id        bytea  PRIMARY KEY CHECK (length(id) = 32),
    community bigint NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
    admission bytea  CHECK (length(admission) = 16),
    announced boolean NOT NULL,
    request   bytea  NOT NULL,
    challenge bytea,
    answer    bytea,
    ended     bigint CHECK (ended IN (0, 1, 2)),
    reason    text,
    came      bigint NOT NULL,
    changed   bigint NOT NULL,
    CHECK (answer IS NULL OR challenge IS NOT NULL),
    CHECK (reason IS NULL OR ended IN (1, 2))
);
CREATE INDEX joins_in_place ON joins (community, came, id) WHERE ended IS NULL OR ended = 2;
CREATE INDEX joins_by_time ON joins (changed);
