-- What a publisher sent, and what came back. docs/operations.md, "The publisher's database", describes
-- the views for reports; their columns stay, those of the tables may change with a version.
--
-- Times are seconds since 1970 unless a name says otherwise. Numbers beyond 2^63 are cut to it. Text of
-- targets has U+FFFD in place of the zero character.

-- A time for people, as of RFC 3339; NULL for one that is none before the year 10000.
CREATE FUNCTION ledger_time(seconds bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN seconds BETWEEN 0 AND 253402300799 THEN
        to_char(to_timestamp(seconds) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') END
$$;

-- One row for each release. `sent` is NULL until the hub has it: until then `resume` is what the sender
-- needs to finish. `selector`: whom it was sent to, as it was typed. `bytes`: of the files in it.
CREATE TABLE packages (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    community   bytea   NOT NULL CHECK (length(community) = 16),
    feed        text    COLLATE "C" NOT NULL,
    sequence    bigint  NOT NULL CHECK (sequence > 0),
    manifest    bytea   NOT NULL UNIQUE CHECK (length(manifest) = 32),
    name        text    COLLATE "C" NOT NULL,
    version     text    NOT NULL,
    description text    NOT NULL,
    tree        bytea   NOT NULL CHECK (length(tree) = 32),
    bytes       bigint  NOT NULL,
    selector    text    NOT NULL,
    built       bigint  NOT NULL,
    expires     bigint  NOT NULL,
    sent        bigint,
    resume      bytea,
    UNIQUE (feed, sequence)
);
CREATE INDEX packages_by_name ON packages (name, id);

-- One row for each package and target. `sent` is NULL until the hub has it for this target. `labels`: a
-- JSON object, as they were when it was sent. `receipt`: the signed bytes, or what came instead.
CREATE TABLE targets (
    id       bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    package  bigint  NOT NULL REFERENCES packages (id) ON DELETE CASCADE,
    key      bytea   NOT NULL CHECK (length(key) = 32),
    peer     text    COLLATE "C" NOT NULL,
    labels   text    NOT NULL CHECK (labels::jsonb IS NOT NULL),
    sent     bigint,
    answered bigint,
    verdict  text    CHECK (verdict IN ('passed', 'failed', 'not_applicable', 'unreadable')),
    reason   text,
    receipt  bytea,
    UNIQUE (package, key),
    CHECK ((answered IS NULL) = (verdict IS NULL)),
    CHECK (answered IS NULL OR sent IS NOT NULL)
);
CREATE INDEX targets_by_key ON targets (key, package);
CREATE INDEX targets_by_verdict ON targets (package, verdict);
CREATE INDEX targets_unsent ON targets (package) WHERE sent IS NULL;

-- One row for each step of a receipt. `begun_ms` is NULL for one that never began. A script has the
-- columns from `exit_code` to `memory_bytes`, of which `exit_code` and `signal` are NULL for one that took
-- too long; files have the rest.
CREATE TABLE steps (
    target       bigint  NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    number       bigint  NOT NULL CHECK (number > 0),
    name         text    COLLATE "C" NOT NULL,
    outcome      text    NOT NULL CHECK (outcome IN ('not_applicable', 'left_out', 'placed', 'put_back',
                     'not_placed', 'ran', 'not_started', 'interrupted')),
    reason       text,
    begun_ms     bigint,
    took_us      bigint  NOT NULL,
    exit_code    bigint,
    signal       bigint,
    timed_out    boolean,
    expected     boolean,
    stdout       bytea,
    stdout_total bigint,
    stderr       bytea,
    stderr_total bigint,
    cpu_us       bigint,
    memory_bytes bigint,
    added        bigint,
    changed      bigint,
    kept         bigint,
    removed      bigint,
    bytes        bigint,
    PRIMARY KEY (target, number)
);

-- For reports: one row for each package and target.
CREATE VIEW receipts_report AS
SELECT
    p.id AS package,
    t.id AS target,
    encode(p.community, 'hex')::uuid::text AS community,
    p.feed,
    p.sequence,
    p.name,
    p.version,
    t.peer,
    encode(t.key, 'hex') AS key,
    t.labels,
    CASE WHEN t.answered IS NOT NULL THEN 'answered' WHEN t.sent IS NOT NULL THEN 'pending'
        ELSE 'drafted' END AS state,
    ledger_time(t.sent) || 'Z' AS sent,
    ledger_time(t.answered) || 'Z' AS answered,
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
    ledger_time(s.begun_ms / 1000) || '.' || lpad((s.begun_ms % 1000)::text, 3, '0') || 'Z' AS begun,
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
