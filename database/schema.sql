-- Made from a migrated database by the test `the_committed_schema_is_current`; read this first.
-- To make it anew: UPDATE_EXPECT=1 cargo xtask test the_committed_schema_is_current

TABLE agents (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    agent_type text NOT NULL,
    description text NOT NULL,
    url text NOT NULL,
    token bytea,
    tools text[] NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key_id text,
    CONSTRAINT agents_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT agents_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT agents_agent_type_check CHECK ((agent_type ~ '^[a-z][a-z0-9_-]{0,62}$'::text)),
    CONSTRAINT agents_description_check CHECK ((length(description) <= 1000)),
    CONSTRAINT agents_url_check CHECK (((length(url) >= 1) AND (length(url) <= 2000))),
);
CREATE INDEX agents_key ON public.agents USING btree (key_id) WHERE (token IS NOT NULL);
CREATE UNIQUE INDEX agent_type_once ON public.agents USING btree (organization_id, agent_type);
CREATE POLICY application ON agents TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON agents USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE api_keys (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    hint text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT api_keys_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT api_key_owner FOREIGN KEY (organization_id, member_id) REFERENCES members(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT api_keys_expires_at_check CHECK (isfinite(expires_at)),
    CONSTRAINT api_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT api_keys_token_hash_check CHECK ((length(token_hash) = 32)),
);
CREATE INDEX api_keys_member ON public.api_keys USING btree (organization_id, member_id);
CREATE UNIQUE INDEX api_key_token_once ON public.api_keys USING btree (token_hash);
CREATE POLICY application ON api_keys TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON api_keys USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE audit_entries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    member_id uuid,
    action text NOT NULL,
    subject_type text NOT NULL,
    subject_id uuid NOT NULL,
    before jsonb,
    after jsonb,
    request_id text,
    CONSTRAINT audit_entries_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT audit_entries_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT audit_entries_actor_kind_check CHECK ((actor_kind = ANY (ARRAY['API_KEY'::text, 'SERVICE'::text, 'SYSTEM'::text]))),
);
CREATE INDEX audit_entries_subject ON public.audit_entries USING btree (organization_id, subject_id, id);
CREATE POLICY application ON audit_entries TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON audit_entries USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE blocked_dates (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    venue_id uuid,
    caterer_id uuid,
    from_date date NOT NULL,
    to_date date NOT NULL,
    reason text NOT NULL DEFAULT ''::text,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT blocked_dates_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT blocked_date_caterer FOREIGN KEY (organization_id, caterer_id) REFERENCES caterers(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT blocked_date_venue FOREIGN KEY (organization_id, venue_id) REFERENCES venues(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT blocked_date_of_one_thing CHECK ((num_nonnulls(venue_id, caterer_id) = 1)),
    CONSTRAINT blocked_date_range CHECK ((from_date <= to_date)),
    CONSTRAINT blocked_dates_from_date_check CHECK (isfinite(from_date)),
    CONSTRAINT blocked_dates_reason_check CHECK ((length(reason) <= 500)),
    CONSTRAINT blocked_dates_to_date_check CHECK (isfinite(to_date)),
);
CREATE INDEX blocked_dates_caterer ON public.blocked_dates USING btree (organization_id, caterer_id, from_date) WHERE (caterer_id IS NOT NULL);
CREATE INDEX blocked_dates_venue ON public.blocked_dates USING btree (organization_id, venue_id, from_date) WHERE (venue_id IS NOT NULL);
CREATE TRIGGER catalogue_delete AFTER DELETE ON public.blocked_dates REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE TRIGGER catalogue_insert AFTER INSERT ON public.blocked_dates REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE TRIGGER catalogue_update AFTER UPDATE ON public.blocked_dates REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE POLICY application ON blocked_dates TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON blocked_dates USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE bookings (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    venue_id uuid,
    caterer_id uuid,
    plan_id uuid,
    status text NOT NULL,
    number_of_guests integer NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    occupied_from timestamp with time zone NOT NULL,
    occupied_until timestamp with time zone NOT NULL,
    service_date date NOT NULL,
    slot smallint,
    currency text NOT NULL,
    total_amount bigint NOT NULL,
    deposit_amount bigint NOT NULL,
    lines jsonb NOT NULL,
    cancellation_terms jsonb NOT NULL,
    expires_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    cancellation_reason text,
    cancellation_fee_amount bigint,
    availability_version bigint NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT bookings_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT booking_caterer FOREIGN KEY (organization_id, caterer_id) REFERENCES caterers(organization_id, id),
    CONSTRAINT booking_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id),
    CONSTRAINT booking_venue FOREIGN KEY (organization_id, venue_id) REFERENCES venues(organization_id, id),
    CONSTRAINT booking_venue_once_per_time EXCLUDE USING gist (organization_id WITH =, venue_id WITH =, tstzrange(occupied_from, occupied_until) WITH &&) WHERE (((venue_id IS NOT NULL) AND (status <> 'CANCELLED'::text))),
    CONSTRAINT booking_cancelled_for_a_reason CHECK (((status = 'CANCELLED'::text) = ((cancelled_at IS NOT NULL) AND (cancellation_reason IS NOT NULL)))),
    CONSTRAINT booking_hold_expires CHECK (((status = 'HELD'::text) = (expires_at IS NOT NULL))),
    CONSTRAINT booking_of_one_thing CHECK ((num_nonnulls(venue_id, caterer_id) = 1)),
    CONSTRAINT booking_slot_of_caterer CHECK (((slot IS NULL) = (caterer_id IS NULL))),
    CONSTRAINT booking_times CHECK (((occupied_from <= starts_at) AND (starts_at < ends_at) AND (ends_at <= occupied_until))),
    CONSTRAINT bookings_cancellation_reason_check CHECK ((cancellation_reason = ANY (ARRAY['REQUESTED'::text, 'EXPIRED'::text, 'EVENT_CANCELLED'::text]))),
    CONSTRAINT bookings_check CHECK (((deposit_amount >= 0) AND (deposit_amount <= total_amount))),
    CONSTRAINT bookings_check1 CHECK (((cancellation_fee_amount >= 0) AND (cancellation_fee_amount <= total_amount))),
    CONSTRAINT bookings_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT bookings_ends_at_check CHECK (isfinite(ends_at)),
    CONSTRAINT bookings_lines_check CHECK ((jsonb_typeof(lines) = 'array'::text)),
    CONSTRAINT bookings_number_of_guests_check CHECK (((number_of_guests >= 1) AND (number_of_guests <= 100000))),
    CONSTRAINT bookings_occupied_from_check CHECK (isfinite(occupied_from)),
    CONSTRAINT bookings_occupied_until_check CHECK (isfinite(occupied_until)),
    CONSTRAINT bookings_service_date_check CHECK (isfinite(service_date)),
    CONSTRAINT bookings_slot_check CHECK ((slot >= 1)),
    CONSTRAINT bookings_starts_at_check CHECK (isfinite(starts_at)),
    CONSTRAINT bookings_status_check CHECK ((status = ANY (ARRAY['HELD'::text, 'CONFIRMED'::text, 'CANCELLED'::text]))),
    CONSTRAINT bookings_total_amount_check CHECK ((total_amount >= 0)),
);
CREATE INDEX bookings_availability ON public.bookings USING btree (organization_id, availability_version);
CREATE INDEX bookings_event ON public.bookings USING btree (organization_id, event_id);
CREATE INDEX bookings_expiring ON public.bookings USING btree (expires_at) WHERE (status = 'HELD'::text);
CREATE INDEX bookings_venue ON public.bookings USING btree (organization_id, venue_id) WHERE (venue_id IS NOT NULL);
CREATE UNIQUE INDEX booking_caterer_slot_once_per_day ON public.bookings USING btree (organization_id, caterer_id, service_date, slot) WHERE ((caterer_id IS NOT NULL) AND (status <> 'CANCELLED'::text));
CREATE POLICY application ON bookings TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON bookings USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE calendar_entries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    status text NOT NULL,
    is_wanted boolean NOT NULL,
    generation integer NOT NULL DEFAULT 1,
    hold_key text,
    provider_event_id text,
    etag text,
    link text,
    written jsonb,
    intended jsonb,
    drift jsonb,
    overwrites boolean NOT NULL DEFAULT false,
    error text,
    asked bigint NOT NULL DEFAULT 1,
    synced_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT calendar_entries_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT calendar_entry_once UNIQUE (organization_id, event_id),
    CONSTRAINT calendar_entry_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id),
    CONSTRAINT calendar_entries_hold_key_check CHECK ((length(hold_key) <= 255)),
    CONSTRAINT calendar_entries_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'HELD'::text, 'UPDATED'::text, 'CANCELLED'::text, 'FAILED'::text, 'DRIFTED'::text]))),
    CONSTRAINT calendar_entry_drift CHECK (((status = 'DRIFTED'::text) = (drift IS NOT NULL))),
);
CREATE UNIQUE INDEX calendar_entry_of_provider ON public.calendar_entries USING btree (organization_id, provider_event_id) WHERE (provider_event_id IS NOT NULL);
CREATE POLICY application ON calendar_entries TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON calendar_entries USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE calendar_feeds (
    organization_id uuid NOT NULL,
    sync_token text NOT NULL,
    read_at timestamp with time zone NOT NULL,
    CONSTRAINT calendar_feeds_pkey PRIMARY KEY (organization_id),
    CONSTRAINT calendar_feeds_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
);
CREATE POLICY application ON calendar_feeds TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON calendar_feeds USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE caterers (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    external_id text,
    name text NOT NULL,
    description text NOT NULL DEFAULT ''::text,
    city text NOT NULL,
    country text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    time_zone text NOT NULL,
    delivery_radius_km integer NOT NULL,
    cuisines text[] NOT NULL,
    dietary_options text[] NOT NULL,
    rating smallint NOT NULL,
    currency text NOT NULL,
    price_per_guest bigint NOT NULL,
    minimum_order bigint NOT NULL,
    delivery_fee bigint NOT NULL,
    service_fee_bps integer NOT NULL,
    tax_rate_bps integer NOT NULL,
    deposit_rate_bps integer NOT NULL,
    minimum_guests integer NOT NULL,
    maximum_guests integer NOT NULL,
    daily_capacity smallint NOT NULL,
    cancellation_terms jsonb NOT NULL,
    city_key text NOT NULL,
    search_text text NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, search_text)) STORED,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT caterers_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT caterer_external_id_once UNIQUE (organization_id, external_id),
    CONSTRAINT caterers_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT caterer_guest_range CHECK ((minimum_guests <= maximum_guests)),
    CONSTRAINT caterers_cancellation_terms_check CHECK ((jsonb_typeof(cancellation_terms) = 'array'::text)),
    CONSTRAINT caterers_city_check CHECK (((length(city) >= 1) AND (length(city) <= 100))),
    CONSTRAINT caterers_country_check CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT caterers_cuisines_check CHECK ((cardinality(cuisines) > 0)),
    CONSTRAINT caterers_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT caterers_daily_capacity_check CHECK (((daily_capacity >= 1) AND (daily_capacity <= 100))),
    CONSTRAINT caterers_delivery_fee_check CHECK ((delivery_fee >= 0)),
    CONSTRAINT caterers_delivery_radius_km_check CHECK (((delivery_radius_km >= 0) AND (delivery_radius_km <= 1000))),
    CONSTRAINT caterers_deposit_rate_bps_check CHECK (((deposit_rate_bps >= 0) AND (deposit_rate_bps <= 10000))),
    CONSTRAINT caterers_description_check CHECK ((length(description) <= 5000)),
    CONSTRAINT caterers_external_id_check CHECK (((length(external_id) >= 1) AND (length(external_id) <= 100))),
    CONSTRAINT caterers_latitude_check CHECK (((latitude >= ('-90'::integer)::double precision) AND (latitude <= (90)::double precision))),
    CONSTRAINT caterers_longitude_check CHECK (((longitude >= ('-180'::integer)::double precision) AND (longitude <= (180)::double precision))),
    CONSTRAINT caterers_maximum_guests_check CHECK (((maximum_guests >= 1) AND (maximum_guests <= 100000))),
    CONSTRAINT caterers_minimum_guests_check CHECK ((minimum_guests >= 1)),
    CONSTRAINT caterers_minimum_order_check CHECK ((minimum_order >= 0)),
    CONSTRAINT caterers_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT caterers_price_per_guest_check CHECK ((price_per_guest >= 0)),
    CONSTRAINT caterers_rating_check CHECK (((rating >= 0) AND (rating <= 100))),
    CONSTRAINT caterers_service_fee_bps_check CHECK (((service_fee_bps >= 0) AND (service_fee_bps <= 10000))),
    CONSTRAINT caterers_tax_rate_bps_check CHECK (((tax_rate_bps >= 0) AND (tax_rate_bps <= 10000))),
);
CREATE INDEX caterers_city ON public.caterers USING btree (organization_id, city_key);
CREATE INDEX caterers_search ON public.caterers USING gin (search);
CREATE TRIGGER catalogue_delete AFTER DELETE ON public.caterers REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE TRIGGER catalogue_insert AFTER INSERT ON public.caterers REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE TRIGGER catalogue_update AFTER UPDATE ON public.caterers REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE POLICY application ON caterers TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON caterers USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE changes (
    organization_id uuid NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id uuid NOT NULL,
    event_type text NOT NULL,
    subject_id uuid NOT NULL,
    version bigint,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (organization_id, transaction_id, id),
    CONSTRAINT changes_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
);
CREATE INDEX changes_age ON public.changes USING btree (changed_at);
CREATE POLICY application ON changes TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON changes USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE checklist_templates (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    key text NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT ''::text,
    items jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT checklist_templates_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT checklist_template_once UNIQUE (organization_id, key),
    CONSTRAINT checklist_templates_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT checklist_templates_description_check CHECK ((length(description) <= 2000)),
    CONSTRAINT checklist_templates_items_check CHECK ((jsonb_typeof(items) = 'array'::text)),
    CONSTRAINT checklist_templates_key_check CHECK ((key ~ '^[a-z][a-z0-9_]{0,49}$'::text)),
    CONSTRAINT checklist_templates_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
);
CREATE POLICY application ON checklist_templates TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON checklist_templates USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE deliveries (
    is_only_row boolean NOT NULL DEFAULT true,
    home text NOT NULL,
    CONSTRAINT deliveries_pkey PRIMARY KEY (is_only_row),
    CONSTRAINT deliveries_is_only_row_check CHECK (is_only_row),
);

TABLE documents (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    content text,
    status text NOT NULL,
    media_type text,
    size_bytes bigint,
    file_id text,
    url text,
    failure text,
    effect_key text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT documents_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT document_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id),
    CONSTRAINT documents_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT document_ready_is_somewhere CHECK (((status <> 'READY'::text) OR (file_id IS NOT NULL))),
    CONSTRAINT documents_effect_key_check CHECK (((length(effect_key) >= 1) AND (length(effect_key) <= 400))),
    CONSTRAINT documents_kind_check CHECK ((kind = ANY (ARRAY['FOLDER'::text, 'CONTRACT'::text, 'MENU'::text, 'FLOOR_PLAN'::text, 'INVOICE'::text, 'BRIEF'::text, 'OTHER'::text]))),
    CONSTRAINT documents_name_check CHECK (((length(name) >= 1) AND (length(name) <= 255))),
    CONSTRAINT documents_size_bytes_check CHECK ((size_bytes >= 0)),
    CONSTRAINT documents_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'READY'::text, 'FAILED'::text, 'TRASHED'::text]))),
);
CREATE INDEX documents_event ON public.documents USING btree (organization_id, event_id, id);
CREATE INDEX documents_pending ON public.documents USING btree (updated_at) WHERE (status = 'PENDING'::text);
CREATE UNIQUE INDEX document_once_per_effect ON public.documents USING btree (organization_id, effect_key);
CREATE UNIQUE INDEX event_folder ON public.documents USING btree (organization_id, event_id) WHERE ((kind = 'FOLDER'::text) AND (status <> 'TRASHED'::text));
CREATE POLICY application ON documents TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON documents USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE events (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    title text NOT NULL,
    event_type text NOT NULL,
    status text NOT NULL,
    local_start timestamp without time zone NOT NULL,
    time_zone text NOT NULL,
    fold text NOT NULL,
    duration_minutes integer NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    capacity integer,
    budget_amount bigint,
    budget_currency text,
    contact_name text,
    contact_email text,
    contact_phone text,
    notes text NOT NULL DEFAULT ''::text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT events_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT event_budget_with_currency CHECK (((budget_amount IS NULL) = (budget_currency IS NULL))),
    CONSTRAINT event_ends_after_start CHECK ((ends_at > starts_at)),
    CONSTRAINT events_budget_amount_check CHECK ((budget_amount >= 0)),
    CONSTRAINT events_budget_currency_check CHECK ((budget_currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT events_capacity_check CHECK (((capacity >= 1) AND (capacity <= 100000))),
    CONSTRAINT events_contact_email_check CHECK ((length(contact_email) <= 320)),
    CONSTRAINT events_contact_name_check CHECK ((length(contact_name) <= 200)),
    CONSTRAINT events_contact_phone_check CHECK ((length(contact_phone) <= 30)),
    CONSTRAINT events_duration_minutes_check CHECK (((duration_minutes >= 15) AND (duration_minutes <= 44640))),
    CONSTRAINT events_ends_at_check CHECK (isfinite(ends_at)),
    CONSTRAINT events_event_type_check CHECK ((event_type = ANY (ARRAY['OFFSITE'::text, 'CONFERENCE'::text, 'WEDDING'::text, 'MEETUP'::text, 'LAUNCH'::text, 'DINNER'::text, 'OTHER'::text]))),
    CONSTRAINT events_fold_check CHECK ((fold = ANY (ARRAY['EARLIER'::text, 'LATER'::text]))),
    CONSTRAINT events_local_start_check CHECK (isfinite(local_start)),
    CONSTRAINT events_notes_check CHECK ((length(notes) <= 10000)),
    CONSTRAINT events_starts_at_check CHECK (isfinite(starts_at)),
    CONSTRAINT events_status_check CHECK ((status = ANY (ARRAY['DRAFT'::text, 'PLANNED'::text, 'PUBLISHED'::text, 'COMPLETED'::text, 'CANCELLED'::text]))),
    CONSTRAINT events_title_check CHECK (((length(title) >= 1) AND (length(title) <= 200))),
);
CREATE INDEX events_start ON public.events USING btree (organization_id, starts_at, id);
CREATE POLICY application ON events TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON events USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE idempotency_keys (
    organization_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_key_once PRIMARY KEY (organization_id, key),
    CONSTRAINT idempotency_keys_fingerprint_check CHECK ((length(fingerprint) = 32)),
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255))),
);
CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);
CREATE POLICY application ON idempotency_keys TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON idempotency_keys USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE integration_attempts (
    organization_id uuid NOT NULL,
    state_hash bytea NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL,
    member_id uuid NOT NULL,
    api_key_id uuid,
    browser_hash bytea,
    redirect_uri text NOT NULL,
    key_id text NOT NULL,
    code_verifier bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT integration_attempts_pkey PRIMARY KEY (organization_id, state_hash),
    CONSTRAINT integration_attempts_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT integration_attempts_organization_id_member_id_fkey FOREIGN KEY (organization_id, member_id) REFERENCES members(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT integration_attempts_browser_hash_check CHECK ((length(browser_hash) = 32)),
    CONSTRAINT integration_attempts_expires_at_check CHECK (isfinite(expires_at)),
    CONSTRAINT integration_attempts_provider_check CHECK ((provider = ANY (ARRAY['google'::text, 'slack'::text, 'linear'::text]))),
    CONSTRAINT integration_attempts_state_hash_check CHECK ((length(state_hash) = 32)),
);
CREATE POLICY application ON integration_attempts TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON integration_attempts USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE integration_revocations (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL,
    key_id text NOT NULL,
    access_token bytea NOT NULL,
    refresh_token bytea,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT integration_revocations_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT integration_revocations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT integration_revocations_provider_check CHECK ((provider = ANY (ARRAY['google'::text, 'slack'::text, 'linear'::text]))),
);
CREATE INDEX integration_revocations_key ON public.integration_revocations USING btree (key_id);
CREATE POLICY application ON integration_revocations TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON integration_revocations USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE integrations (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL,
    status text NOT NULL DEFAULT 'CONNECTED'::text,
    account_id text NOT NULL,
    account_name text NOT NULL,
    scopes text[] NOT NULL,
    key_id text NOT NULL,
    access_token bytea NOT NULL,
    refresh_token bytea,
    expires_at timestamp with time zone,
    connected_by uuid,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT integrations_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT integration_once_per_provider UNIQUE (organization_id, provider),
    CONSTRAINT integrations_organization_id_connected_by_fkey FOREIGN KEY (organization_id, connected_by) REFERENCES members(organization_id, id) ON DELETE SET NULL (connected_by),
    CONSTRAINT integrations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT integrations_account_id_check CHECK (((length(account_id) >= 1) AND (length(account_id) <= 200))),
    CONSTRAINT integrations_account_name_check CHECK (((length(account_name) >= 1) AND (length(account_name) <= 320))),
    CONSTRAINT integrations_expires_at_check CHECK (isfinite(expires_at)),
    CONSTRAINT integrations_provider_check CHECK ((provider = ANY (ARRAY['google'::text, 'slack'::text, 'linear'::text]))),
    CONSTRAINT integrations_status_check CHECK ((status = ANY (ARRAY['CONNECTED'::text, 'EXPIRED'::text]))),
);
CREATE INDEX integrations_key ON public.integrations USING btree (key_id);
CREATE POLICY application ON integrations TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON integrations USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE job_lanes (
    lane text NOT NULL,
    paused_until timestamp with time zone NOT NULL,
    pauses integer NOT NULL,
    CONSTRAINT job_lanes_pkey PRIMARY KEY (lane),
);

TABLE jobs (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    lane text NOT NULL DEFAULT ''::text,
    unique_key text,
    available_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    fence bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    died_at timestamp with time zone,
    request_id text,
    created_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT jobs_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT jobs_available_at_check CHECK (isfinite(available_at)),
    CONSTRAINT jobs_kind_check CHECK (((length(kind) >= 1) AND (length(kind) <= 100))),
    CONSTRAINT jobs_lane_check CHECK ((length(lane) <= 100)),
    CONSTRAINT jobs_unique_key_check CHECK (((length(unique_key) >= 1) AND (length(unique_key) <= 200))),
);
CREATE INDEX jobs_dead ON public.jobs USING btree (organization_id, died_at, id) WHERE (died_at IS NOT NULL);
CREATE INDEX jobs_due ON public.jobs USING btree (organization_id, available_at, id) WHERE (died_at IS NULL);
CREATE UNIQUE INDEX job_once ON public.jobs USING btree (organization_id, kind, unique_key) WHERE (died_at IS NULL);
CREATE POLICY application ON jobs TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON jobs USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE members (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT members_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT members_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT members_email_check CHECK (((length(email) >= 3) AND (length(email) <= 320))),
    CONSTRAINT members_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT members_role_check CHECK ((role = ANY (ARRAY['OWNER'::text, 'PLANNER'::text, 'VIEWER'::text]))),
);
CREATE UNIQUE INDEX member_email_once_per_organization ON public.members USING btree (organization_id, lower(email));
CREATE POLICY application ON members TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON members USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE message_opt_outs (
    organization_id uuid NOT NULL,
    number text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT message_opt_outs_pkey PRIMARY KEY (organization_id, number),
    CONSTRAINT message_opt_outs_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT message_opt_outs_number_check CHECK (((length(number) >= 8) AND (length(number) <= 16))),
);
CREATE POLICY application ON message_opt_outs TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON message_opt_outs USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE message_templates (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    channel text NOT NULL,
    text text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT message_templates_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT message_templates_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT message_templates_channel_check CHECK ((channel = ANY (ARRAY['SLACK'::text, 'SMS'::text]))),
    CONSTRAINT message_templates_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT message_templates_text_check CHECK (((length(text) >= 1) AND (length(text) <= 4000))),
);
CREATE UNIQUE INDEX message_template_name_once ON public.message_templates USING btree (organization_id, lower(name));
CREATE POLICY application ON message_templates TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON message_templates USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE messages (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    channel text NOT NULL,
    recipient text NOT NULL,
    notice text NOT NULL,
    template_id uuid,
    template_version bigint,
    reminder_id uuid,
    text text NOT NULL,
    status text NOT NULL,
    failure text,
    round integer NOT NULL DEFAULT 1,
    first_attempt_at timestamp with time zone,
    provider_id text,
    place text,
    expires_at timestamp with time zone,
    sent_at timestamp with time zone,
    retracted_at timestamp with time zone,
    checked_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT messages_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT message_once_per_recipient UNIQUE (organization_id, event_id, channel, recipient, notice),
    CONSTRAINT message_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id),
    CONSTRAINT message_reminder FOREIGN KEY (organization_id, reminder_id) REFERENCES reminders(organization_id, id) ON DELETE SET NULL (reminder_id),
    CONSTRAINT message_template FOREIGN KEY (organization_id, template_id) REFERENCES message_templates(organization_id, id) ON DELETE SET NULL (template_id),
    CONSTRAINT messages_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT messages_channel_check CHECK ((channel = ANY (ARRAY['SLACK'::text, 'SMS'::text]))),
    CONSTRAINT messages_notice_check CHECK (((length(notice) >= 1) AND (length(notice) <= 400))),
    CONSTRAINT messages_recipient_check CHECK (((length(recipient) >= 1) AND (length(recipient) <= 100))),
    CONSTRAINT messages_status_check CHECK ((status = ANY (ARRAY['QUEUED'::text, 'SENT'::text, 'DELIVERED'::text, 'FAILED'::text, 'SKIPPED'::text]))),
    CONSTRAINT messages_text_check CHECK (((length(text) >= 1) AND (length(text) <= 8000))),
);
CREATE INDEX messages_created ON public.messages USING btree (organization_id, created_at);
CREATE INDEX messages_of_provider ON public.messages USING btree (provider_id) WHERE (channel = 'SMS'::text);
CREATE INDEX messages_unsettled ON public.messages USING btree (sent_at) WHERE ((channel = 'SMS'::text) AND (status = 'SENT'::text));
CREATE POLICY application ON messages TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON messages USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE orchestrations (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid,
    is_booking_run boolean NOT NULL,
    playbook text NOT NULL,
    playbook_version bigint,
    definition jsonb NOT NULL,
    description text NOT NULL,
    facts jsonb NOT NULL,
    notes text[] NOT NULL,
    priority text NOT NULL,
    status text NOT NULL,
    requested_by uuid,
    estimated_duration_minutes integer NOT NULL,
    estimated_tokens integer NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT orchestrations_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT orchestration_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id) ON DELETE SET NULL (event_id),
    CONSTRAINT orchestrations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT orchestrations_definition_check CHECK ((jsonb_typeof(definition) = 'object'::text)),
    CONSTRAINT orchestrations_description_check CHECK (((length(description) >= 1) AND (length(description) <= 2000))),
    CONSTRAINT orchestrations_estimated_duration_minutes_check CHECK ((estimated_duration_minutes >= 0)),
    CONSTRAINT orchestrations_estimated_tokens_check CHECK ((estimated_tokens >= 0)),
    CONSTRAINT orchestrations_facts_check CHECK ((jsonb_typeof(facts) = 'object'::text)),
    CONSTRAINT orchestrations_playbook_check CHECK (((length(playbook) >= 1) AND (length(playbook) <= 63))),
    CONSTRAINT orchestrations_priority_check CHECK ((priority = ANY (ARRAY['LOW'::text, 'NORMAL'::text, 'HIGH'::text]))),
    CONSTRAINT orchestrations_status_check CHECK ((status = ANY (ARRAY['QUEUED'::text, 'RUNNING'::text, 'WAITING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELLING'::text, 'CANCELLED'::text, 'COMPENSATION_FAILED'::text]))),
);
CREATE INDEX orchestrations_event ON public.orchestrations USING btree (organization_id, event_id) WHERE (event_id IS NOT NULL);
CREATE INDEX orchestrations_open ON public.orchestrations USING btree (status, updated_at) WHERE (status <> ALL (ARRAY['SUCCEEDED'::text, 'CANCELLED'::text]));
CREATE UNIQUE INDEX orchestration_booking_run_once ON public.orchestrations USING btree (organization_id, event_id) WHERE (is_booking_run AND (status <> ALL (ARRAY['CANCELLING'::text, 'CANCELLED'::text, 'COMPENSATION_FAILED'::text])));
CREATE POLICY application ON orchestrations TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON orchestrations USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE organizations (
    id uuid NOT NULL,
    name text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    default_deposit_rate_bps integer NOT NULL DEFAULT 2000,
    booking_run text NOT NULL DEFAULT 'AUTO'::text,
    linear_team text,
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT organizations_booking_run_check CHECK ((booking_run = ANY (ARRAY['AUTO'::text, 'ON'::text, 'OFF'::text]))),
    CONSTRAINT organizations_default_deposit_rate_bps_check CHECK (((default_deposit_rate_bps >= 1) AND (default_deposit_rate_bps <= 10000))),
    CONSTRAINT organizations_linear_team_check CHECK (((length(linear_team) >= 1) AND (length(linear_team) <= 100))),
    CONSTRAINT organizations_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
);
CREATE POLICY application ON organizations TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON organizations USING ((id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE payment_refunds (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_request_id uuid NOT NULL,
    amount bigint NOT NULL,
    reason text NOT NULL,
    note text NOT NULL DEFAULT ''::text,
    status text NOT NULL,
    refund_id text,
    idempotency_key text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT payment_refunds_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT payment_refund_once UNIQUE (organization_id, idempotency_key),
    CONSTRAINT payment_refund_request FOREIGN KEY (organization_id, payment_request_id) REFERENCES payment_requests(organization_id, id),
    CONSTRAINT payment_refunds_amount_check CHECK ((amount > 0)),
    CONSTRAINT payment_refunds_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200))),
    CONSTRAINT payment_refunds_note_check CHECK ((length(note) <= 200)),
    CONSTRAINT payment_refunds_reason_check CHECK ((reason = ANY (ARRAY['REQUESTED'::text, 'HOLD_LOST'::text, 'BOOKING_CANCELLED'::text, 'PAYMENT_CANCELLED'::text]))),
    CONSTRAINT payment_refunds_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'SUCCEEDED'::text, 'FAILED'::text]))),
);
CREATE INDEX payment_refunds_request ON public.payment_refunds USING btree (organization_id, payment_request_id);
CREATE POLICY application ON payment_refunds TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON payment_refunds USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE payment_requests (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    is_processing boolean NOT NULL DEFAULT false,
    has_failed boolean NOT NULL DEFAULT false,
    has_expired boolean NOT NULL DEFAULT false,
    is_cancelled boolean NOT NULL DEFAULT false,
    paid_amount bigint NOT NULL DEFAULT 0,
    refunded_amount bigint NOT NULL DEFAULT 0,
    dispute text,
    disputed_amount bigint NOT NULL DEFAULT 0,
    session_id text,
    url text,
    expires_at timestamp with time zone NOT NULL,
    intent_id text,
    cancel_requested_at timestamp with time zone,
    refusal text,
    failure text,
    idempotency_key text,
    paid_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT payment_requests_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT payment_request_once UNIQUE (organization_id, idempotency_key),
    CONSTRAINT payment_request_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id),
    CONSTRAINT payment_request_paid_in_full CHECK (((paid_amount = 0) OR (paid_amount = amount))),
    CONSTRAINT payment_request_refund_within CHECK (((refunded_amount >= 0) AND (refunded_amount <= paid_amount))),
    CONSTRAINT payment_requests_amount_check CHECK ((amount > 0)),
    CONSTRAINT payment_requests_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT payment_requests_dispute_check CHECK ((dispute = ANY (ARRAY['OPEN'::text, 'WON'::text, 'LOST'::text]))),
    CONSTRAINT payment_requests_expires_at_check CHECK (isfinite(expires_at)),
    CONSTRAINT payment_requests_failure_check CHECK ((length(failure) <= 500)),
    CONSTRAINT payment_requests_idempotency_key_check CHECK (((length(idempotency_key) >= 1) AND (length(idempotency_key) <= 200))),
    CONSTRAINT payment_requests_kind_check CHECK ((kind = ANY (ARRAY['DEPOSIT'::text, 'BALANCE'::text]))),
    CONSTRAINT payment_requests_refusal_check CHECK ((refusal = ANY (ARRAY['HOLD_LOST'::text, 'BOOKING_CANCELLED'::text, 'PAYMENT_CANCELLED'::text]))),
    CONSTRAINT payment_requests_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'PROCESSING'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'CANCELLED'::text, 'EXPIRED'::text, 'PARTIALLY_REFUNDED'::text, 'REFUNDED'::text, 'DISPUTED'::text]))),
);
CREATE INDEX payment_requests_event ON public.payment_requests USING btree (organization_id, event_id);
CREATE INDEX payment_requests_intent ON public.payment_requests USING btree (intent_id);
CREATE POLICY application ON payment_requests TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON payment_requests USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE payment_shares (
    organization_id uuid NOT NULL,
    payment_request_id uuid NOT NULL,
    booking_id uuid NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT payment_shares_pkey PRIMARY KEY (organization_id, payment_request_id, booking_id),
    CONSTRAINT payment_share_booking FOREIGN KEY (organization_id, booking_id) REFERENCES bookings(organization_id, id),
    CONSTRAINT payment_share_request FOREIGN KEY (organization_id, payment_request_id) REFERENCES payment_requests(organization_id, id),
    CONSTRAINT payment_shares_amount_check CHECK ((amount >= 0)),
);
CREATE INDEX payment_shares_booking ON public.payment_shares USING btree (organization_id, booking_id);
CREATE POLICY application ON payment_shares TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON payment_shares USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE payments (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    booking_id uuid NOT NULL,
    kind text NOT NULL,
    method text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    reference text NOT NULL DEFAULT ''::text,
    received_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    payment_request_id uuid,
    CONSTRAINT payments_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT payment_booking FOREIGN KEY (organization_id, booking_id) REFERENCES bookings(organization_id, id),
    CONSTRAINT payment_of_request FOREIGN KEY (organization_id, payment_request_id) REFERENCES payment_requests(organization_id, id),
    CONSTRAINT payments_amount_check CHECK ((amount > 0)),
    CONSTRAINT payments_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT payments_kind_check CHECK ((kind = ANY (ARRAY['DEPOSIT'::text, 'BALANCE'::text, 'REFUND'::text]))),
    CONSTRAINT payments_method_check CHECK ((method = ANY (ARRAY['BANK_TRANSFER'::text, 'CASH'::text, 'CARD'::text, 'OTHER'::text, 'STRIPE'::text]))),
    CONSTRAINT payments_received_at_check CHECK (isfinite(received_at)),
    CONSTRAINT payments_reference_check CHECK ((length(reference) <= 200)),
);
CREATE INDEX payments_booking ON public.payments USING btree (organization_id, booking_id);
CREATE INDEX payments_request ON public.payments USING btree (organization_id, payment_request_id) WHERE (payment_request_id IS NOT NULL);
CREATE POLICY application ON payments TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON payments USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE plan_options (
    organization_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    rank smallint NOT NULL,
    option jsonb NOT NULL,
    CONSTRAINT plan_options_pkey PRIMARY KEY (organization_id, plan_id, rank),
    CONSTRAINT plan_option_plan FOREIGN KEY (organization_id, plan_id) REFERENCES plans(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT plan_options_rank_check CHECK (((rank >= 1) AND (rank <= 100))),
);
CREATE POLICY application ON plan_options TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON plan_options USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE planning_versions (
    organization_id uuid NOT NULL,
    catalogue bigint NOT NULL DEFAULT 0,
    availability bigint NOT NULL DEFAULT 0,
    CONSTRAINT planning_versions_pkey PRIMARY KEY (organization_id),
    CONSTRAINT planning_versions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
);
CREATE POLICY application ON planning_versions TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON planning_versions USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE plans (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    brief jsonb NOT NULL,
    findings jsonb NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    number_of_guests integer GENERATED ALWAYS AS (((brief ->> 'number_of_guests'::text))::integer) STORED,
    event_type text GENERATED ALWAYS AS ((brief ->> 'event_type'::text)) STORED,
    city text GENERATED ALWAYS AS (((brief -> 'location'::text) ->> 'city'::text)) STORED,
    CONSTRAINT plans_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT plans_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
);
CREATE POLICY application ON plans TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON plans USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE playbooks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    definition jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT playbooks_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT playbooks_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT playbooks_definition_check CHECK ((jsonb_typeof(definition) = 'object'::text)),
    CONSTRAINT playbooks_name_check CHECK ((name ~ '^[a-z][a-z0-9_-]{0,62}$'::text)),
);
CREATE UNIQUE INDEX playbook_name_once ON public.playbooks USING btree (organization_id, name);
CREATE POLICY application ON playbooks TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON playbooks USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE received_events (
    provider text NOT NULL,
    external_id text NOT NULL,
    payload jsonb NOT NULL,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT received_events_pkey PRIMARY KEY (provider, external_id),
    CONSTRAINT received_events_external_id_check CHECK (((length(external_id) >= 1) AND (length(external_id) <= 200))),
    CONSTRAINT received_events_provider_check CHECK (((length(provider) >= 1) AND (length(provider) <= 40))),
);
CREATE INDEX received_events_age ON public.received_events USING btree (received_at);

TABLE reminders (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    offset text NOT NULL,
    local_time text,
    offset_seconds bigint NOT NULL,
    channel text NOT NULL,
    template_id uuid,
    text text,
    recipients text[] NOT NULL,
    handled_for timestamp with time zone,
    failure text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT reminders_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT reminder_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT reminder_template FOREIGN KEY (organization_id, template_id) REFERENCES message_templates(organization_id, id),
    CONSTRAINT reminders_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT reminder_says_one_thing CHECK ((num_nonnulls(template_id, text) = 1)),
    CONSTRAINT reminders_channel_check CHECK ((channel = ANY (ARRAY['SLACK'::text, 'SMS'::text]))),
    CONSTRAINT reminders_local_time_check CHECK ((local_time ~ '^\d\d:\d\d(:\d\d)?$'::text)),
    CONSTRAINT reminders_offset_check CHECK (((length("offset") >= 2) AND (length("offset") <= 40))),
    CONSTRAINT reminders_offset_seconds_check CHECK ((offset_seconds >= 0)),
    CONSTRAINT reminders_text_check CHECK (((length(text) >= 1) AND (length(text) <= 4000))),
);
CREATE INDEX reminders_event ON public.reminders USING btree (organization_id, event_id, id);
CREATE POLICY application ON reminders TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON reminders USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE saved_queries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    sql text NOT NULL,
    parameters jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT saved_queries_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT saved_queries_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT saved_queries_description_check CHECK ((length(description) <= 2000)),
    CONSTRAINT saved_queries_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT saved_queries_parameters_check CHECK ((jsonb_typeof(parameters) = 'array'::text)),
    CONSTRAINT saved_queries_sql_check CHECK (((octet_length(sql) >= 1) AND (octet_length(sql) <= 8192))),
);
CREATE UNIQUE INDEX saved_query_name_once ON public.saved_queries USING btree (organization_id, lower(name));
CREATE POLICY application ON saved_queries TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON saved_queries USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE subtasks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    orchestration_id uuid NOT NULL,
    position smallint NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    is_uncertain boolean NOT NULL DEFAULT false,
    approved_by uuid,
    input jsonb,
    output jsonb,
    error text,
    due_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    changed_in bigint NOT NULL,
    CONSTRAINT subtasks_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT subtask_once_per_position UNIQUE (organization_id, orchestration_id, "position"),
    CONSTRAINT subtask_orchestration FOREIGN KEY (organization_id, orchestration_id) REFERENCES orchestrations(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT subtasks_error_check CHECK ((length(error) <= 1000)),
    CONSTRAINT subtasks_position_check CHECK ((("position" >= 0) AND ("position" <= 99))),
    CONSTRAINT subtasks_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'READY'::text, 'RUNNING'::text, 'WAITING_APPROVAL'::text, 'SUCCEEDED'::text, 'FAILED'::text, 'SKIPPED'::text, 'COMPENSATING'::text, 'COMPENSATED'::text, 'COMPENSATION_FAILED'::text]))),
);
CREATE POLICY application ON subtasks TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON subtasks USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE task_issues (
    organization_id uuid NOT NULL,
    task_id uuid NOT NULL,
    issue_id text NOT NULL,
    CONSTRAINT task_issues_pkey PRIMARY KEY (organization_id, task_id),
    CONSTRAINT task_issues_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT task_issues_issue_id_check CHECK (((length(issue_id) >= 1) AND (length(issue_id) <= 200))),
);
CREATE POLICY application ON task_issues TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON task_issues USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE tasks (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    title text NOT NULL,
    description text NOT NULL DEFAULT ''::text,
    status text NOT NULL DEFAULT 'OPEN'::text,
    assignee_id uuid,
    days_before integer,
    due_time time without time zone,
    due_at timestamp with time zone NOT NULL,
    is_late boolean NOT NULL DEFAULT false,
    checklist text,
    checklist_item text,
    completed_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT tasks_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT task_once_per_checklist_item UNIQUE (organization_id, event_id, checklist, checklist_item),
    CONSTRAINT task_assignee FOREIGN KEY (organization_id, assignee_id) REFERENCES members(organization_id, id) ON DELETE SET NULL (assignee_id),
    CONSTRAINT task_event FOREIGN KEY (organization_id, event_id) REFERENCES events(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT task_checklist_with_item CHECK (((checklist IS NULL) = (checklist_item IS NULL))),
    CONSTRAINT task_done_at_a_time CHECK (((status = 'DONE'::text) = (completed_at IS NOT NULL))),
    CONSTRAINT task_due_day_with_time CHECK (((days_before IS NULL) = (due_time IS NULL))),
    CONSTRAINT tasks_checklist_check CHECK (((length(checklist) >= 1) AND (length(checklist) <= 50))),
    CONSTRAINT tasks_checklist_item_check CHECK (((length(checklist_item) >= 1) AND (length(checklist_item) <= 50))),
    CONSTRAINT tasks_days_before_check CHECK (((days_before >= '-366'::integer) AND (days_before <= 3660))),
    CONSTRAINT tasks_description_check CHECK ((length(description) <= 10000)),
    CONSTRAINT tasks_due_at_check CHECK (isfinite(due_at)),
    CONSTRAINT tasks_status_check CHECK ((status = ANY (ARRAY['OPEN'::text, 'DONE'::text, 'CANCELLED'::text]))),
    CONSTRAINT tasks_title_check CHECK (((length(title) >= 1) AND (length(title) <= 200))),
);
CREATE INDEX tasks_assignee ON public.tasks USING btree (organization_id, assignee_id) WHERE (assignee_id IS NOT NULL);
CREATE INDEX tasks_due ON public.tasks USING btree (organization_id, due_at, id);
CREATE INDEX tasks_event ON public.tasks USING btree (organization_id, event_id, due_at, id);
CREATE POLICY application ON tasks TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON tasks USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE venues (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    external_id text,
    name text NOT NULL,
    description text NOT NULL DEFAULT ''::text,
    address text NOT NULL DEFAULT ''::text,
    city text NOT NULL,
    country text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    time_zone text NOT NULL,
    capacity integer NOT NULL,
    has_event_room boolean NOT NULL,
    amenities text[] NOT NULL,
    rating smallint NOT NULL,
    currency text NOT NULL,
    hire_fee bigint NOT NULL,
    hourly_rate bigint NOT NULL,
    event_room_fee bigint NOT NULL,
    tax_rate_bps integer NOT NULL,
    deposit_rate_bps integer NOT NULL,
    setup_minutes integer NOT NULL,
    teardown_minutes integer NOT NULL,
    outside_catering_allowed boolean NOT NULL,
    catering_price_per_guest bigint,
    catering_cuisines text[] NOT NULL,
    catering_dietary_options text[] NOT NULL,
    catering_service_fee_bps integer NOT NULL,
    cancellation_terms jsonb NOT NULL,
    city_key text NOT NULL,
    search_text text NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, search_text)) STORED,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT venues_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT venue_external_id_once UNIQUE (organization_id, external_id),
    CONSTRAINT venues_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT venue_has_some_catering CHECK ((outside_catering_allowed OR (catering_price_per_guest IS NOT NULL))),
    CONSTRAINT venues_address_check CHECK ((length(address) <= 500)),
    CONSTRAINT venues_cancellation_terms_check CHECK ((jsonb_typeof(cancellation_terms) = 'array'::text)),
    CONSTRAINT venues_capacity_check CHECK (((capacity >= 1) AND (capacity <= 100000))),
    CONSTRAINT venues_catering_price_per_guest_check CHECK ((catering_price_per_guest >= 0)),
    CONSTRAINT venues_catering_service_fee_bps_check CHECK (((catering_service_fee_bps >= 0) AND (catering_service_fee_bps <= 10000))),
    CONSTRAINT venues_city_check CHECK (((length(city) >= 1) AND (length(city) <= 100))),
    CONSTRAINT venues_country_check CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT venues_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT venues_deposit_rate_bps_check CHECK (((deposit_rate_bps >= 0) AND (deposit_rate_bps <= 10000))),
    CONSTRAINT venues_description_check CHECK ((length(description) <= 5000)),
    CONSTRAINT venues_event_room_fee_check CHECK ((event_room_fee >= 0)),
    CONSTRAINT venues_external_id_check CHECK (((length(external_id) >= 1) AND (length(external_id) <= 100))),
    CONSTRAINT venues_hire_fee_check CHECK ((hire_fee >= 0)),
    CONSTRAINT venues_hourly_rate_check CHECK ((hourly_rate >= 0)),
    CONSTRAINT venues_latitude_check CHECK (((latitude >= ('-90'::integer)::double precision) AND (latitude <= (90)::double precision))),
    CONSTRAINT venues_longitude_check CHECK (((longitude >= ('-180'::integer)::double precision) AND (longitude <= (180)::double precision))),
    CONSTRAINT venues_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT venues_rating_check CHECK (((rating >= 0) AND (rating <= 100))),
    CONSTRAINT venues_setup_minutes_check CHECK (((setup_minutes >= 0) AND (setup_minutes <= 1440))),
    CONSTRAINT venues_tax_rate_bps_check CHECK (((tax_rate_bps >= 0) AND (tax_rate_bps <= 10000))),
    CONSTRAINT venues_teardown_minutes_check CHECK (((teardown_minutes >= 0) AND (teardown_minutes <= 1440))),
);
CREATE INDEX venues_city ON public.venues USING btree (organization_id, city_key);
CREATE INDEX venues_search ON public.venues USING gin (search);
CREATE TRIGGER catalogue_delete AFTER DELETE ON public.venues REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE TRIGGER catalogue_insert AFTER INSERT ON public.venues REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE TRIGGER catalogue_update AFTER UPDATE ON public.venues REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version();
CREATE POLICY application ON venues TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON venues USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE webhook_attempts (
    organization_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    id uuid NOT NULL,
    attempted_at timestamp with time zone NOT NULL,
    status_code smallint,
    reason text,
    CONSTRAINT webhook_attempts_pkey PRIMARY KEY (organization_id, delivery_id, id),
    CONSTRAINT webhook_attempt_delivery FOREIGN KEY (organization_id, delivery_id) REFERENCES webhook_deliveries(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_attempts_reason_check CHECK ((reason = ANY (ARRAY['STATUS'::text, 'UNREACHABLE'::text, 'DISABLED'::text]))),
);
CREATE POLICY application ON webhook_attempts TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON webhook_attempts USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE webhook_deliveries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    event_type text NOT NULL,
    status text NOT NULL DEFAULT 'PENDING'::text,
    attempts integer NOT NULL DEFAULT 0,
    last_status_code smallint,
    last_reason text,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT webhook_delivery_endpoint FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints(organization_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_delivery_entry FOREIGN KEY (organization_id, entry_id) REFERENCES audit_entries(organization_id, id),
    CONSTRAINT webhook_deliveries_last_reason_check CHECK ((last_reason = ANY (ARRAY['STATUS'::text, 'UNREACHABLE'::text, 'DISABLED'::text]))),
    CONSTRAINT webhook_deliveries_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'DELIVERED'::text, 'FAILED'::text]))),
    CONSTRAINT webhook_delivery_ended CHECK (((status = 'PENDING'::text) = (ended_at IS NULL))),
);
CREATE INDEX webhook_deliveries_age ON public.webhook_deliveries USING btree (created_at);
CREATE INDEX webhook_deliveries_of_endpoint ON public.webhook_deliveries USING btree (organization_id, endpoint_id, id);
CREATE UNIQUE INDEX webhook_delivery_once ON public.webhook_deliveries USING btree (organization_id, endpoint_id, entry_id);
CREATE POLICY application ON webhook_deliveries TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON webhook_deliveries USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

TABLE webhook_endpoints (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    url text NOT NULL,
    description text,
    event_types text[] NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text,
    failing_since timestamp with time zone,
    secret text,
    old_secret text,
    old_secret_expires_at timestamp with time zone,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    key_id text,
    sealed_secret bytea,
    sealed_old_secret bytea,
    CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT webhook_endpoints_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(id),
    CONSTRAINT webhook_endpoint_enabled CHECK (((NOT enabled) OR (disabled_reason IS NULL))),
    CONSTRAINT webhook_endpoint_old_secret CHECK ((num_nonnulls(old_secret, sealed_old_secret) = num_nonnulls(old_secret_expires_at))),
    CONSTRAINT webhook_endpoint_sealed CHECK (
CASE
    WHEN (key_id IS NULL) THEN ((secret IS NOT NULL) AND (num_nonnulls(sealed_secret, sealed_old_secret) = 0))
    ELSE ((sealed_secret IS NOT NULL) AND (num_nonnulls(secret, old_secret) = 0))
END),
    CONSTRAINT webhook_endpoints_description_check CHECK ((length(description) <= 2000)),
    CONSTRAINT webhook_endpoints_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['GONE'::text, 'FAILING'::text]))),
    CONSTRAINT webhook_endpoints_event_types_check CHECK (((cardinality(event_types) >= 1) AND (cardinality(event_types) <= 200))),
    CONSTRAINT webhook_endpoints_url_check CHECK (((length(url) >= 1) AND (length(url) <= 2048))),
);
CREATE INDEX webhook_endpoints_disabled ON public.webhook_endpoints USING btree (disabled_reason) WHERE (disabled_reason IS NOT NULL);
CREATE INDEX webhook_endpoints_key ON public.webhook_endpoints USING btree (key_id);
CREATE POLICY application ON webhook_endpoints TO event_planner_app USING (true) WITH CHECK (true);
CREATE POLICY tenant ON webhook_endpoints USING ((organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid));

FUNCTION bump_catalogue_version() RETURNS trigger;
FUNCTION database_home() RETURNS text;
FUNCTION distance_km(latitude_a double precision, longitude_a double precision, latitude_b double precision, longitude_b double precision) RETURNS double precision;
FUNCTION price(amount bigint, currency text) RETURNS price;
FUNCTION protect_tenant_table(tenant_table regclass, tenant_column name DEFAULT 'organization_id'::name) RETURNS void;
FUNCTION task_due(days_before integer, due_time time without time zone) RETURNS jsonb;
FUNCTION uuid_beside(moment uuid) RETURNS uuid;
VIEW reporting.bookings (id uuid,
    event_id uuid,
    kind text,
    venue_id uuid,
    caterer_id uuid,
    plan_id uuid,
    status text,
    number_of_guests integer,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    occupied_from timestamp with time zone,
    occupied_until timestamp with time zone,
    service_date date,
    currency text,
    total_amount bigint,
    total numeric,
    deposit_amount bigint,
    deposit numeric,
    expires_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    cancellation_reason text,
    cancellation_fee_amount bigint,
    cancellation_fee numeric,
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.caterers (id uuid,
    external_id text,
    name text,
    city text,
    country text,
    latitude double precision,
    longitude double precision,
    time_zone text,
    delivery_radius_km integer,
    cuisines text[],
    dietary_options text[],
    rating smallint,
    currency text,
    price_per_guest_amount bigint,
    minimum_order_amount bigint,
    delivery_fee_amount bigint,
    service_fee_bps integer,
    tax_rate_bps integer,
    deposit_rate_bps integer,
    minimum_guests integer,
    maximum_guests integer,
    daily_capacity smallint,
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.event_budgets (event_id uuid,
    currency text,
    planned_amount bigint,
    planned numeric,
    held_amount bigint,
    held numeric,
    confirmed_amount bigint,
    confirmed numeric,
    cancellation_fees_amount bigint,
    cancellation_fees numeric,
    committed_amount bigint,
    committed numeric,
    paid_amount bigint,
    paid numeric,
    available_amount bigint,
    available numeric);
VIEW reporting.events (id uuid,
    title text,
    event_type text,
    status text,
    local_start timestamp without time zone,
    time_zone text,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    duration_minutes integer,
    capacity integer,
    budget_amount bigint,
    budget_currency text,
    budget numeric,
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.messages (id uuid,
    event_id uuid,
    channel text,
    template_id uuid,
    template_version bigint,
    reminder_id uuid,
    status text,
    sent_at timestamp with time zone,
    retracted_at timestamp with time zone,
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.orchestrations (id uuid,
    event_id uuid,
    is_booking_run boolean,
    playbook text,
    priority text,
    status text,
    requested_by uuid,
    estimated_duration_minutes integer,
    estimated_tokens integer,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone);
VIEW reporting.payment_requests (id uuid,
    event_id uuid,
    kind text,
    status text,
    currency text,
    amount bigint,
    asked numeric,
    paid_amount bigint,
    paid numeric,
    refunded_amount bigint,
    refunded numeric,
    expires_at timestamp with time zone,
    paid_at timestamp with time zone,
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.payments (id uuid,
    booking_id uuid,
    event_id uuid,
    kind text,
    method text,
    currency text,
    amount bigint,
    paid numeric,
    received_at timestamp with time zone,
    created_at timestamp with time zone);
VIEW reporting.plan_options (plan_id uuid,
    rank smallint,
    score integer,
    date date,
    venue_id uuid,
    caterer_id uuid,
    within_budget boolean,
    currency text,
    total_amount bigint,
    total numeric,
    per_guest_amount bigint,
    per_guest numeric);
VIEW reporting.plans (id uuid,
    number_of_guests integer,
    event_type text,
    city text,
    created_at timestamp with time zone,
    expires_at timestamp with time zone);
VIEW reporting.tasks (id uuid,
    event_id uuid,
    title text,
    status text,
    assignee_id uuid,
    days_before integer,
    due_at timestamp with time zone,
    is_late boolean,
    checklist text,
    checklist_item text,
    completed_at timestamp with time zone,
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.venues (id uuid,
    external_id text,
    name text,
    city text,
    country text,
    latitude double precision,
    longitude double precision,
    time_zone text,
    capacity integer,
    has_event_room boolean,
    amenities text[],
    rating smallint,
    currency text,
    hire_fee_amount bigint,
    hourly_rate_amount bigint,
    event_room_fee_amount bigint,
    catering_price_per_guest_amount bigint,
    tax_rate_bps integer,
    deposit_rate_bps integer,
    setup_minutes integer,
    teardown_minutes integer,
    outside_catering_allowed boolean,
    catering_cuisines text[],
    catering_dietary_options text[],
    created_at timestamp with time zone,
    updated_at timestamp with time zone);
VIEW reporting.webhook_deliveries (id uuid,
    endpoint_id uuid,
    event_type text,
    status text,
    attempts integer,
    last_status_code smallint,
    last_reason text,
    created_at timestamp with time zone,
    ended_at timestamp with time zone);
