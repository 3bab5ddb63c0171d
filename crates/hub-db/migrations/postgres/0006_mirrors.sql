-- Key of the account that passes a community on to this hub from another one; NULL where its managers
-- work at this hub.
ALTER TABLE communities ADD COLUMN mirror bytea CHECK (length(mirror) = 32);
-- What waits for anybody, in order: for relays.
CREATE INDEX queue_of_all ON queue (id) WHERE answered IS NULL;
