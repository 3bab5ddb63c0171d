-- Invitations that anybody may have: how many keys may register from one network within a day. Where
-- registrations come from is kept for those alone, and only while it counts.
ALTER TABLE invitations ADD COLUMN each_network BIGINT CHECK (each_network > 0);
ALTER TABLE registrations ADD COLUMN network TEXT;
ALTER TABLE registrations ADD COLUMN registered BIGINT NOT NULL DEFAULT 0;
CREATE INDEX registrations_by_network ON registrations (invitation, network) WHERE network IS NOT NULL;
