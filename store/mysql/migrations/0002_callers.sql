-- Those who call this installation: their keys, what they did, and what is kept for
-- them for a short while. Tags by which operators tell authorizers apart, and the
-- AppSecret that is to be next. New columns may be NULL, so no table is rewritten and
-- replicas that do not know them go on meanwhile.

-- Ascending, with a comma before each and after the last; NULL stands for none, as the
-- empty text does, for a TEXT has no default everywhere.
ALTER TABLE authorizers ADD COLUMN tags TEXT;

ALTER TABLE components ADD COLUMN staged_secret BLOB;

CREATE TABLE api_keys (
    id             VARCHAR(191) NOT NULL PRIMARY KEY,
    name           TEXT NOT NULL,
    hash           BLOB NOT NULL, -- of the key; empty stands for none, as below
    previous_hash  BLOB NOT NULL,
    previous_until BIGINT NOT NULL,
    scope          MEDIUMTEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    revoked_at     BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    version        BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Append-only and without gaps: the key keeps two from writing the same link.
CREATE TABLE audit (
    seq         BIGINT NOT NULL PRIMARY KEY,
    recorded_at BIGINT NOT NULL,
    body        LONGBLOB NOT NULL, -- not sealed, and holds no secret
    hash        BLOB NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE kept_values (
    value_key  VARCHAR(191) NOT NULL PRIMARY KEY,
    data       LONGBLOB,
    expires_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    INDEX kept_values_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
