-- Secrets that we send are sealed under the key ring of connected accounts. Rows from before stay readable:
-- `event-planner-api admin rotate-integration-keys` seals them.

-- The key that sealed `token`; NULL where it is as the organization gave it.
ALTER TABLE agents ADD COLUMN key_id text;
CREATE INDEX agents_key ON agents (key_id) WHERE token IS NOT NULL;

ALTER TABLE webhook_endpoints
    -- The key that sealed both secrets; NULL where they are in `secret` and `old_secret`, as they are.
    ADD COLUMN key_id text,
    ADD COLUMN sealed_secret bytea,
    ADD COLUMN sealed_old_secret bytea,
    ALTER COLUMN secret DROP NOT NULL,
    DROP CONSTRAINT webhook_endpoint_old_secret,
    ADD CONSTRAINT webhook_endpoint_old_secret
        CHECK (num_nonnulls(old_secret, sealed_old_secret) = num_nonnulls(old_secret_expires_at)),
    ADD CONSTRAINT webhook_endpoint_sealed
        CHECK (CASE WHEN key_id IS NULL THEN secret IS NOT NULL AND num_nonnulls(sealed_secret, sealed_old_secret) = 0
                    ELSE sealed_secret IS NOT NULL AND num_nonnulls(secret, old_secret) = 0 END);
CREATE INDEX webhook_endpoints_key ON webhook_endpoints (key_id);

-- The Linear team that shows the organization's tasks as issues; NULL: none does.
ALTER TABLE organizations ADD COLUMN linear_team text CHECK (length(linear_team) BETWEEN 1 AND 100);

-- The issues that show tasks. A row outlives its task until the issue is closed.
CREATE TABLE task_issues (
    organization_id uuid NOT NULL REFERENCES organizations,
    task_id uuid NOT NULL,
    issue_id text NOT NULL CHECK (length(issue_id) BETWEEN 1 AND 200),
    PRIMARY KEY (organization_id, task_id)
);
SELECT protect_tenant_table('task_issues');
