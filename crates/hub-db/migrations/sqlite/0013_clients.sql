-- Which versions of the program the hub wants its clients to be; no row is none in particular.
CREATE TABLE clients (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    newest  TEXT,
    place   TEXT,
    minimum TEXT
) STRICT;
