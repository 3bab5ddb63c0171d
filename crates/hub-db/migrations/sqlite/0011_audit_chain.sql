-- The audit log is a chain: `number` from 1 without gaps, `link` a hash over the entry and the link before.
-- An entry without a number is that of an act that is still under way. `signed` is the hub's word on a link.
ALTER TABLE audit ADD COLUMN number INTEGER;
ALTER TABLE audit ADD COLUMN link BLOB CHECK (length(link) = 32);
CREATE UNIQUE INDEX audit_by_number ON audit (number) WHERE number IS NOT NULL;
CREATE INDEX audit_unchained ON audit (id) WHERE number IS NULL;

CREATE TABLE audit_heads (
    number INTEGER PRIMARY KEY,
    signed BLOB NOT NULL
) STRICT;
