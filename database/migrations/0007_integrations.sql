-- Accounts of organizations at providers. Tokens are sealed (XChaCha20-Poly1305) under a key that the database never sees.

CREATE TABLE integrations (
    organization_id uuid NOT NULL REFERENCES organizations,
    -- Bound into what is sealed, as are the organization and the column.
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('google', 'slack', 'linear')),
    -- EXPIRED: the provider no longer takes the refresh token; a person has to connect anew.
    status text NOT NULL DEFAULT 'CONNECTED' CHECK (status IN ('CONNECTED', 'EXPIRED')),
    -- As the provider names it: a person, a workspace.
    account_id text NOT NULL CHECK (length(account_id) BETWEEN 1 AND 200),
    account_name text NOT NULL CHECK (length(account_name) BETWEEN 1 AND 320),
    scopes text[] NOT NULL,
    -- The key that sealed both tokens.
    key_id text NOT NULL,
    access_token bytea NOT NULL,
    refresh_token bytea,
    -- Of the access token; none where it does not end.
    expires_at timestamptz CHECK (isfinite(expires_at)),
    connected_by uuid,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT integration_once_per_provider UNIQUE (organization_id, provider),
    FOREIGN KEY (organization_id, connected_by) REFERENCES members ON DELETE SET NULL (connected_by)
);
CREATE INDEX integrations_key ON integrations (key_id);
SELECT protect_tenant_table('integrations');

-- Somebody is on the way to a provider's page and back. Each is good once.
CREATE TABLE integration_attempts (
    organization_id uuid NOT NULL REFERENCES organizations,
    -- SHA-256 of `state`, which is kept nowhere.
    state_hash bytea NOT NULL CHECK (length(state_hash) = 32),
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('google', 'slack', 'linear')),
    member_id uuid NOT NULL,
    api_key_id uuid,
    -- SHA-256 of a cookie, where a browser began it: the same one has to come back.
    browser_hash bytea CHECK (length(browser_hash) = 32),
    redirect_uri text NOT NULL,
    -- PKCE (RFC 7636), sealed.
    key_id text NOT NULL,
    code_verifier bytea NOT NULL,
    expires_at timestamptz NOT NULL CHECK (isfinite(expires_at)),
    PRIMARY KEY (organization_id, state_hash),
    FOREIGN KEY (organization_id, member_id) REFERENCES members ON DELETE CASCADE
);
SELECT protect_tenant_table('integration_attempts');

-- Tokens of accounts that were disconnected, until the provider has taken them back. Columns and ids as in `integrations`,
-- because what is sealed is bound to both.
CREATE TABLE integration_revocations (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('google', 'slack', 'linear')),
    key_id text NOT NULL,
    access_token bytea NOT NULL,
    refresh_token bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX integration_revocations_key ON integration_revocations (key_id);
SELECT protect_tenant_table('integration_revocations');
