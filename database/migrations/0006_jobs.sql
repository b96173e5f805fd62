-- Durable work: a job is written in the transaction that needs it, and done at least once with one idempotency key.

CREATE TABLE jobs (
    -- The nil UUID for our own housekeeping; hence no foreign key.
    organization_id uuid NOT NULL,
    -- Also the idempotency key towards providers: the same in every attempt.
    id uuid NOT NULL,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 100),
    payload jsonb NOT NULL,
    -- What it needs to be up, such as a provider; empty for nothing.
    lane text NOT NULL DEFAULT '' CHECK (length(lane) <= 100),
    -- At most one live job of a kind has it.
    unique_key text CHECK (length(unique_key) BETWEEN 1 AND 200),
    -- When it is due; while somebody works on it, when their lease ends. Always the time of this database.
    available_at timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(available_at)),
    -- Counts the claims: a result that comes with an older fence is refused.
    fence bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    -- Given up: a dead letter, until somebody replays it.
    died_at timestamptz,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_due ON jobs (organization_id, available_at, id) WHERE died_at IS NULL;
CREATE UNIQUE INDEX job_once ON jobs (organization_id, kind, unique_key) WHERE died_at IS NULL;
CREATE INDEX jobs_dead ON jobs (organization_id, died_at, id) WHERE died_at IS NOT NULL;
SELECT protect_tenant_table('jobs');

-- A lane whose provider is away: its jobs wait without using up attempts.
CREATE TABLE job_lanes (
    lane text PRIMARY KEY,
    paused_until timestamptz NOT NULL,
    -- Pauses in a row; the next one is longer.
    pauses integer NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON job_lanes TO event_planner_app;

-- Where this database lives. A restored copy finds itself elsewhere, and delivers nothing until an operator says so:
-- what the original has sent must not be sent again.
CREATE TABLE deliveries (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    home text NOT NULL
);
CREATE FUNCTION database_home() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
INSERT INTO deliveries (home) VALUES (database_home());
GRANT SELECT, UPDATE ON deliveries TO event_planner_app;
