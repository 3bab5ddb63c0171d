-- Packages that reach their targets wave after wave. docs/rollouts.md describes how; docs/operations.md, "The
-- publisher's database", the view.

-- One row for each package that is rolled out. `rules`: how, as docs/rollouts.md writes it. `root`: the key and
-- the lengths of the root of its tree, which are needed to address it to more targets and are a SECRET of the
-- publisher: whoever has them and the hub's chunks reads the package. NULL once nobody will be addressed any
-- more. `forgiven_…`: what no longer counts since a person resumed it after it had stopped.
CREATE TABLE rollouts (
    package           INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    rules             TEXT    NOT NULL,
    root              BLOB,
    began             INTEGER NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'aborted', 'expired',
                          'finished')),
    since             INTEGER NOT NULL,
    reason            TEXT,
    forgiven_failed   INTEGER NOT NULL DEFAULT 0,
    forgiven_answered INTEGER NOT NULL DEFAULT 0,
    forgiven_until    INTEGER NOT NULL DEFAULT 0,
    CHECK (state IN ('running', 'paused', 'stopped') OR root IS NULL)
) STRICT;

-- One row for each package that is rolled out and target that it is meant for, in order of `place`; it is in
-- `targets` once it is addressed. `skipped`: when it was found that it will not be, and `reason` why.
CREATE TABLE rollout_targets (
    package INTEGER NOT NULL REFERENCES rollouts (package) ON DELETE CASCADE,
    place   INTEGER NOT NULL,
    wave    INTEGER NOT NULL CHECK (wave >= 0),
    key     BLOB    NOT NULL CHECK (length(key) = 32),
    peer    TEXT    NOT NULL,
    labels  TEXT    NOT NULL CHECK (json_valid(labels)),
    skipped INTEGER,
    reason  TEXT,
    PRIMARY KEY (package, place),
    UNIQUE (package, key)
) STRICT;

-- For reports: one row for each package that is rolled out and target that it is meant for.
CREATE VIEW rollouts_report AS
SELECT
    p.id AS package,
    lower(substr(hex(p.community), 1, 8) || '-' || substr(hex(p.community), 9, 4) || '-'
        || substr(hex(p.community), 13, 4) || '-' || substr(hex(p.community), 17, 4) || '-'
        || substr(hex(p.community), 21)) AS community,
    p.feed,
    p.sequence,
    p.name,
    p.version,
    o.state AS rollout,
    r.peer,
    lower(hex(r.key)) AS key,
    r.labels,
    r.wave + 1 AS wave,
    CASE WHEN t.verdict IS NOT NULL THEN t.verdict WHEN t.id IS NOT NULL THEN 'pending'
        WHEN r.skipped IS NOT NULL OR o.state IN ('aborted', 'expired', 'finished') THEN 'skipped'
        ELSE 'waiting' END AS state,
    strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(t.answered, t.sent, r.skipped,
        CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished') THEN
        o.since ELSE o.began END), 'unixepoch') AS since,
    coalesce(t.reason, r.reason, CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished')
        THEN coalesce(o.reason, 'the roll-out was ' || o.state) END) AS reason
FROM rollout_targets r JOIN rollouts o ON o.package = r.package JOIN packages p ON p.id = r.package
LEFT JOIN targets t ON t.package = r.package AND t.key = r.key;
