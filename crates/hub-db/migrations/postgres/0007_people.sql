-- People: a handle, a password, and devices, each of which is an account. A handle is never given twice.
-- `policy`: 0 address book, 1 block all. `book` is sealed for the devices; of it the hub knows the number.
CREATE TABLE people (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    handle       text COLLATE "C" NOT NULL UNIQUE,
    password     text    NOT NULL,
    first_name   text    NOT NULL,
    last_name    text    NOT NULL,
    organisation text    NOT NULL,
    address      text    NOT NULL,
    email        text    NOT NULL,
    created      bigint  NOT NULL,
    policy       bigint  NOT NULL DEFAULT 0 CHECK (policy IN (0, 1)),
    book_number  bigint  NOT NULL DEFAULT 0,
    book         bytea,
    first_online bigint,
    last_online  bigint 
);

-- `listed`: it stands on the newest signed list. `free` and `largest`: what it said to have room for.
CREATE TABLE devices (
    account bigint PRIMARY KEY REFERENCES accounts (id),
    person  bigint  NOT NULL REFERENCES people (id),
    since   bigint  NOT NULL,
    listed  boolean NOT NULL,
    free    bigint,
    largest bigint,
    CHECK ((free IS NULL) = (largest IS NULL))
);
CREATE INDEX devices_by_person ON devices (person);

-- The signed lists of devices since the person began, or began anew.
CREATE TABLE device_lists (
    person bigint  NOT NULL REFERENCES people (id),
    number bigint  NOT NULL CHECK (number >= 1),
    signed bytea   NOT NULL,
    PRIMARY KEY (person, number)
);

-- `kind`: 0 contact, 1 blocked. By text, so that an entry can come before its handle is anybody's.
CREATE TABLE book_entries (
    person bigint  NOT NULL REFERENCES people (id),
    kind   bigint  NOT NULL CHECK (kind IN (0, 1)),
    handle text COLLATE "C" NOT NULL,
    PRIMARY KEY (person, kind, handle)
);

-- Deliveries that are addressed to a person; of what is in them there is nothing here. `state`: 0 pending
-- approval, 1 waiting, 2 running, 3 received, 4 terminated, 5 removed. `ended_by`: 0 sender,
-- 1 recipient, 2 hub. `list` is the recipient's list that the letters are for.
CREATE TABLE addressed (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery  bytea   NOT NULL UNIQUE CHECK (length(delivery) = 16),
    sender    bigint  NOT NULL REFERENCES people (id),
    account   bytea   NOT NULL CHECK (length(account) = 32),
    recipient bigint  NOT NULL REFERENCES people (id),
    list      bigint  NOT NULL,
    token     bytea   NOT NULL CHECK (length(token) = 32),
    segments  bigint  NOT NULL,
    bytes     bigint  NOT NULL,
    files     bigint  NOT NULL,
    largest   bigint  NOT NULL,
    state     bigint  NOT NULL CHECK (state BETWEEN 0 AND 5),
    since     bigint  NOT NULL,
    created   bigint  NOT NULL,
    started   bigint,
    finished  bigint,
    used      bigint  NOT NULL,
    verified  bigint  NOT NULL DEFAULT 0,
    restarts  bigint  NOT NULL DEFAULT 0,
    ended_by  bigint  CHECK (ended_by IN (0, 1, 2)),
    reason    text,
    CHECK ((ended_by IS NULL) = (reason IS NULL)),
    CHECK ((finished IS NULL) = (state < 3))
);
CREATE INDEX addressed_to ON addressed (recipient, number);
CREATE INDEX addressed_by ON addressed (sender, number);
CREATE INDEX addressed_in_place ON addressed (recipient, state, sender) WHERE state < 3;
CREATE INDEX addressed_by_use ON addressed (used) WHERE state < 3;
CREATE INDEX addressed_by_end ON addressed (finished) WHERE state >= 3;

-- The secret of a delivery, sealed for one device; gone when the delivery is over.
CREATE TABLE letters (
    delivery bigint  NOT NULL REFERENCES addressed (number) ON DELETE CASCADE,
    key      bytea   NOT NULL CHECK (length(key) = 32),
    sealed   bytea   NOT NULL,
    PRIMARY KEY (delivery, key)
);

-- Tries of passwords that were not the right one, or are not decided yet.
CREATE TABLE failed_logins (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    handle  text COLLATE "C" NOT NULL,
    network text    NOT NULL,
    time    bigint  NOT NULL
);
CREATE INDEX failed_logins_from ON failed_logins (handle, network, time);
CREATE INDEX failed_logins_by_time ON failed_logins (time);
