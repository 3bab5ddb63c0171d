-- What a publisher sent, and what came back. docs/operations.md, "The publisher's database", describes
-- the views for reports; their columns stay, those of the tables may change with a version.
--
-- Times are seconds since 1970 unless a name says otherwise. Numbers beyond 2^63 are cut to it. Text of
-- targets has U+FFFD in place of the zero character.

-- 'CSLG', so that another database is not taken for this one.
PRAGMA application_id = 1129532487;

-- One row for each release. `sent` is NULL until the hub has it: until then `resume` is what the sender
-- needs to finish. `selector`: whom it was sent to, as it was typed. `bytes`: of the files in it.
CREATE TABLE packages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    community   BLOB    NOT NULL CHECK (length(community) = 16),
    feed        TEXT    NOT NULL,
    sequence    INTEGER NOT NULL CHECK (sequence > 0),
    manifest    BLOB    NOT NULL UNIQUE CHECK (length(manifest) = 32),
    name        TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    description TEXT    NOT NULL,
    tree        BLOB    NOT NULL CHECK (length(tree) = 32),
    bytes       INTEGER NOT NULL,
    selector    TEXT    NOT NULL,
    built       INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    sent        INTEGER,
    resume      BLOB,
    UNIQUE (feed, sequence)
) STRICT;
CREATE INDEX packages_by_name ON packages (name, id);

-- One row for each package and target. `sent` is NULL until the hub has it for this target. `labels`: a
-- JSON object, as they were when it was sent. `receipt`: the signed bytes, or what came instead.
CREATE TABLE targets (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    package  INTEGER NOT NULL REFERENCES packages (id) ON DELETE CASCADE,
    key      BLOB    NOT NULL CHECK (length(key) = 32),
    peer     TEXT    NOT NULL,
    labels   TEXT    NOT NULL CHECK (json_valid(labels)),
    sent     INTEGER,
    answered INTEGER,
    verdict  TEXT    CHECK (verdict IN ('passed', 'failed', 'not_applicable', 'unreadable')),
    reason   TEXT,
    receipt  BLOB,
    UNIQUE (package, key),
    CHECK ((answered IS NULL) = (verdict IS NULL)),
    CHECK (answered IS NULL OR sent IS NOT NULL)
) STRICT;
CREATE INDEX targets_by_key ON targets (key, package);
CREATE INDEX targets_by_verdict ON targets (package, verdict);
CREATE INDEX targets_unsent ON targets (package) WHERE sent IS NULL;

-- One row for each step of a receipt. `begun_ms` is NULL for one that never began. A script has the
-- columns from `exit_code` to `memory_bytes`, of which `exit_code` and `signal` are NULL for one that took
-- too long; files have the rest.
CREATE TABLE steps (
    target       INTEGER NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL CHECK (number > 0),
    name         TEXT    NOT NULL,
    outcome      TEXT    NOT NULL CHECK (outcome IN ('not_applicable', 'left_out', 'placed', 'put_back',
                     'not_placed', 'ran', 'not_started', 'interrupted')),
    reason       TEXT,
    begun_ms     INTEGER,
    took_us      INTEGER NOT NULL,
    exit_code    INTEGER,
    signal       INTEGER,
    timed_out    INTEGER,
    expected     INTEGER,
    stdout       BLOB,
    stdout_total INTEGER,
    stderr       BLOB,
    stderr_total INTEGER,
    cpu_us       INTEGER,
    memory_bytes INTEGER,
    added        INTEGER,
    changed      INTEGER,
    kept         INTEGER,
    removed      INTEGER,
    bytes        INTEGER,
    PRIMARY KEY (target, number)
) STRICT;

-- For reports: one row for each package and target.
CREATE VIEW receipts_report AS
SELECT
    p.id AS package,
    t.id AS target,
    lower(substr(hex(p.community), 1, 8) || '-' || substr(hex(p.community), 9, 4) || '-'
        || substr(hex(p.community), 13, 4) || '-' || substr(hex(p.community), 17, 4) || '-'
        || substr(hex(p.community), 21)) AS community,
    p.feed,
    p.sequence,
    p.name,
    p.version,
    t.peer,
    lower(hex(t.key)) AS key,
    t.labels,
    CASE WHEN t.answered IS NOT NULL THEN 'answered' WHEN t.sent IS NOT NULL THEN 'pending'
        ELSE 'drafted' END AS state,
    strftime('%Y-%m-%dT%H:%M:%SZ', t.sent, 'unixepoch') AS sent,
    strftime('%Y-%m-%dT%H:%M:%SZ', t.answered, 'unixepoch') AS answered,
    t.verdict,
    t.reason,
    (SELECT count(*) FROM steps s WHERE s.target = t.id) AS steps
FROM packages p JOIN targets t ON t.package = p.id;

-- For reports: of `receipts_report` the newest package of each target.
CREATE VIEW latest_report AS
SELECT r.* FROM receipts_report r
WHERE NOT EXISTS (
    SELECT 1 FROM targets t JOIN targets n ON n.key = t.key AND n.package > t.package
    JOIN packages p ON p.id = n.package JOIN packages q ON q.id = t.package
    WHERE t.id = r.target AND p.community = q.community);

-- For reports: one row for each step of each receipt.
CREATE VIEW steps_report AS
SELECT
    r.package,
    r.target,
    r.community,
    r.feed,
    r.sequence,
    r.name,
    r.version,
    r.peer,
    r.key,
    r.verdict,
    s.number,
    s.name AS step,
    s.outcome,
    s.reason,
    strftime('%Y-%m-%dT%H:%M:%S', s.begun_ms / 1000, 'unixepoch')
        || printf('.%03dZ', s.begun_ms % 1000) AS begun,
    s.took_us,
    s.exit_code,
    s.signal,
    s.timed_out,
    s.expected,
    s.stdout,
    s.stdout_total,
    s.stderr,
    s.stderr_total,
    s.cpu_us,
    s.memory_bytes,
    s.added,
    s.changed,
    s.kept,
    s.removed,
    s.bytes
FROM receipts_report r JOIN steps s ON s.target = r.target;
