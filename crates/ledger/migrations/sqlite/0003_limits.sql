-- How much of a target scripts used together, and which of the limits of their steps they ran into.
-- docs/operations.md, "The publisher's database", describes the view.

ALTER TABLE steps ADD COLUMN ran_into TEXT CHECK (ran_into IN ('memory', 'processes', 'cpu-time'));
ALTER TABLE steps ADD COLUMN memory_together_bytes INTEGER;

DROP VIEW steps_report;
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
    s.bytes,
    s.ran_into,
    s.memory_together_bytes
FROM receipts_report r JOIN steps s ON s.target = r.target;
