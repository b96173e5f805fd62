-- Things to do for an event, the checklists that they come from, and the event's place in a calendar.

-- An organization's own checklists. One with the key of a shipped checklist takes its place.
CREATE TABLE checklist_templates (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    key text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,49}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    -- [{"key", "title", "description", "days_before", "time"}, …]
    items jsonb NOT NULL CHECK (jsonb_typeof(items) = 'array'),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT checklist_template_once UNIQUE (organization_id, key)
);
SELECT protect_tenant_table('checklist_templates');

CREATE TABLE tasks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 10000),
    status text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'DONE', 'CANCELLED')),
    assignee_id uuid,
    -- Days before the event's local date, and the wall time of that day in the event's zone; neither where only `due_at` counts.
    days_before integer CHECK (days_before BETWEEN -366 AND 3660),
    due_time time,
    due_at timestamptz NOT NULL CHECK (isfinite(due_at)),
    -- What days_before asks for had passed already, so that it was made due on that day instead.
    is_late boolean NOT NULL DEFAULT false,
    -- The item of a checklist that it was made from.
    checklist text CHECK (length(checklist) BETWEEN 1 AND 50),
    checklist_item text CHECK (length(checklist_item) BETWEEN 1 AND 50),
    completed_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT task_event FOREIGN KEY (organization_id, event_id) REFERENCES events ON DELETE CASCADE,
    CONSTRAINT task_assignee FOREIGN KEY (organization_id, assignee_id) REFERENCES members ON DELETE SET NULL (assignee_id),
    CONSTRAINT task_due_day_with_time CHECK ((days_before IS NULL) = (due_time IS NULL)),
    CONSTRAINT task_checklist_with_item CHECK ((checklist IS NULL) = (checklist_item IS NULL)),
    CONSTRAINT task_done_at_a_time CHECK ((status = 'DONE') = (completed_at IS NOT NULL)),
    -- A checklist that is applied twice makes nothing twice.
    CONSTRAINT task_once_per_checklist_item UNIQUE (organization_id, event_id, checklist, checklist_item)
);
CREATE INDEX tasks_due ON tasks (organization_id, due_at, id);
CREATE INDEX tasks_event ON tasks (organization_id, event_id, due_at, id);
CREATE INDEX tasks_assignee ON tasks (organization_id, assignee_id) WHERE assignee_id IS NOT NULL;
SELECT protect_tenant_table('tasks');

-- A day counted from the event's, as the API shows it.
CREATE FUNCTION task_due(days_before integer, due_time time) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN days_before IS NOT NULL THEN jsonb_build_object('days_before', days_before, 'time', due_time) END
$$;

-- An event's place in the organization's calendar. Only jobs speak to the provider, one at a time for each event.
CREATE TABLE calendar_entries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'HELD', 'UPDATED', 'CANCELLED', 'FAILED', 'DRIFTED')),
    -- Whether it should stand in the calendar.
    is_wanted boolean NOT NULL,
    -- Counts the events made at the provider: one that is gone there is never used again.
    generation integer NOT NULL DEFAULT 1,
    -- The run that asked for it last, so that its repetition does not ask again.
    hold_key text CHECK (length(hold_key) <= 255),
    provider_event_id text,
    etag text,
    link text,
    -- What we wrote last, and what we are about to write: {title, starts_at, ends_at, location}. Anything else is somebody else's.
    written jsonb,
    intended jsonb,
    -- What stands there instead, and in which fields it differs.
    drift jsonb,
    -- The next job writes over what somebody else wrote.
    overwrites boolean NOT NULL DEFAULT false,
    error text,
    -- Counts what the jobs are asked for: one that has seen an older number looks again.
    asked bigint NOT NULL DEFAULT 1,
    synced_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT calendar_entry_event FOREIGN KEY (organization_id, event_id) REFERENCES events,
    CONSTRAINT calendar_entry_once UNIQUE (organization_id, event_id),
    CONSTRAINT calendar_entry_drift CHECK ((status = 'DRIFTED') = (drift IS NOT NULL))
);
CREATE UNIQUE INDEX calendar_entry_of_provider ON calendar_entries (organization_id, provider_event_id) WHERE provider_event_id IS NOT NULL;
SELECT protect_tenant_table('calendar_entries');

-- How far the changes of an organization's calendar have been read.
CREATE TABLE calendar_feeds (
    organization_id uuid PRIMARY KEY REFERENCES organizations,
    sync_token text NOT NULL,
    read_at timestamptz NOT NULL
);
SELECT protect_tenant_table('calendar_feeds');

CREATE VIEW reporting.tasks WITH (security_invoker = true) AS
SELECT id, event_id, title, status, assignee_id, days_before, due_at, is_late, checklist, checklist_item, completed_at,
       created_at, updated_at
FROM public.tasks;
COMMENT ON VIEW reporting.tasks IS 'Things to do for events (event_id).';
COMMENT ON COLUMN reporting.tasks.status IS 'OPEN, DONE or CANCELLED.';
COMMENT ON COLUMN reporting.tasks.assignee_id IS 'The member who does it.';
COMMENT ON COLUMN reporting.tasks.days_before IS 'Days before the event on which it is due; null where the date was given as such.';
COMMENT ON COLUMN reporting.tasks.is_late IS 'Its own day had passed when it was planned, so it was made due that day.';
COMMENT ON COLUMN reporting.tasks.checklist IS 'The checklist that it came from; checklist_item is which of its items.';
GRANT SELECT ON reporting.tasks TO event_planner_reporting;
SELECT reporting.grant_columns();
