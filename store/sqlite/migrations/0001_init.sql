-- Instants are milliseconds since 1970 UTC; 0 stands for none.
-- BLOBs are sealed values, each bound to its place; NULL stands for an empty one.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE components (
    component                 TEXT   NOT NULL PRIMARY KEY,
    secret                    BLOB,
    token                     BLOB,
    encoding_aes_key          BLOB,
    previous_token            BLOB,
    previous_encoding_aes_key BLOB,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL
);

CREATE TABLE tickets (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    component   TEXT    NOT NULL,
    value       BLOB,
    created_at  BIGINT  NOT NULL,
    received_at BIGINT  NOT NULL
);
CREATE INDEX tickets_newest ON tickets (component, created_at, received_at);

CREATE TABLE component_tokens (
    component   TEXT   NOT NULL PRIMARY KEY,
    value       BLOB,
    obtained_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    epoch       BIGINT NOT NULL
);

CREATE TABLE authorizers (
    id                  INTEGER  PRIMARY KEY AUTOINCREMENT,
    component           TEXT     NOT NULL,
    authorizer          TEXT     NOT NULL,
    state               TEXT     NOT NULL,
    grant_no            BIGINT   NOT NULL,
    authorized_at       BIGINT   NOT NULL,
    revoked_at          BIGINT   NOT NULL DEFAULT 0,
    reference           TEXT     NOT NULL,
    func_info           TEXT     NOT NULL,

    -- The token set. Both tokens are sealed for the grant noted beside them; the
    -- refresh token may be carried over from an earlier one.
    access_token        BLOB,
    refresh_token       BLOB,
    refresh_token_grant BIGINT   NOT NULL,
    expires_at          BIGINT   NOT NULL,
    obtained_at         BIGINT   NOT NULL,
    epoch               BIGINT   NOT NULL,

    trouble_failures    BIGINT   NOT NULL DEFAULT 0,
    trouble_code        BIGINT   NOT NULL DEFAULT 0,
    trouble_message     TEXT     NOT NULL DEFAULT '',
    suspect_since       BIGINT   NOT NULL DEFAULT 0,
    refresh_at          BIGINT   NOT NULL,

    profile_grant       BIGINT   NOT NULL DEFAULT 0,
    kind                TEXT     NOT NULL DEFAULT '',
    nick_name           TEXT     NOT NULL DEFAULT '',
    nick_name_folded    TEXT     NOT NULL DEFAULT '', -- in lower case, to be searched
    user_name           TEXT     NOT NULL DEFAULT '',
    alias               TEXT     NOT NULL DEFAULT '',
    head_image          TEXT     NOT NULL DEFAULT '',
    principal_name      TEXT     NOT NULL DEFAULT '',
    service_type        BIGINT   NOT NULL DEFAULT 0,
    verify_type         BIGINT   NOT NULL DEFAULT 0,
    account_status      BIGINT   NOT NULL DEFAULT 0,
    profile_raw         TEXT     NOT NULL DEFAULT '',
    profile_read_at     BIGINT   NOT NULL DEFAULT 0,

    created_at          BIGINT   NOT NULL,
    updated_at          BIGINT   NOT NULL,

    UNIQUE (component, authorizer)
);
CREATE INDEX authorizers_authorizer ON authorizers (authorizer);
CREATE INDEX authorizers_state ON authorizers (component, state);
CREATE INDEX authorizers_due ON authorizers (refresh_at, component, authorizer)
    WHERE refresh_at > 0;
CREATE INDEX authorizers_profile_due ON authorizers (component, authorizer)
    WHERE state = 'active' AND profile_grant < grant_no;

CREATE TABLE authorizer_permission_sets (
    component      TEXT   NOT NULL,
    authorizer     TEXT   NOT NULL,
    permission_set BIGINT NOT NULL,
    PRIMARY KEY (component, authorizer, permission_set)
) WITHOUT ROWID;

-- Append-only: every refresh token ever received. The hash finds one that is there.
CREATE TABLE refresh_tokens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    component   TEXT    NOT NULL,
    authorizer  TEXT    NOT NULL,
    grant_no    BIGINT  NOT NULL,
    value_hash  TEXT    NOT NULL,
    value       BLOB    NOT NULL,
    source      TEXT    NOT NULL,
    received_at BIGINT  NOT NULL,
    UNIQUE (component, authorizer, value_hash)
);
CREATE INDEX refresh_tokens_received ON refresh_tokens (received_at);

CREATE TABLE exchanges (
    component     TEXT   NOT NULL,
    code_hash     TEXT   NOT NULL,
    code          BLOB,
    authorizer    TEXT   NOT NULL,
    pre_auth_hash TEXT   NOT NULL,
    visit         TEXT   NOT NULL,
    authorized_at BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    grant_no      BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    due_at        BIGINT NOT NULL,
    problem       TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    finished_at   BIGINT NOT NULL,
    PRIMARY KEY (component, code_hash)
);
CREATE INDEX exchanges_due ON exchanges (due_at) WHERE state = 'pending';
CREATE INDEX exchanges_finished ON exchanges (finished_at) WHERE finished_at > 0;

CREATE TABLE links (
    id              TEXT   NOT NULL PRIMARY KEY,
    component       TEXT   NOT NULL,
    auth_type       BIGINT NOT NULL,
    biz_appid       TEXT   NOT NULL,
    permission_sets TEXT   NOT NULL, -- wanted: numbers with commas between them
    reference       TEXT   NOT NULL,
    return_url      TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    used_at         BIGINT NOT NULL,
    used_by         TEXT   NOT NULL
);
CREATE INDEX links_component ON links (component, id);
CREATE INDEX links_expires ON links (expires_at) WHERE expires_at > 0;

CREATE TABLE visits (
    nonce_hash    TEXT   NOT NULL PRIMARY KEY,
    pre_auth_hash TEXT   NOT NULL,
    link          TEXT   NOT NULL,
    component     TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);
CREATE INDEX visits_pre_auth ON visits (pre_auth_hash);
CREATE INDEX visits_link ON visits (link, created_at);

CREATE TABLE pushes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    dedup_key   TEXT    NOT NULL,
    component   TEXT    NOT NULL,
    authorizer  TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    body        BLOB,
    reply       BLOB,
    created_at  BIGINT  NOT NULL,
    received_at BIGINT  NOT NULL,
    UNIQUE (dedup_key)
);
CREATE INDEX pushes_received ON pushes (received_at);

CREATE TABLE leases (
    lease_key TEXT   NOT NULL PRIMARY KEY,
    holder    TEXT   NOT NULL,
    epoch     BIGINT NOT NULL,
    until     BIGINT NOT NULL
);
