-- Those who call this installation: their keys, what they did, and what is kept for
-- them for a short while. Tags by which operators tell authorizers apart, and the
-- AppSecret that is to be next.

ALTER TABLE authorizers ADD COLUMN tags TEXT NOT NULL DEFAULT ''; -- ascending, with a comma before each and after the last

ALTER TABLE components ADD COLUMN staged_secret BLOB;

CREATE TABLE api_keys (
    id             TEXT   NOT NULL PRIMARY KEY,
    name           TEXT   NOT NULL,
    hash           BLOB   NOT NULL, -- of the key; empty stands for none, as below
    previous_hash  BLOB   NOT NULL,
    previous_until BIGINT NOT NULL,
    scope          TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    revoked_at     BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    version        BIGINT NOT NULL
);

-- Append-only and without gaps: the key keeps two from writing the same link.
CREATE TABLE audit (
    seq         INTEGER NOT NULL PRIMARY KEY,
    recorded_at BIGINT  NOT NULL,
    body        BLOB    NOT NULL, -- not sealed, and holds no secret
    hash        BLOB    NOT NULL
);

CREATE TABLE kept_values (
    value_key  TEXT   NOT NULL PRIMARY KEY,
    data       BLOB,
    expires_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);
CREATE INDEX kept_values_expires ON kept_values (expires_at);
