-- What the world is told of changes: a feed to ask, and webhooks that call. Both are written by the statement that writes
-- the audit trail, whose entries also hold what the things looked like.

CREATE TABLE changes (
    organization_id uuid NOT NULL REFERENCES organizations,
    -- Who reads only what is older than every transaction still under way never misses one that commits later.
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- The audit entry that shows the thing; an import has one entry for many changes, which then have ids of their own.
    id uuid NOT NULL,
    -- As the audit trail calls it, e.g. 'event.published'.
    event_type text NOT NULL,
    subject_id uuid NOT NULL,
    version bigint,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, transaction_id, id)
);
CREATE INDEX changes_age ON changes (changed_at);
SELECT protect_tenant_table('changes');

CREATE TABLE webhook_endpoints (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    description text CHECK (length(description) <= 2000),
    -- '*' is all of them.
    event_types text[] NOT NULL CHECK (cardinality(event_types) BETWEEN 1 AND 200),
    enabled boolean NOT NULL DEFAULT true,
    -- Why we have disabled it: it answered 410, or failed for days.
    disabled_reason text CHECK (disabled_reason IN ('GONE', 'FAILING')),
    -- When deliveries began to fail without one that succeeded.
    failing_since timestamptz,
    -- Each written and read in one place of the code, so that a key ring can seal it.
    secret text NOT NULL,
    -- The one before, which signs as well until it expires.
    old_secret text,
    old_secret_expires_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT webhook_endpoint_enabled CHECK (NOT enabled OR disabled_reason IS NULL),
    CONSTRAINT webhook_endpoint_old_secret CHECK ((old_secret IS NULL) = (old_secret_expires_at IS NULL))
);
SELECT protect_tenant_table('webhook_endpoints');

CREATE TABLE webhook_deliveries (
    organization_id uuid NOT NULL,
    -- Also `webhook-id` and the id of the job: the same in every attempt and every replay.
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    -- The change that it tells of.
    entry_id uuid NOT NULL,
    event_type text NOT NULL,
    status text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED')),
    -- Since it was made, or replayed.
    attempts integer NOT NULL DEFAULT 0,
    last_status_code smallint,
    -- One coarse word.
    last_reason text CHECK (last_reason IN ('STATUS', 'UNREACHABLE', 'DISABLED')),
    created_at timestamptz NOT NULL,
    -- When it was delivered or given up.
    ended_at timestamptz,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT webhook_delivery_endpoint FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE,
    CONSTRAINT webhook_delivery_entry FOREIGN KEY (organization_id, entry_id) REFERENCES audit_entries,
    CONSTRAINT webhook_delivery_ended CHECK ((status = 'PENDING') = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX webhook_delivery_once ON webhook_deliveries (organization_id, endpoint_id, entry_id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (organization_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);
SELECT protect_tenant_table('webhook_deliveries');

CREATE TABLE webhook_attempts (
    organization_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    id uuid NOT NULL,
    attempted_at timestamptz NOT NULL,
    status_code smallint,
    reason text CHECK (reason IN ('STATUS', 'UNREACHABLE', 'DISABLED')),
    PRIMARY KEY (organization_id, delivery_id, id),
    CONSTRAINT webhook_attempt_delivery FOREIGN KEY (organization_id, delivery_id) REFERENCES webhook_deliveries ON DELETE CASCADE
);
SELECT protect_tenant_table('webhook_attempts');

-- A UUIDv7 of the same moment as this one, and otherwise random.
CREATE FUNCTION uuid_beside(moment uuid) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(substring(uuid_send(moment) FOR 8) || substring(uuid_send(gen_random_uuid()) FROM 9), 'hex')::uuid
$$;
