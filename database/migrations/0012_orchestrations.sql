-- Durable runs of several steps over agents, and the playbooks and agents that an organization adds to those shipped.

CREATE TABLE playbooks (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    -- How it is known; one with the name of a shipped playbook stands in its place.
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX playbook_name_once ON playbooks (organization_id, name);
SELECT protect_tenant_table('playbooks');

-- MCP servers that an organization has its steps done by.
CREATE TABLE agents (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    agent_type text NOT NULL CHECK (agent_type ~ '^[a-z][a-z0-9_-]{0,62}$'),
    description text NOT NULL CHECK (length(description) <= 1000),
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    -- Never shown.
    token bytea,
    -- The tools that steps may use; all of the server's when empty.
    tools text[] NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX agent_type_once ON agents (organization_id, agent_type);
SELECT protect_tenant_table('agents');

CREATE TABLE orchestrations (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    event_id uuid,
    -- Started because the event was booked, and undone when it is cancelled.
    is_booking_run boolean NOT NULL,
    playbook text NOT NULL CHECK (length(playbook) BETWEEN 1 AND 63),
    -- NULL for a shipped playbook and for steps that a language model proposed.
    playbook_version bigint,
    -- As it was when the run began; later changes of the playbook do not touch it.
    definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    description text NOT NULL CHECK (length(description) BETWEEN 1 AND 2000),
    -- What the description says: number of guests, city, month, date.
    facts jsonb NOT NULL CHECK (jsonb_typeof(facts) = 'object'),
    -- What whoever started it should know, such as a sidecar that is missing.
    notes text[] NOT NULL,
    priority text NOT NULL CHECK (priority IN ('LOW', 'NORMAL', 'HIGH')),
    status text NOT NULL CHECK (status IN ('QUEUED', 'RUNNING', 'WAITING', 'SUCCEEDED', 'FAILED', 'CANCELLING',
                                           'CANCELLED', 'COMPENSATION_FAILED')),
    -- NULL when we started it ourselves.
    requested_by uuid,
    estimated_duration_minutes integer NOT NULL CHECK (estimated_duration_minutes >= 0),
    estimated_tokens integer NOT NULL CHECK (estimated_tokens >= 0),
    -- Each change of the run or of one of its subtasks is a new version.
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT orchestration_event FOREIGN KEY (organization_id, event_id) REFERENCES events ON DELETE SET NULL (event_id)
);
-- Booked again after everything was undone, an event gets another run; at no time two.
CREATE UNIQUE INDEX orchestration_booking_run_once ON orchestrations (organization_id, event_id)
    WHERE is_booking_run AND status NOT IN ('CANCELLING', 'CANCELLED', 'COMPENSATION_FAILED');
CREATE INDEX orchestrations_event ON orchestrations (organization_id, event_id) WHERE event_id IS NOT NULL;
SELECT protect_tenant_table('orchestrations');

CREATE TABLE subtasks (
    organization_id uuid NOT NULL,
    -- Also the idempotency key of its effect, in every attempt.
    id uuid NOT NULL,
    orchestration_id uuid NOT NULL,
    -- Its place in the definition's steps, from 0.
    position smallint NOT NULL CHECK (position BETWEEN 0 AND 99),
    status text NOT NULL CHECK (status IN ('PENDING', 'READY', 'RUNNING', 'WAITING_APPROVAL', 'SUCCEEDED', 'FAILED', 'SKIPPED',
                                           'COMPENSATING', 'COMPENSATED', 'COMPENSATION_FAILED')),
    -- Of what it is at: the step, or undoing it.
    attempts integer NOT NULL DEFAULT 0,
    -- An attempt ended without telling whether it had its effect.
    is_uncertain boolean NOT NULL DEFAULT false,
    approved_by uuid,
    input jsonb,
    output jsonb,
    -- Why it was skipped, failed, or is tried again.
    error text CHECK (length(error) <= 1000),
    due_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    -- The version of the run in which it last changed.
    changed_in bigint NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT subtask_orchestration FOREIGN KEY (organization_id, orchestration_id) REFERENCES orchestrations ON DELETE CASCADE,
    CONSTRAINT subtask_once_per_position UNIQUE (organization_id, orchestration_id, position)
);
SELECT protect_tenant_table('subtasks');

-- Whether booking an event starts the playbook `booking`: AUTO where at least one sidecar that it needs is there.
ALTER TABLE organizations ADD COLUMN booking_run text NOT NULL DEFAULT 'AUTO' CHECK (booking_run IN ('AUTO', 'ON', 'OFF'));
