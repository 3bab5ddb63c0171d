-- When a target said that it begins with a release; it is running while there is no receipt.
ALTER TABLE queue ADD COLUMN begun INTEGER;
