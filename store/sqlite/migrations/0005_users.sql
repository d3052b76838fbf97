-- The people who use the console, where they are signed in, and what has happened to
-- the tokens of authorizers.

CREATE TABLE users (
    id               TEXT   NOT NULL PRIMARY KEY,
    name             TEXT   NOT NULL,
    name_folded      TEXT   NOT NULL UNIQUE, -- its ASCII letters are small
    full_name        TEXT   NOT NULL,
    role             TEXT   NOT NULL,
    password         BLOB,
    password_expired BIGINT NOT NULL, -- 0 or 1
    totp             BLOB,
    totp_used        BIGINT NOT NULL,
    subject          TEXT   NOT NULL,
    disabled         BIGINT NOT NULL, -- 0 or 1
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    last_seen_at     BIGINT NOT NULL,
    version          BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_subject ON users (subject) WHERE subject <> '';

CREATE TABLE sessions (
    session_hash BLOB   NOT NULL PRIMARY KEY, -- of the token; not sealed
    id           TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    agent        TEXT   NOT NULL,
    method       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE token_events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    component   TEXT    NOT NULL,
    authorizer  TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    result      TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    errcode     BIGINT  NOT NULL,
    message     TEXT    NOT NULL,
    replica     TEXT    NOT NULL,
    happened_at BIGINT  NOT NULL,
    duration    BIGINT  NOT NULL -- nanoseconds
);
CREATE INDEX token_events_authorizer ON token_events (component, authorizer, id);

-- Authorizers are searched in an index, for their rows are long: what they are searched
-- for, in the order of lists. What a refresh changes is not in it. And those in one state
-- are listed in that order without a look at the others.
CREATE INDEX authorizers_search ON authorizers (component, authorizer, kind, tags, user_name, nick_name_folded);
CREATE INDEX authorizer_permission_sets_held ON authorizer_permission_sets (permission_set, component, authorizer);
DROP INDEX authorizers_state;
CREATE INDEX authorizers_state ON authorizers (state, component, authorizer);
