-- When targets told that they began with a release. docs/operations.md, "The publisher's database", describes the views.

-- `begun`: by the hub's clock, for work of more than two seconds; it stays when the target has answered.
ALTER TABLE targets ADD COLUMN begun INTEGER;

-- Who may begin with what is asked whenever something is new: of what waits, however much was answered.
CREATE INDEX targets_unanswered ON targets (package) WHERE answered IS NULL;

-- As before, and with the state `running` and the time.
DROP VIEW receipts_report;
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
    CASE WHEN t.answered IS NOT NULL THEN 'answered' WHEN t.lost IS NOT NULL THEN 'lost'
        WHEN t.begun IS NOT NULL THEN 'running' WHEN t.sent IS NOT NULL THEN 'pending' ELSE 'drafted' END AS state,
    strftime('%Y-%m-%dT%H:%M:%SZ', t.sent, 'unixepoch') AS sent,
    strftime('%Y-%m-%dT%H:%M:%SZ', t.answered, 'unixepoch') AS answered,
    t.verdict,
    coalesce(t.reason, CASE WHEN t.answered IS NULL THEN t.lost_reason END) AS reason,
    (SELECT count(*) FROM steps s WHERE s.target = t.id) AS steps,
    strftime('%Y-%m-%dT%H:%M:%SZ', t.begun, 'unixepoch') AS begun
FROM packages p JOIN targets t ON t.package = p.id;

-- As before, and with the state `running`.
DROP VIEW rollouts_report;
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
    CASE WHEN t.verdict IS NOT NULL THEN t.verdict WHEN t.lost IS NOT NULL THEN 'lost'
        WHEN t.begun IS NOT NULL THEN 'running' WHEN t.id IS NOT NULL THEN 'pending'
        WHEN r.skipped IS NOT NULL OR o.state IN ('aborted', 'expired', 'finished') THEN 'skipped'
        ELSE 'waiting' END AS state,
    strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(t.answered, t.lost, t.begun, t.sent, r.skipped,
        CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished') THEN
        o.since ELSE o.began END), 'unixepoch') AS since,
    coalesce(t.reason, CASE WHEN t.answered IS NULL THEN t.lost_reason END, r.reason,
        CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished')
        THEN coalesce(o.reason, 'the roll-out was ' || o.state) END) AS reason
FROM rollout_targets r JOIN rollouts o ON o.package = r.package JOIN packages p ON p.id = r.package
LEFT JOIN targets t ON t.package = r.package AND t.key = r.key;
