-- One row for each release and target. It waits while `receipt` is NULL; `taken`: its publisher has
-- the receipt, which is dropped then. `id` grows: it is the order in which a target gets them.
CREATE TABLE queue (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    release  bigint  NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
    target   bytea   NOT NULL CHECK (length(target) = 32),
    envelope bytea   NOT NULL,
    queued   bigint  NOT NULL,
    receipt  bytea,
    answered bigint,
    taken    bigint,
    UNIQUE (release, target),
    CHECK ((receipt IS NOT NULL) = (answered IS NOT NULL AND taken IS NULL)),
    CHECK (taken IS NULL OR answered IS NOT NULL)
);
CREATE INDEX queue_waiting ON queue (target, id) WHERE answered IS NULL;
CREATE INDEX queue_receipts ON queue (release, id) WHERE receipt IS NOT NULL;
