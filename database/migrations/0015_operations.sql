-- What operators watch and analysts ask of deliveries and runs.

-- Runs that are under way or wait for somebody: the workers count them every few seconds.
CREATE INDEX orchestrations_open ON orchestrations (status, updated_at) WHERE status NOT IN ('SUCCEEDED', 'CANCELLED');
CREATE INDEX webhook_endpoints_disabled ON webhook_endpoints (disabled_reason) WHERE disabled_reason IS NOT NULL;

CREATE VIEW reporting.webhook_deliveries WITH (security_invoker = true) AS
SELECT id, endpoint_id, event_type, status, attempts, last_status_code, last_reason, created_at, ended_at
FROM public.webhook_deliveries;
COMMENT ON VIEW reporting.webhook_deliveries IS 'Messages to webhook endpoints of the last 30 days, one row for each message and endpoint.';
COMMENT ON COLUMN reporting.webhook_deliveries.event_type IS 'What it tells of, e.g. event.published.';
COMMENT ON COLUMN reporting.webhook_deliveries.status IS 'PENDING, DELIVERED or FAILED (given up).';
COMMENT ON COLUMN reporting.webhook_deliveries.last_status_code IS 'What the endpoint answered last; null where it did not.';
COMMENT ON COLUMN reporting.webhook_deliveries.last_reason IS 'Why the last attempt failed: STATUS, UNREACHABLE or DISABLED.';
COMMENT ON COLUMN reporting.webhook_deliveries.ended_at IS 'When it was delivered or given up.';
GRANT SELECT ON reporting.webhook_deliveries TO event_planner_reporting;

CREATE VIEW reporting.orchestrations WITH (security_invoker = true) AS
SELECT id, event_id, is_booking_run, playbook, priority, status, requested_by, estimated_duration_minutes, estimated_tokens,
       created_at, updated_at, started_at, ended_at
FROM public.orchestrations;
COMMENT ON VIEW reporting.orchestrations IS 'Runs of several steps, such as what a booking sets off; neither descriptions nor steps.';
COMMENT ON COLUMN reporting.orchestrations.is_booking_run IS 'Started because the event was booked.';
COMMENT ON COLUMN reporting.orchestrations.status IS 'QUEUED, RUNNING, WAITING (for an approval), SUCCEEDED, FAILED, CANCELLING, CANCELLED or COMPENSATION_FAILED.';
COMMENT ON COLUMN reporting.orchestrations.requested_by IS 'The member who started it; null when it started by itself.';
GRANT SELECT ON reporting.orchestrations TO event_planner_reporting;
SELECT reporting.grant_columns();
