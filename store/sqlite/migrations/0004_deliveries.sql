-- Who is told of which pushes, and what has become of telling them. Pushes are
-- numbered by account.

ALTER TABLE pushes ADD COLUMN seq BIGINT NOT NULL DEFAULT 0; -- 0: stored before there were numbers
CREATE INDEX pushes_authorizer ON pushes (authorizer); -- and by id

CREATE TABLE event_sequences (
    component  TEXT   NOT NULL,
    authorizer TEXT   NOT NULL,
    last_seq   BIGINT NOT NULL, -- the number given last
    last_due   BIGINT NOT NULL, -- the latest receipt
    PRIMARY KEY (component, authorizer)
) WITHOUT ROWID;

CREATE TABLE subscriptions (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    spec       TEXT   NOT NULL,
    secrets    BLOB,
    state      TEXT   NOT NULL,
    problem    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

CREATE TABLE deliveries (
    event        BIGINT NOT NULL, -- pushes.id
    subscription TEXT   NOT NULL,
    due_at       BIGINT NOT NULL, -- 0 once it is delivered, 9223372036854775807 once it is given up
    attempts     BIGINT NOT NULL,
    log          BLOB   NOT NULL,
    finished_at  BIGINT NOT NULL,
    PRIMARY KEY (event, subscription)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (subscription, due_at, event) WHERE due_at > 0;
