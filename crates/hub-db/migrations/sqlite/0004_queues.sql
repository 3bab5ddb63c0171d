-- One row for each release and target. It waits while `receipt` is NULL; `taken`: its publisher has
-- the receipt, which is dropped then. `id` grows: it is the order in which a target gets them.
CREATE TABLE queue (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    release  INTEGER NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    target   BLOB    NOT NULL CHECK (length(target) = 32),
    envelope BLOB    NOT NULL,
    queued   INTEGER NOT NULL,
    receipt  BLOB,
    answered INTEGER,
    taken    INTEGER,
    UNIQUE (release, target),
    CHECK ((receipt IS NOT NULL) = (answered IS NOT NULL AND taken IS NULL)),
    CHECK (taken IS NULL OR answered IS NOT NULL)
) STRICT;
CREATE INDEX queue_waiting ON queue (target, id) WHERE answered IS NULL;
CREATE INDEX queue_receipts ON queue (release, id) WHERE receipt IS NOT NULL;
