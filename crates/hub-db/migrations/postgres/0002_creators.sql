-- Whose invitation it is, so that it ends with the account. NULL: made on the hub's own machine or
-- in its console.
ALTER TABLE invitations ADD COLUMN creator bigint REFERENCES accounts (id);
