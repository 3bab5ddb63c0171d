-- Packages that reach their targets wave after wave. docs/rollouts.md describes how; docs/operations.md, "The
-- publisher's database", the view.

-- One row for each package that is rolled out. `rules`: how, as docs/rollouts.md writes it. `root`: the key and
-- the lengths of the root of its tree, which are needed to address it to more targets and are a SECRET of the
-- publisher: whoever has them and the hub's chunks reads the package. NULL once nobody will be addressed any
-- more. `forgiven_…`: what no longer counts since a person resumed it after it had stopped.
CREATE TABLE rollouts (
    package           bigint  PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    rules             text    NOT NULL,
    root              bytea,
    began             bigint  NOT NULL,
    state             text    NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'aborted', 'expired',
                          'finished')),
    since             bigint  NOT NULL,
    reason            text,
    forgiven_failed   bigint  NOT NULL DEFAULT 0,
    forgiven_answered bigint  NOT NULL DEFAULT 0,
    forgiven_until    bigint  NOT NULL DEFAULT 0,
    CHECK (state IN ('running', 'paused', 'stopped') OR root IS NULL)
);

-- One row for each package that is rolled out and target that it is meant for, in order of `place`; it is in
-- `targets` once it is addressed. `skipped`: when it was found that it will not be, and `reason` why.
CREATE TABLE rollout_targets (
    package bigint  NOT NULL REFERENCES rollouts (package) ON DELETE CASCADE,
    place   bigint  NOT NULL,
    wave    bigint  NOT NULL CHECK (wave >= 0),
    key     bytea   NOT NULL CHECK (length(key) = 32),
    peer    text    COLLATE "C" NOT NULL,
    labels  text    NOT NULL CHECK (labels::jsonb IS NOT NULL),
    skipped bigint,
    reason  text,
    PRIMARY KEY (package, place),
    UNIQUE (package, key)
);

-- For reports: one row for each package that is rolled out and target that it is meant for.
CREATE VIEW rollouts_report AS
SELECT
    p.id AS package,
    encode(p.community, 'hex')::uuid::text AS community,
    p.feed,
    p.sequence,
    p.name,
    p.version,
    o.state AS rollout,
    r.peer,
    encode(r.key, 'hex') AS key,
    r.labels,
    r.wave + 1 AS wave,
    CASE WHEN t.verdict IS NOT NULL THEN t.verdict WHEN t.id IS NOT NULL THEN 'pending'
        WHEN r.skipped IS NOT NULL OR o.state IN ('aborted', 'expired', 'finished') THEN 'skipped'
        ELSE 'waiting' END AS state,
    ledger_time(coalesce(t.answered, t.sent, r.skipped,
        CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished') THEN
        o.since ELSE o.began END)) || 'Z' AS since,
    coalesce(t.reason, r.reason, CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished')
        THEN coalesce(o.reason, 'the roll-out was ' || o.state) END) AS reason
FROM rollout_targets r JOIN rollouts o ON o.package = r.package JOIN packages p ON p.id = r.package
LEFT JOIN targets t ON t.package = r.package AND t.key = r.key;
