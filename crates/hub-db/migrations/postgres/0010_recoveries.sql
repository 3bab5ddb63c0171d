-- Codes that went to a person's mail address, by the hash of each; one lets its holder choose another
-- password, for an hour.
CREATE TABLE recoveries (
    code   bytea PRIMARY KEY CHECK (length(code) = 32),
    person bigint NOT NULL REFERENCES people (id),
    made   bigint NOT NULL
);
CREATE INDEX recoveries_by_person ON recoveries (person, made);
