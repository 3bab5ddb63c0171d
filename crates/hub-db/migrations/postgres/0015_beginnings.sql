-- What a target signed when it began with a release, until it has answered.
ALTER TABLE queue ADD COLUMN beginning bytea;
CREATE INDEX queue_beginnings ON queue (release, id) WHERE beginning IS NOT NULL;
