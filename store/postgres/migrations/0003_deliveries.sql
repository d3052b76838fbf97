-- Who is told of which pushes, and what has become of telling them. Pushes are
-- numbered by account. New columns have constant defaults, so no table is rewritten and
-- replicas that do not know them go on meanwhile; what these store has no number.

ALTER TABLE pushes ADD COLUMN seq BIGINT NOT NULL DEFAULT 0; -- 0: stored before there were numbers
CREATE INDEX pushes_authorizer ON pushes (authorizer, id);

CREATE TABLE event_sequences (
    component  TEXT COLLATE "C" NOT NULL,
    authorizer TEXT COLLATE "C" NOT NULL,
    last_seq   BIGINT NOT NULL, -- the number given last
    last_due   BIGINT NOT NULL, -- the latest receipt
    PRIMARY KEY (component, authorizer)
) WITH (fillfactor = 50);

CREATE TABLE subscriptions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    spec       TEXT   NOT NULL,
    secrets    BYTEA,
    state      TEXT   NOT NULL,
    problem    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

CREATE TABLE deliveries (
    event        BIGINT NOT NULL, -- pushes.id
    subscription TEXT COLLATE "C" NOT NULL,
    due_at       BIGINT NOT NULL, -- 0 once it is delivered, 9223372036854775807 once it is given up
    attempts     BIGINT NOT NULL,
    log          BYTEA  NOT NULL,
    finished_at  BIGINT NOT NULL,
    PRIMARY KEY (event, subscription)
);
CREATE INDEX deliveries_due ON deliveries (subscription, due_at, event) WHERE due_at > 0;
