-- What stores for several processes have too: settings with versions, the instant
-- of a change, and exchanges that were taken back.

ALTER TABLE meta ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

ALTER TABLE components ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0; -- by the store's clock

ALTER TABLE exchanges ADD COLUMN revoked_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX exchanges_revoke ON exchanges (component, authorizer) WHERE state = 'pending';

-- Leases that nobody has ended.
CREATE INDEX leases_held ON leases (until) WHERE until > 0;
