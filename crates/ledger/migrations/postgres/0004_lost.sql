-- Releases that a hub forgot and that could not be given back to it: docs/operations.md, "A hub that was put back".

-- `lost`: when it was found that the target will not get it, and `lost_reason` why. A target that had it all the
-- same may still answer: then the answer counts.
ALTER TABLE targets ADD COLUMN lost bigint;
ALTER TABLE targets ADD COLUMN lost_reason text;

-- As before, and with the state `lost`.
CREATE OR REPLACE VIEW receipts_report AS
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
    CASE WHEN t.answered IS NOT NULL THEN 'answered' WHEN t.lost IS NOT NULL THEN 'lost'
        WHEN t.sent IS NOT NULL THEN 'pending' ELSE 'drafted' END AS state,
    ledger_time(t.sent) || 'Z' AS sent,
    ledger_time(t.answered) || 'Z' AS answered,
    t.verdict,
    coalesce(t.reason, CASE WHEN t.answered IS NULL THEN t.lost_reason END) AS reason,
    (SELECT count(*) FROM steps s WHERE s.target = t.id) AS steps
FROM packages p JOIN targets t ON t.package = p.id;

-- As before, and with the state `lost`.
CREATE OR REPLACE VIEW rollouts_report AS
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
    CASE WHEN t.verdict IS NOT NULL THEN t.verdict WHEN t.lost IS NOT NULL THEN 'lost'
        WHEN t.id IS NOT NULL THEN 'pending'
        WHEN r.skipped IS NOT NULL OR o.state IN ('aborted', 'expired', 'finished') THEN 'skipped'
        ELSE 'waiting' END AS state,
    ledger_time(coalesce(t.answered, t.lost, t.sent, r.skipped,
        CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished') THEN
        o.since ELSE o.began END)) || 'Z' AS since,
    coalesce(t.reason, CASE WHEN t.answered IS NULL THEN t.lost_reason END, r.reason,
        CASE WHEN t.id IS NULL AND o.state IN ('aborted', 'expired', 'finished')
        THEN coalesce(o.reason, 'the roll-out was ' || o.state) END) AS reason
FROM rollout_targets r JOIN rollouts o ON o.package = r.package JOIN packages p ON p.id = r.package
LEFT JOIN targets t ON t.package = r.package AND t.key = r.key;
