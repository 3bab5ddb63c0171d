-- Codes that went to a person's mail address, by the hash of each; one lets its holder choose another
-- password, for an hour.
CREATE TABLE recoveries (
    code   BLOB PRIMARY KEY CHECK (length(code) = 32),
    person INTEGER NOT NULL REFERENCES people (id),
    made   INTEGER NOT NULL
) STRICT;
CREATE INDEX recoveries_by_person ON recoveries (person, made);
