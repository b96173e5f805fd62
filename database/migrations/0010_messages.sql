-- Documents in Drive, messages to people and channels, and reminders that follow their event's start.

CREATE TABLE documents (
    organization_id uuid NOT NULL REFERENCES organizations,
    -- Also the idempotency key towards Drive: one row is one file.
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('FOLDER', 'CONTRACT', 'MENU', 'FLOOR_PLAN', 'INVOICE', 'BRIEF', 'OTHER')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- What a document is made from; forgotten once Drive has it.
    content text,
    status text NOT NULL CHECK (status IN ('PENDING', 'READY', 'FAILED', 'TRASHED')),
    media_type text,
    size_bytes bigint CHECK (size_bytes >= 0),
    -- Drive's.
    file_id text,
    url text,
    failure text,
    -- Under which it was asked for, where that is not a request of its own: an upload, a step of an orchestration.
    effect_key text CHECK (length(effect_key) BETWEEN 1 AND 400),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT document_event FOREIGN KEY (organization_id, event_id) REFERENCES events,
    CONSTRAINT document_ready_is_somewhere CHECK (status <> 'READY' OR file_id IS NOT NULL)
);
-- The folder that an event's documents go into: one, however many are made at once.
CREATE UNIQUE INDEX event_folder ON documents (organization_id, event_id) WHERE kind = 'FOLDER' AND status <> 'TRASHED';
CREATE UNIQUE INDEX document_once_per_effect ON documents (organization_id, effect_key);
CREATE INDEX documents_event ON documents (organization_id, event_id, id);
CREATE INDEX documents_pending ON documents (updated_at) WHERE status = 'PENDING';
SELECT protect_tenant_table('documents');

CREATE TABLE message_templates (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    channel text NOT NULL CHECK (channel IN ('SLACK', 'SMS')),
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX message_template_name_once ON message_templates (organization_id, lower(name));
SELECT protect_tenant_table('message_templates');

CREATE TABLE reminders (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    -- Before the event's start: an ISO 8601 duration, whose days are calendar days in the event's zone.
    "offset" text NOT NULL CHECK (length("offset") BETWEEN 2 AND 40),
    -- At this wall time of that day, if not at that of the start.
    local_time text CHECK (local_time ~ '^\d\d:\d\d(:\d\d)?$'),
    -- About how long that is, to find those that may be due.
    offset_seconds bigint NOT NULL CHECK (offset_seconds >= 0),
    channel text NOT NULL CHECK (channel IN ('SLACK', 'SMS')),
    template_id uuid,
    text text CHECK (length(text) BETWEEN 1 AND 4000),
    recipients text[] NOT NULL,
    -- The start for which it was sent or skipped: another start makes it due again.
    handled_for timestamptz,
    -- Why nobody could be told for that start.
    failure text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT reminder_event FOREIGN KEY (organization_id, event_id) REFERENCES events ON DELETE CASCADE,
    CONSTRAINT reminder_template FOREIGN KEY (organization_id, template_id) REFERENCES message_templates,
    CONSTRAINT reminder_says_one_thing CHECK (num_nonnulls(template_id, text) = 1)
);
CREATE INDEX reminders_event ON reminders (organization_id, event_id, id);
SELECT protect_tenant_table('reminders');

-- The ledger: what was said to whom. A row is written before anything is sent, and there is one for each notice and
-- recipient, so nobody is told the same thing twice, whatever is repeated.
CREATE TABLE messages (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('SLACK', 'SMS')),
    -- A number in E.164, or a channel's name or id.
    recipient text NOT NULL CHECK (length(recipient) BETWEEN 1 AND 100),
    -- What it is a notice of: a version of a template, a reminder of one start, a request, a step of an orchestration.
    notice text NOT NULL CHECK (length(notice) BETWEEN 1 AND 400),
    template_id uuid,
    template_version bigint,
    reminder_id uuid,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 8000),
    status text NOT NULL CHECK (status IN ('QUEUED', 'SENT', 'DELIVERED', 'FAILED', 'SKIPPED')),
    failure text,
    -- Of one round a provider has one message at most; somebody who retries begins another.
    round integer NOT NULL DEFAULT 1,
    -- Of this round, if it may have come through; always the time of this database.
    first_attempt_at timestamptz,
    -- Twilio's id, or Slack's time stamp within `place`.
    provider_id text,
    place text,
    -- Not sent later than this.
    expires_at timestamptz,
    sent_at timestamptz,
    retracted_at timestamptz,
    -- When the provider was last asked how it fares.
    checked_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT message_event FOREIGN KEY (organization_id, event_id) REFERENCES events,
    CONSTRAINT message_template FOREIGN KEY (organization_id, template_id) REFERENCES message_templates ON DELETE SET NULL (template_id),
    CONSTRAINT message_reminder FOREIGN KEY (organization_id, reminder_id) REFERENCES reminders ON DELETE SET NULL (reminder_id),
    CONSTRAINT message_once_per_recipient UNIQUE (organization_id, event_id, channel, recipient, notice)
);
CREATE INDEX messages_of_provider ON messages (provider_id) WHERE channel = 'SMS';
CREATE INDEX messages_created ON messages (organization_id, created_at);
CREATE INDEX messages_unsettled ON messages (sent_at) WHERE channel = 'SMS' AND status = 'SENT';
SELECT protect_tenant_table('messages');

-- Numbers whose owner has answered STOP: they get no further SMS.
CREATE TABLE message_opt_outs (
    organization_id uuid NOT NULL REFERENCES organizations,
    number text NOT NULL CHECK (length(number) BETWEEN 8 AND 16),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, number)
);
SELECT protect_tenant_table('message_opt_outs');

CREATE VIEW reporting.messages WITH (security_invoker = true) AS
SELECT id, event_id, channel, template_id, template_version, reminder_id, status, sent_at, retracted_at, created_at, updated_at
FROM public.messages;
COMMENT ON VIEW reporting.messages IS 'Text messages and posts about events, one row for each recipient; neither numbers nor texts.';
COMMENT ON COLUMN reporting.messages.channel IS 'SMS or SLACK.';
COMMENT ON COLUMN reporting.messages.status IS 'QUEUED, SENT, DELIVERED, FAILED or SKIPPED (opted out, or too late).';
COMMENT ON COLUMN reporting.messages.retracted_at IS 'When a post was taken back.';
GRANT SELECT ON reporting.messages TO event_planner_reporting;
SELECT reporting.grant_columns();
