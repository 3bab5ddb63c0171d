-- The audit log is a chain: `number` from 1 without gaps, `link` a hash over the entry and the link before.
-- An entry without a number is that of an act that is still under way. `signed` is the hub's word on a link.
ALTER TABLE audit ADD COLUMN number bigint;
ALTER TABLE audit ADD COLUMN link bytea CHECK (octet_length(link) = 32);
CREATE UNIQUE INDEX audit_by_number ON audit (number) WHERE number IS NOT NULL;
CREATE INDEX audit_unchained ON audit (id) WHERE number IS NULL;

CREATE TABLE audit_heads (
    number bigint PRIMARY KEY,
    signed bytea NOT NULL
);
