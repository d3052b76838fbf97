-- The people who use the console, where they are signed in, and what has happened to
-- the tokens of authorizers. Tables that are there are not touched.

-- What must be told apart byte by byte is binary, for a text that ends in spaces is the
-- same as one that does not.
CREATE TABLE users (
    id               VARCHAR(191) NOT NULL PRIMARY KEY,
    name             TEXT NOT NULL,
    name_folded      VARBINARY(764) NOT NULL UNIQUE, -- its ASCII letters are small
    full_name        TEXT NOT NULL,
    role             VARCHAR(191) NOT NULL,
    password         BLOB,
    password_expired BIGINT NOT NULL, -- 0 or 1
    totp             BLOB,
    totp_used        BIGINT NOT NULL,
    subject          VARBINARY(1024) NOT NULL,
    subject_key      VARBINARY(1024) AS (NULLIF(subject, '')) VIRTUAL UNIQUE, -- there may be many without one
    disabled         BIGINT NOT NULL, -- 0 or 1
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    last_seen_at     BIGINT NOT NULL,
    version          BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE sessions (
    session_hash VARBINARY(64) NOT NULL PRIMARY KEY, -- of the token; not sealed
    id           VARCHAR(191) NOT NULL,
    user_id      VARCHAR(191) NOT NULL,
    address      VARCHAR(191) NOT NULL,
    agent        TEXT NOT NULL,
    method       VARCHAR(191) NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    INDEX sessions_user (user_id),
    INDEX sessions_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE token_events (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    component   VARCHAR(191) NOT NULL,
    authorizer  VARCHAR(191) NOT NULL,
    kind        VARCHAR(191) NOT NULL,
    result      VARCHAR(191) NOT NULL,
    cause       VARCHAR(191) NOT NULL,
    actor       TEXT NOT NULL,
    errcode     BIGINT NOT NULL,
    message     TEXT NOT NULL,
    replica     TEXT NOT NULL,
    happened_at BIGINT NOT NULL,
    duration    BIGINT NOT NULL, -- nanoseconds
    INDEX token_events_authorizer (component, authorizer, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
