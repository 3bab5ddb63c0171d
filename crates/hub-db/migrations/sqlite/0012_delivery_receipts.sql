-- What the recipient handed in with the last segment, sealed for the sender, who may be away then.
ALTER TABLE addressed ADD COLUMN receipt BLOB;
