-- The tables and columns of every SQL store (store/sqlite/migrations), for this
-- database. Instants are milliseconds since 1970 UTC; 0 stands for none. BLOBs are
-- sealed values, each bound to its place; NULL stands for an empty one.
--
-- The database commits every statement by itself. Where a start was cut short the file
-- runs again from its beginning, and tables that are there are left alone.

CREATE TABLE meta (
    name    VARCHAR(191) NOT NULL PRIMARY KEY,
    value   LONGBLOB NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE components (
    component                 VARCHAR(191) NOT NULL PRIMARY KEY,
    secret                    BLOB,
    token                     BLOB,
    encoding_aes_key          BLOB,
    previous_token            BLOB,
    previous_encoding_aes_key BLOB,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL,
    changed_at                BIGINT NOT NULL -- by the store's clock
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE tickets (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    component   VARCHAR(191) NOT NULL,
    value       BLOB,
    created_at  BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    INDEX tickets_newest (component, created_at, received_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE component_tokens (
    component   VARCHAR(191) NOT NULL PRIMARY KEY,
    value       BLOB,
    obtained_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    epoch       BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE authorizers (
    id                  BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    component           VARCHAR(191) NOT NULL,
    authorizer          VARCHAR(191) NOT NULL,
    state               VARCHAR(32) NOT NULL,
    grant_no            BIGINT NOT NULL,
    authorized_at       BIGINT NOT NULL,
    revoked_at          BIGINT NOT NULL DEFAULT 0,
    reference           TEXT NOT NULL,
    func_info           MEDIUMTEXT NOT NULL,

    -- The token set. Both tokens are sealed for the grant noted beside them; the
    -- refresh token may be carried over from an earlier one.
    access_token        BLOB,
    refresh_token       BLOB,
    refresh_token_grant BIGINT NOT NULL,
    expires_at          BIGINT NOT NULL,
    obtained_at         BIGINT NOT NULL,
    epoch               BIGINT NOT NULL,

    trouble_failures    BIGINT NOT NULL DEFAULT 0,
    trouble_code        BIGINT NOT NULL DEFAULT 0,
    trouble_message     TEXT NOT NULL,
    suspect_since       BIGINT NOT NULL DEFAULT 0,
    refresh_at          BIGINT NOT NULL,

    profile_grant       BIGINT NOT NULL DEFAULT 0,
    kind                VARCHAR(191) NOT NULL DEFAULT '',
    nick_name           TEXT NOT NULL,
    nick_name_folded    TEXT NOT NULL, -- in lower case, to be searched
    user_name           TEXT NOT NULL,
    alias               TEXT NOT NULL,
    head_image          TEXT NOT NULL,
    principal_name      TEXT NOT NULL,
    service_type        BIGINT NOT NULL DEFAULT 0,
    verify_type         BIGINT NOT NULL DEFAULT 0,
    account_status      BIGINT NOT NULL DEFAULT 0,
    profile_raw         MEDIUMTEXT NOT NULL,
    profile_read_at     BIGINT NOT NULL DEFAULT 0,

    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL, -- by the store's clock

    -- 1 where the profile is to be read, else NULL: what partial indexes are elsewhere.
    profile_due         TINYINT AS (CASE WHEN state = 'active' AND profile_grant < grant_no THEN 1 END) VIRTUAL,

    UNIQUE (component, authorizer),
    INDEX authorizers_authorizer (authorizer),
    INDEX authorizers_state (state, component),
    INDEX authorizers_due (refresh_at, component, authorizer),
    INDEX authorizers_profile_due (profile_due, component, authorizer),
    INDEX authorizers_again (grant_no),
    INDEX authorizers_changed (updated_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE authorizer_permission_sets (
    component      VARCHAR(191) NOT NULL,
    authorizer     VARCHAR(191) NOT NULL,
    permission_set BIGINT NOT NULL,
    PRIMARY KEY (component, authorizer, permission_set)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Append-only: every refresh token ever received. The hash finds one that is there.
CREATE TABLE refresh_tokens (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    component   VARCHAR(191) NOT NULL,
    authorizer  VARCHAR(191) NOT NULL,
    grant_no    BIGINT NOT NULL,
    value_hash  VARCHAR(191) NOT NULL,
    value       BLOB NOT NULL,
    source      VARCHAR(191) NOT NULL,
    received_at BIGINT NOT NULL,
    UNIQUE (component, authorizer, value_hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE exchanges (
    component     VARCHAR(191) NOT NULL,
    code_hash     VARCHAR(191) NOT NULL,
    code          BLOB,
    authorizer    VARCHAR(191) NOT NULL,
    pre_auth_hash VARCHAR(191) NOT NULL,
    visit         VARCHAR(191) NOT NULL,
    authorized_at BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    revoked_at    BIGINT NOT NULL DEFAULT 0,
    state         VARCHAR(32) NOT NULL,
    grant_no      BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    problem       TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    finished_at   BIGINT NOT NULL,
    PRIMARY KEY (component, code_hash),
    INDEX exchanges_due (state, due_at),
    INDEX exchanges_finished (finished_at),
    INDEX exchanges_revoke (component, authorizer)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE links (
    id              VARCHAR(191) NOT NULL PRIMARY KEY,
    component       VARCHAR(191) NOT NULL,
    auth_type       BIGINT NOT NULL,
    biz_appid       VARCHAR(191) NOT NULL,
    permission_sets TEXT NOT NULL, -- wanted: numbers with commas between them
    reference       TEXT NOT NULL,
    return_url      TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    used_at         BIGINT NOT NULL,
    used_by         VARCHAR(191) NOT NULL,
    INDEX links_component (component, id),
    INDEX links_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE visits (
    nonce_hash    VARCHAR(191) NOT NULL PRIMARY KEY,
    pre_auth_hash VARCHAR(191) NOT NULL,
    link          VARCHAR(191) NOT NULL,
    component     VARCHAR(191) NOT NULL,
    created_at    BIGINT NOT NULL,
    INDEX visits_pre_auth (pre_auth_hash),
    INDEX visits_link (link, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE pushes (
    id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    dedup_key   VARCHAR(500) NOT NULL UNIQUE,
    component   VARCHAR(191) NOT NULL,
    authorizer  VARCHAR(191) NOT NULL,
    kind        TEXT NOT NULL,
    body        LONGBLOB,
    reply       LONGBLOB,
    created_at  BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    INDEX pushes_received (received_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE leases (
    lease_key VARCHAR(500) NOT NULL PRIMARY KEY,
    holder    VARCHAR(191) NOT NULL,
    epoch     BIGINT NOT NULL,
    until     BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
