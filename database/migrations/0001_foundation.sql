-- Roles, tenancy, API keys, audit, idempotency.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Roles belong to the cluster, so another database may have made them already, even right now.
-- They have no password: an operator sets one, or the server's own rules let them in.
DO $$
BEGIN
    CREATE ROLE event_planner_app LOGIN NOINHERIT;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
DO $$
BEGIN
    CREATE ROLE event_planner_reporting LOGIN NOINHERIT CONNECTION LIMIT 20;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO event_planner_app;

-- The two walls around a tenant's table: the application may reach every row (its queries name the
-- organization first, and a test sweeps every route), any other role only the rows of the
-- organization that its transaction has set. Even the owner is held to it.
CREATE FUNCTION protect_tenant_table(tenant_table regclass, tenant_column name DEFAULT 'organization_id')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
    EXECUTE format('CREATE POLICY application ON %s TO event_planner_app USING (true) WITH CHECK (true)', tenant_table);
    EXECUTE format(
        'CREATE POLICY tenant ON %s USING (%I = NULLIF(current_setting(''app.organization_id'', true), '''')::uuid)',
        tenant_table, tenant_column);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO event_planner_app', tenant_table);
END
$$;
REVOKE EXECUTE ON FUNCTION protect_tenant_table(regclass, name) FROM PUBLIC;

-- How an amount travels with its currency in a result row; tables keep the two columns apart.
CREATE TYPE price AS (amount bigint, currency text);
CREATE FUNCTION price(amount bigint, currency text) RETURNS price
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN amount IS NULL THEN NULL ELSE ROW(amount, currency)::price END $$;

CREATE TABLE organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
SELECT protect_tenant_table('organizations', 'id');

CREATE TABLE members (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 320),
    role text NOT NULL CHECK (role IN ('OWNER', 'PLANNER', 'VIEWER')),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX member_email_once_per_organization ON members (organization_id, lower(email));
SELECT protect_tenant_table('members');

CREATE TABLE api_keys (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    -- SHA-256 of the whole key: the key itself is shown once and kept nowhere.
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    -- The first characters of the key, so that a person can tell two keys apart.
    hint text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz CHECK (isfinite(expires_at)),
    last_used_at timestamptz,
    revoked_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT api_key_owner FOREIGN KEY (organization_id, member_id) REFERENCES members ON DELETE CASCADE
);
-- The one unique key that does not start with the organization: the key is what tells it.
CREATE UNIQUE INDEX api_key_token_once ON api_keys (token_hash);
CREATE INDEX api_keys_member ON api_keys (organization_id, member_id);
SELECT protect_tenant_table('api_keys');

-- Who did what, on whose behalf. Never changed, never deleted by the application.
CREATE TABLE audit_entries (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    -- What presented the credential: 'API_KEY', 'SERVICE' or 'SYSTEM'.
    actor_kind text NOT NULL CHECK (actor_kind IN ('API_KEY', 'SERVICE', 'SYSTEM')),
    actor_id uuid,
    -- The person acted for. No foreign key: the trail outlives the member.
    member_id uuid,
    action text NOT NULL,
    subject_type text NOT NULL,
    subject_id uuid NOT NULL,
    before jsonb,
    after jsonb,
    request_id text,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX audit_entries_subject ON audit_entries (organization_id, subject_id, id);
SELECT protect_tenant_table('audit_entries');
REVOKE UPDATE, DELETE ON audit_entries FROM event_planner_app;

-- Answers of completed POSTs, replayed when the same key comes again (kept 24 hours).
-- Operators' calls, which belong to no organization, carry the nil UUID; hence no foreign key.
CREATE TABLE idempotency_keys (
    organization_id uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- SHA-256 over caller, method, path, query and body.
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    status smallint NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_key_once PRIMARY KEY (organization_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
SELECT protect_tenant_table('idempotency_keys');
