-- The owner's signed list of publishers. `grants` follows it: level 1 is who is on the list now.
ALTER TABLE names ADD COLUMN delegation bytea;
ALTER TABLE names ADD COLUMN delegation_number bigint NOT NULL DEFAULT 0;
-- Until now the hub alone said who publishes, and no reader believed it.
UPDATE grants SET level = 0 WHERE level = 1;
