-- How much of a target scripts used together, and which of the limits of their steps they ran into.
-- docs/operations.md, "The publisher's database", describes the view.

ALTER TABLE steps ADD COLUMN ran_into text CHECK (ran_into IN ('memory', 'processes', 'cpu-time'));
ALTER TABLE steps ADD COLUMN memory_together_bytes bigint;

-- In its place, so that whoever may read it still may.
CREATE OR REPLACE VIEW steps_report AS
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
    s.bytes,
    s.ran_into,
    s.memory_together_bytes
FROM receipts_report r JOIN steps s ON s.target = r.target;
