-- Times are unix seconds. Codes are bigint like everything else that is read as a number. Text that
-- is compared is compared by bytes, as SQLite does it.

-- Accounts: one per node key. `role`: 0 reader, 1 publisher; an administrator is a publisher with
-- `admin` set.
CREATE TABLE accounts (
    id      bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key     bytea   NOT NULL UNIQUE CHECK (length(key) = 32),
    role    bigint  NOT NULL CHECK (role IN (0, 1)),
    admin   boolean NOT NULL,
    created bigint  NOT NULL,
    revoked bigint
);

-- Only the hash of an invitation's secret is kept.
CREATE TABLE invitations (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret_hash bytea   NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    role        bigint  NOT NULL CHECK (role IN (0, 1)),
    admin       boolean NOT NULL,
    uses_left   bigint  NOT NULL CHECK (uses_left >= 0),
    created     bigint  NOT NULL,
    expires     bigint  NOT NULL
);

CREATE TABLE invitation_grants (
    invitation bigint NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    name       text   COLLATE "C" NOT NULL,
    PRIMARY KEY (invitation, name)
);

-- Who used which invitation, so that a repeated registration costs no second use.
CREATE TABLE registrations (
    invitation bigint NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    account    bigint NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (invitation, account)
);

-- Releases to keep: NULL is no rule. `chunks_held` counts the name's rows in `chunk_holders`.
CREATE TABLE names (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text    COLLATE "C" NOT NULL UNIQUE,
    public      boolean NOT NULL,
    owner       bigint  NOT NULL REFERENCES accounts (id),
    created     bigint  NOT NULL,
    keep_last   bigint  CHECK (keep_last >= 0),
    keep_days   bigint  CHECK (keep_days >= 0),
    chunks_held bigint  NOT NULL DEFAULT 0
);
CREATE INDEX names_by_owner ON names (owner);

-- By text and key, so that a grant can come before the name's first release and before the key's
-- registration. `level`: 0 reader, 1 publisher; the owner is in `names`.
CREATE TABLE grants (
    key   bytea  NOT NULL CHECK (length(key) = 32),
    name  text   COLLATE "C" NOT NULL,
    level bigint NOT NULL CHECK (level IN (0, 1)),
    PRIMARY KEY (key, name)
);
CREATE INDEX grants_by_name ON grants (name);

-- `id` grows with every release of any name, in the order in which they become visible: it is
-- the event id.
CREATE TABLE releases (
    id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         bigint  NOT NULL REFERENCES names (id),
    sequence     bigint  NOT NULL CHECK (sequence >= 1),
    hash         bytea   NOT NULL CHECK (length(hash) = 32),
    manifest     bytea   NOT NULL,
    head         bytea   NOT NULL,
    tree         bytea   NOT NULL CHECK (length(tree) = 32),
    closure      bytea   NOT NULL CHECK (length(closure) = 32),
    stored_bytes bigint  NOT NULL,
    issued       bigint  NOT NULL,
    accepted     bigint  NOT NULL,
    pinned       boolean NOT NULL DEFAULT false,
    UNIQUE (name, sequence)
);

-- Who may read a chunk. `holder` is an account's id times two, a name's id times two plus one,
-- or a token's id times minus two.
CREATE TABLE chunk_holders (
    chunk  bytea  NOT NULL CHECK (length(chunk) = 32),
    holder bigint NOT NULL,
    PRIMARY KEY (chunk, holder)
);

-- Bearer secrets of accounts. `scope`: 0 read, 1 publish.
CREATE TABLE tokens (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret_hash bytea  NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    account     bigint NOT NULL REFERENCES accounts (id),
    label       text   NOT NULL,
    scope       bigint NOT NULL CHECK (scope IN (0, 1)),
    created     bigint NOT NULL,
    expires     bigint NOT NULL,
    last_used   bigint
);
CREATE INDEX tokens_by_account ON tokens (account);

-- The names a token is for; all of its account's when there is none.
CREATE TABLE token_names (
    token bigint NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    name  text   COLLATE "C" NOT NULL,
    PRIMARY KEY (token, name)
);

-- `actor`: 0 local, 1 account with `key`, 2 console with `label`.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time    bigint NOT NULL,
    actor   bigint NOT NULL CHECK (actor IN (0, 1, 2)),
    key     bytea,
    label   text,
    action  text   NOT NULL,
    subject text   NOT NULL,
    detail  text   NOT NULL
);

CREATE TABLE sign_ins (
    secret_hash bytea  PRIMARY KEY CHECK (length(secret_hash) = 32),
    expires     bigint NOT NULL
);

CREATE TABLE console_sessions (
    session_hash bytea  PRIMARY KEY CHECK (length(session_hash) = 32),
    expires      bigint NOT NULL
);

-- Requests that are done once. Without a status one is being done.
CREATE TABLE claims (
    account      bigint NOT NULL REFERENCES accounts (id),
    key          text   COLLATE "C" NOT NULL,
    request_hash bytea  NOT NULL CHECK (length(request_hash) = 32),
    created      bigint NOT NULL,
    status       bigint,
    body         bytea,
    PRIMARY KEY (account, key)
);
CREATE INDEX claims_by_time ON claims (created);

-- Whose database this is: the public key of the hub.
CREATE TABLE hub (
    one bigint PRIMARY KEY CHECK (one = 1),
    key bytea  NOT NULL CHECK (length(key) = 32)
);
