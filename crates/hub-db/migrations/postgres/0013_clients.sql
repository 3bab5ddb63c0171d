-- Which versions of the program the hub wants its clients to be; no row is none in particular.
CREATE TABLE clients (
    one     bigint PRIMARY KEY CHECK (one = 1),
    newest  text,
    place   text,
    minimum text
);
