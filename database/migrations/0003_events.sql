-- Events, plans with their options, bookings, payments.

CREATE TABLE events (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    event_type text NOT NULL CHECK (event_type IN ('OFFSITE', 'CONFERENCE', 'WEDDING', 'MEETUP', 'LAUNCH', 'DINNER', 'OTHER')),
    status text NOT NULL CHECK (status IN ('DRAFT', 'PLANNED', 'PUBLISHED', 'COMPLETED', 'CANCELLED')),
    -- What the people agreed on: wall time in a zone. `starts_at` and `ends_at` follow from it.
    local_start timestamp NOT NULL CHECK (isfinite(local_start)),
    time_zone text NOT NULL,
    fold text NOT NULL CHECK (fold IN ('EARLIER', 'LATER')),
    duration_minutes integer NOT NULL CHECK (duration_minutes BETWEEN 15 AND 44640),
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at timestamptz NOT NULL CHECK (isfinite(ends_at)),
    -- The most guests it is planned for.
    capacity integer CHECK (capacity BETWEEN 1 AND 100000),
    budget_amount bigint CHECK (budget_amount >= 0),
    budget_currency text CHECK (budget_currency ~ '^[A-Z]{3}$'),
    contact_name text CHECK (length(contact_name) <= 200),
    contact_email text CHECK (length(contact_email) <= 320),
    contact_phone text CHECK (length(contact_phone) <= 30),
    notes text NOT NULL DEFAULT '' CHECK (length(notes) <= 10000),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT event_ends_after_start CHECK (ends_at > starts_at),
    CONSTRAINT event_budget_with_currency CHECK ((budget_amount IS NULL) = (budget_currency IS NULL))
);
CREATE INDEX events_start ON events (organization_id, starts_at, id);
SELECT protect_tenant_table('events');

CREATE TABLE plans (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    brief jsonb NOT NULL,
    -- The whole answer but the options: summary, what was excluded, what would help.
    findings jsonb NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
SELECT protect_tenant_table('plans');

-- An option as it was shown, at the price at which it can be booked until the plan expires.
CREATE TABLE plan_options (
    organization_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    rank smallint NOT NULL CHECK (rank BETWEEN 1 AND 100),
    option jsonb NOT NULL,
    PRIMARY KEY (organization_id, plan_id, rank),
    CONSTRAINT plan_option_plan FOREIGN KEY (organization_id, plan_id) REFERENCES plans ON DELETE CASCADE
);
SELECT protect_tenant_table('plan_options');

CREATE TABLE bookings (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    venue_id uuid,
    caterer_id uuid,
    -- The option that it came from, if it came from a plan. Plans may be cleared away; no key.
    plan_id uuid,
    status text NOT NULL CHECK (status IN ('HELD', 'CONFIRMED', 'CANCELLED')),
    number_of_guests integer NOT NULL CHECK (number_of_guests BETWEEN 1 AND 100000),
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at timestamptz NOT NULL CHECK (isfinite(ends_at)),
    -- With the set-up and tear-down time of the venue.
    occupied_from timestamptz NOT NULL CHECK (isfinite(occupied_from)),
    occupied_until timestamptz NOT NULL CHECK (isfinite(occupied_until)),
    -- The local day of the event, and which of the caterer's places on that day it takes.
    service_date date NOT NULL CHECK (isfinite(service_date)),
    slot smallint CHECK (slot >= 1),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total_amount bigint NOT NULL CHECK (total_amount >= 0),
    deposit_amount bigint NOT NULL CHECK (deposit_amount BETWEEN 0 AND total_amount),
    lines jsonb NOT NULL CHECK (jsonb_typeof(lines) = 'array'),
    -- As they were when it was booked; later changes of the catalogue do not touch it.
    cancellation_terms jsonb NOT NULL,
    expires_at timestamptz,
    confirmed_at timestamptz,
    cancelled_at timestamptz,
    cancellation_reason text CHECK (cancellation_reason IN ('REQUESTED', 'EXPIRED', 'EVENT_CANCELLED')),
    cancellation_fee_amount bigint CHECK (cancellation_fee_amount BETWEEN 0 AND total_amount),
    -- The value of planning_versions.availability at its last change.
    availability_version bigint NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT booking_event FOREIGN KEY (organization_id, event_id) REFERENCES events,
    CONSTRAINT booking_venue FOREIGN KEY (organization_id, venue_id) REFERENCES venues,
    CONSTRAINT booking_caterer FOREIGN KEY (organization_id, caterer_id) REFERENCES caterers,
    CONSTRAINT booking_of_one_thing CHECK (num_nonnulls(venue_id, caterer_id) = 1),
    CONSTRAINT booking_slot_of_caterer CHECK ((slot IS NULL) = (caterer_id IS NULL)),
    CONSTRAINT booking_times CHECK (occupied_from <= starts_at AND starts_at < ends_at AND ends_at <= occupied_until),
    CONSTRAINT booking_hold_expires CHECK ((status = 'HELD') = (expires_at IS NOT NULL)),
    CONSTRAINT booking_cancelled_for_a_reason CHECK ((status = 'CANCELLED') = (cancelled_at IS NOT NULL AND cancellation_reason IS NOT NULL)),
    -- The promise of the product: a room is never booked twice for one time.
    CONSTRAINT booking_venue_once_per_time EXCLUDE USING gist (
        organization_id WITH =, venue_id WITH =, tstzrange(occupied_from, occupied_until) WITH &&
    ) WHERE (venue_id IS NOT NULL AND status <> 'CANCELLED')
);
-- And a caterer never more often in a day than it can serve.
CREATE UNIQUE INDEX booking_caterer_slot_once_per_day ON bookings (organization_id, caterer_id, service_date, slot)
    WHERE caterer_id IS NOT NULL AND status <> 'CANCELLED';
CREATE INDEX bookings_event ON bookings (organization_id, event_id);
CREATE INDEX bookings_venue ON bookings (organization_id, venue_id) WHERE venue_id IS NOT NULL;
CREATE INDEX bookings_availability ON bookings (organization_id, availability_version);
CREATE INDEX bookings_expiring ON bookings (expires_at) WHERE status = 'HELD';
SELECT protect_tenant_table('bookings');

-- Money that came in or went back for a booking, in the booking's currency.
CREATE TABLE payments (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    booking_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('DEPOSIT', 'BALANCE', 'REFUND')),
    method text NOT NULL CHECK (method IN ('BANK_TRANSFER', 'CASH', 'CARD', 'OTHER')),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reference text NOT NULL DEFAULT '' CHECK (length(reference) <= 200),
    received_at timestamptz NOT NULL CHECK (isfinite(received_at)),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT payment_booking FOREIGN KEY (organization_id, booking_id) REFERENCES bookings
);
CREATE INDEX payments_booking ON payments (organization_id, booking_id);
SELECT protect_tenant_table('payments');
