-- What analysts and assistants may read: views without personal columns, for the role event_planner_reporting, whose
-- every right and limit is set here. Guests, tasks and messages join with the migrations that make them.

-- What a brief says in columns of their own: the brief itself has free text and stays out of reach.
ALTER TABLE plans
    ADD COLUMN number_of_guests integer GENERATED ALWAYS AS ((brief ->> 'number_of_guests')::integer) STORED,
    ADD COLUMN event_type text GENERATED ALWAYS AS (brief ->> 'event_type') STORED,
    ADD COLUMN city text GENERATED ALWAYS AS (brief -> 'location' ->> 'city') STORED;

CREATE SCHEMA reporting;
COMMENT ON SCHEMA reporting IS 'Views for analysis: the rows of one organization, without personal data.';
GRANT USAGE ON SCHEMA reporting TO event_planner_reporting;

-- As `Currency::minor_digits` of the API (ISO 4217); a test compares them.
CREATE FUNCTION reporting.major_units(amount numeric, currency text)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF')
            THEN amount
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN amount * 0.001
        ELSE amount * 0.01
    END
$$;
COMMENT ON FUNCTION reporting.major_units IS 'An amount of minor units (cents) in units of its currency (dollars), exact.';

CREATE VIEW reporting.venues WITH (security_invoker = true) AS
SELECT id, external_id, name, city, country, latitude, longitude, time_zone, capacity, has_event_room, amenities, rating,
       currency, hire_fee AS hire_fee_amount, hourly_rate AS hourly_rate_amount, event_room_fee AS event_room_fee_amount,
       catering_price_per_guest AS catering_price_per_guest_amount, tax_rate_bps, deposit_rate_bps,
       setup_minutes, teardown_minutes, outside_catering_allowed, catering_cuisines, catering_dietary_options,
       created_at, updated_at
FROM public.venues;
COMMENT ON VIEW reporting.venues IS 'Venues of the catalogue. Amounts are in minor units of currency.';
COMMENT ON COLUMN reporting.venues.external_id IS 'The id in the system that the venue was imported from.';
COMMENT ON COLUMN reporting.venues.rating IS '0 to 100; five stars are 100.';
COMMENT ON COLUMN reporting.venues.tax_rate_bps IS 'Basis points: 825 is 8.25 %.';
COMMENT ON COLUMN reporting.venues.deposit_rate_bps IS 'Basis points of the total, due on confirmation.';
COMMENT ON COLUMN reporting.venues.catering_price_per_guest_amount IS 'In-house catering; null where the venue has none.';

CREATE VIEW reporting.caterers WITH (security_invoker = true) AS
SELECT id, external_id, name, city, country, latitude, longitude, time_zone, delivery_radius_km, cuisines, dietary_options,
       rating, currency, price_per_guest AS price_per_guest_amount, minimum_order AS minimum_order_amount,
       delivery_fee AS delivery_fee_amount, service_fee_bps, tax_rate_bps, deposit_rate_bps, minimum_guests,
       maximum_guests, daily_capacity, created_at, updated_at
FROM public.caterers;
COMMENT ON VIEW reporting.caterers IS 'Caterers of the catalogue. Amounts are in minor units of currency.';
COMMENT ON COLUMN reporting.caterers.external_id IS 'The id in the system that the caterer was imported from.';
COMMENT ON COLUMN reporting.caterers.rating IS '0 to 100; five stars are 100.';
COMMENT ON COLUMN reporting.caterers.daily_capacity IS 'How many events it can serve on one day.';

CREATE VIEW reporting.events WITH (security_invoker = true) AS
SELECT id, title, event_type, status, local_start, time_zone, starts_at, ends_at, duration_minutes, capacity,
       budget_amount, budget_currency, reporting.major_units(budget_amount, budget_currency) AS budget,
       created_at, updated_at
FROM public.events;
COMMENT ON VIEW reporting.events IS 'Events. Their bookings and money are in bookings, event_budgets and payments (event_id).';
COMMENT ON COLUMN reporting.events.event_type IS 'OFFSITE, CONFERENCE, WEDDING, MEETUP, LAUNCH, DINNER or OTHER.';
COMMENT ON COLUMN reporting.events.status IS 'DRAFT, PLANNED, PUBLISHED, COMPLETED or CANCELLED.';
COMMENT ON COLUMN reporting.events.local_start IS 'Wall time of the start in time_zone; starts_at is the same as an instant.';
COMMENT ON COLUMN reporting.events.capacity IS 'The most guests it is planned for.';
COMMENT ON COLUMN reporting.events.budget_amount IS 'Minor units of budget_currency (cents).';
COMMENT ON COLUMN reporting.events.budget IS 'The same in units of budget_currency (dollars).';

CREATE VIEW reporting.bookings WITH (security_invoker = true) AS
SELECT id, event_id, CASE WHEN venue_id IS NULL THEN 'CATERER' ELSE 'VENUE' END AS kind, venue_id, caterer_id, plan_id,
       status, number_of_guests, starts_at, ends_at, occupied_from, occupied_until, service_date, currency,
       total_amount, reporting.major_units(total_amount, currency) AS total,
       deposit_amount, reporting.major_units(deposit_amount, currency) AS deposit,
       expires_at, confirmed_at, cancelled_at, cancellation_reason,
       cancellation_fee_amount, reporting.major_units(cancellation_fee_amount, currency) AS cancellation_fee,
       created_at, updated_at
FROM public.bookings;
COMMENT ON VIEW reporting.bookings IS 'Bookings of venues and caterers for events: one row for each thing booked.';
COMMENT ON COLUMN reporting.bookings.kind IS 'VENUE or CATERER: which of venue_id and caterer_id is set.';
COMMENT ON COLUMN reporting.bookings.status IS 'HELD until expires_at, CONFIRMED or CANCELLED.';
COMMENT ON COLUMN reporting.bookings.occupied_from IS 'starts_at less the time for setting up.';
COMMENT ON COLUMN reporting.bookings.occupied_until IS 'ends_at and the time for clearing away.';
COMMENT ON COLUMN reporting.bookings.service_date IS 'The local day of the event.';
COMMENT ON COLUMN reporting.bookings.total_amount IS 'Minor units of currency (cents).';
COMMENT ON COLUMN reporting.bookings.total IS 'The same in units of currency (dollars).';
COMMENT ON COLUMN reporting.bookings.cancellation_reason IS 'REQUESTED, EXPIRED or EVENT_CANCELLED.';
COMMENT ON COLUMN reporting.bookings.cancellation_fee_amount IS 'What a cancelled booking still costs, in minor units.';

CREATE VIEW reporting.payments WITH (security_invoker = true) AS
SELECT p.id, p.booking_id, b.event_id, p.kind, p.method, p.currency, p.amount,
       reporting.major_units(p.amount, p.currency) AS paid, p.received_at, p.created_at
FROM public.payments p
JOIN public.bookings b ON b.organization_id = p.organization_id AND b.id = p.booking_id;
COMMENT ON VIEW reporting.payments IS 'Money that came in or, where kind is REFUND, went back.';
COMMENT ON COLUMN reporting.payments.kind IS 'DEPOSIT, BALANCE or REFUND.';
COMMENT ON COLUMN reporting.payments.amount IS 'Minor units of currency (cents), positive also for a refund.';
COMMENT ON COLUMN reporting.payments.paid IS 'The same in units of currency (dollars).';

-- The same sums as the API's GET /v1/events/{id}/budget; a test compares them.
CREATE VIEW reporting.event_budgets WITH (security_invoker = true) AS
WITH sums AS (
    SELECT b.organization_id, b.event_id, b.currency,
           COALESCE(sum(b.total_amount) FILTER (WHERE b.status = 'HELD'), 0)::bigint AS held,
           COALESCE(sum(b.total_amount) FILTER (WHERE b.status = 'CONFIRMED'), 0)::bigint AS confirmed,
           COALESCE(sum(b.cancellation_fee_amount) FILTER (WHERE b.status = 'CANCELLED'), 0)::bigint AS fees,
           COALESCE(sum(p.paid), 0)::bigint AS paid
    FROM public.bookings b
    LEFT JOIN LATERAL (
        SELECT sum(CASE WHEN kind = 'REFUND' THEN -amount ELSE amount END) AS paid FROM public.payments
        WHERE organization_id = b.organization_id AND booking_id = b.id) p ON true
    GROUP BY 1, 2, 3
), planned AS (
    SELECT organization_id, id AS event_id, budget_currency AS currency, budget_amount AS planned
    FROM public.events WHERE budget_amount IS NOT NULL
), merged AS (
    SELECT event_id, currency, planned, COALESCE(held, 0) AS held, COALESCE(confirmed, 0) AS confirmed,
           COALESCE(fees, 0) AS fees, COALESCE(confirmed + fees, 0) AS committed, COALESCE(paid, 0) AS paid
    FROM planned FULL JOIN sums USING (organization_id, event_id, currency)
)
SELECT event_id, currency,
       planned AS planned_amount, reporting.major_units(planned, currency) AS planned,
       held AS held_amount, reporting.major_units(held, currency) AS held,
       confirmed AS confirmed_amount, reporting.major_units(confirmed, currency) AS confirmed,
       fees AS cancellation_fees_amount, reporting.major_units(fees, currency) AS cancellation_fees,
       committed AS committed_amount, reporting.major_units(committed, currency) AS committed,
       paid AS paid_amount, reporting.major_units(paid, currency) AS paid,
       planned - held - committed AS available_amount, reporting.major_units(planned - held - committed, currency) AS available
FROM merged;
COMMENT ON VIEW reporting.event_budgets IS 'The money of each event, one row for each currency; currencies are never added up. Each …_amount is in minor units (cents), its neighbour in units (dollars).';
COMMENT ON COLUMN reporting.event_budgets.planned IS 'The budget of the event; null where it has none in this currency.';
COMMENT ON COLUMN reporting.event_budgets.held IS 'Total of the bookings that are held.';
COMMENT ON COLUMN reporting.event_budgets.confirmed IS 'Total of the bookings that are confirmed.';
COMMENT ON COLUMN reporting.event_budgets.cancellation_fees IS 'Fees of the bookings that were cancelled.';
COMMENT ON COLUMN reporting.event_budgets.committed IS 'confirmed and cancellation_fees.';
COMMENT ON COLUMN reporting.event_budgets.paid IS 'Deposits and balances less refunds.';
COMMENT ON COLUMN reporting.event_budgets.available IS 'planned less held and committed; negative where they exceed it.';

CREATE VIEW reporting.plans WITH (security_invoker = true) AS
SELECT id, number_of_guests, event_type, city, created_at, expires_at FROM public.plans;
COMMENT ON VIEW reporting.plans IS 'Searches for a venue with catering; what they found is in plan_options (plan_id).';
COMMENT ON COLUMN reporting.plans.city IS 'The city that was asked for; null where the search was round a point.';

CREATE VIEW reporting.plan_options WITH (security_invoker = true) AS
WITH options AS (
    SELECT plan_id, rank, option, option -> 'total' ->> 'currency' AS currency,
           (option -> 'total' ->> 'amount')::bigint AS total, (option -> 'per_guest' ->> 'amount')::bigint AS per_guest
    FROM public.plan_options
)
SELECT plan_id, rank, (option ->> 'score')::integer AS score, (option ->> 'date')::date AS date,
       (option -> 'venue' ->> 'id')::uuid AS venue_id, (option -> 'catering' ->> 'caterer_id')::uuid AS caterer_id,
       (option ->> 'within_budget')::boolean AS within_budget, currency,
       total AS total_amount, reporting.major_units(total, currency) AS total,
       per_guest AS per_guest_amount, reporting.major_units(per_guest, currency) AS per_guest
FROM options;
COMMENT ON VIEW reporting.plan_options IS 'What a plan offered, best rank first, at the prices of that time.';
COMMENT ON COLUMN reporting.plan_options.score IS '0 to 10,000.';
COMMENT ON COLUMN reporting.plan_options.date IS 'Local day of the event.';
COMMENT ON COLUMN reporting.plan_options.caterer_id IS 'Null where the venue caters itself.';
COMMENT ON COLUMN reporting.plan_options.total_amount IS 'Minor units of currency (cents).';
COMMENT ON COLUMN reporting.plan_options.total IS 'The same in units of currency (dollars).';

GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO event_planner_reporting;

-- The views ask with the rights of who asks, so the role needs the columns under them, and no others; row-level security
-- holds for it. Read from the views, so that the two lists cannot differ.
CREATE FUNCTION reporting.grant_columns() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    used record;
BEGIN
    FOR used IN
        SELECT d.refobjid::regclass AS source, string_agg(DISTINCT quote_ident(a.attname), ', ') AS columns
        FROM pg_class v
        JOIN pg_rewrite r ON r.ev_class = v.oid
        JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attnum > 0
        WHERE v.relnamespace = 'reporting'::regnamespace AND v.relkind = 'v' AND d.refobjid <> v.oid
        GROUP BY d.refobjid
    LOOP
        EXECUTE format('GRANT SELECT (%s) ON %s TO event_planner_reporting', used.columns, used.source);
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION reporting.grant_columns() FROM PUBLIC;
COMMENT ON FUNCTION reporting.grant_columns IS 'For migrations: run it after a new view.';
SELECT reporting.grant_columns();

-- Nobody but the API names the tables themselves.
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- The role's limits, in this database. Where the owner may not set one, the others hold, and the sidecar sets all but
-- temp_file_limit for its sessions anyway.
DO $$
DECLARE
    setting text;
BEGIN
    FOREACH setting IN ARRAY ARRAY[
        'default_transaction_read_only = on', 'statement_timeout = ''2s''', 'lock_timeout = ''500ms''',
        'idle_in_transaction_session_timeout = ''5s''', 'search_path = reporting, pg_catalog',
        'max_parallel_workers_per_gather = 0', 'work_mem = ''8MB''', 'jit = off', 'temp_file_limit = ''64MB''']
    LOOP
        BEGIN
            EXECUTE format('ALTER ROLE event_planner_reporting IN DATABASE %I SET %s', current_database(), setting);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'event_planner_reporting: not allowed to set %; a superuser should', setting;
        END;
    END LOOP;
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO event_planner_app', current_database());
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'only the owner of the database can keep event_planner_reporting from making temporary tables';
END
$$;

-- Functions with effects, and views of other sessions, roles and settings, are for everybody in a new Postgres: an
-- effect needs no more than a SELECT there. Here they are for the API, the owner and monitoring only.
DO $$
DECLARE
    -- Volatile, and yet without effect.
    harmless CONSTANT text[] := ARRAY['clock_timestamp', 'gen_random_uuid', 'pg_is_in_recovery', 'random', 'random_normal',
        'timeofday', 'uuidv4', 'uuidv7'];
    thing regprocedure;
    shown regclass;
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE NOTICE 'only a superuser can take functions such as set_config from everybody: the sidecar will refuse several organizations';
        RETURN;
    END IF;
    FOR thing IN
        SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proname = ANY (harmless)
          AND (p.provolatile = 'v' OR p.proname ~ '(_to_xml|_to_xmlschema|_to_xml_and_xmlschema)$'
               OR p.proname ~ '^(txid_|pg_stat_get_|pg_current_(xact|snapshot)|inet_(client|server)_|pg_show_all_settings$|pg_cursor$|pg_prepared_statement$|pg_relation_file|pg_tablespace_)')
          AND EXISTS (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', thing);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO event_planner_app, pg_monitor, %I', thing, current_user);
    END LOOP;
    FOR shown IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'pg_catalog'::regnamespace
          AND (c.relkind = 'v' AND c.relname !~ '^pg_(tables|views|matviews|indexes|rules|policies|timezone_|available_)'
               OR c.relname IN ('pg_db_role_setting', 'pg_largeobject_metadata', 'pg_replication_origin'))
          AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', shown);
        EXECUTE format('GRANT SELECT ON %s TO event_planner_app, pg_monitor, %I', shown, current_user);
    END LOOP;
END
$$;
