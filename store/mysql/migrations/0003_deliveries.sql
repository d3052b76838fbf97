-- Who is told of which pushes, and what has become of telling them. Pushes are
-- numbered by account. The new column has a constant default, so the table is not
-- rewritten and replicas that do not know it go on meanwhile; what these store has no
-- number, that is 0.

ALTER TABLE pushes ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;

CREATE INDEX pushes_authorizer ON pushes (authorizer, id);

CREATE TABLE event_sequences (
    component  VARCHAR(191) NOT NULL,
    authorizer VARCHAR(191) NOT NULL,
    last_seq   BIGINT NOT NULL, -- the number given last
    last_due   BIGINT NOT NULL, -- the latest receipt
    PRIMARY KEY (component, authorizer)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE subscriptions (
    id         VARCHAR(191) NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    spec       MEDIUMTEXT NOT NULL,
    secrets    BLOB,
    state      VARCHAR(32) NOT NULL,
    problem    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE deliveries (
    event        BIGINT NOT NULL, -- pushes.id
    subscription VARCHAR(191) NOT NULL,
    due_at       BIGINT NOT NULL, -- 0 once it is delivered, 9223372036854775807 once it is given up
    attempts     BIGINT NOT NULL,
    log          MEDIUMBLOB NOT NULL,
    finished_at  BIGINT NOT NULL,
    PRIMARY KEY (event, subscription),
    INDEX deliveries_due (subscription, due_at, event)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
