-- Venues, caterers, the dates on which they cannot be had, and the versions that planning reads by.

-- Great-circle distance in kilometres on a sphere of 6371 km (haversine).
CREATE FUNCTION distance_km(latitude_a float8, longitude_a float8, latitude_b float8, longitude_b float8)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 2 * 6371 * asin(least(1, sqrt(
        sin(radians(latitude_b - latitude_a) / 2) ^ 2
        + cos(radians(latitude_a)) * cos(radians(latitude_b)) * sin(radians(longitude_b - longitude_a) / 2) ^ 2)))
$$;

CREATE TABLE venues (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 100),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 5000),
    address text NOT NULL DEFAULT '' CHECK (length(address) <= 500),
    city text NOT NULL CHECK (length(city) BETWEEN 1 AND 100),
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    latitude float8 NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude float8 NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    time_zone text NOT NULL,
    capacity integer NOT NULL CHECK (capacity BETWEEN 1 AND 100000),
    has_event_room boolean NOT NULL,
    amenities text[] NOT NULL,
    -- 0 to 100; five stars are 100.
    rating smallint NOT NULL CHECK (rating BETWEEN 0 AND 100),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Prices in minor units of the currency; rates in basis points.
    hire_fee bigint NOT NULL CHECK (hire_fee >= 0),
    hourly_rate bigint NOT NULL CHECK (hourly_rate >= 0),
    event_room_fee bigint NOT NULL CHECK (event_room_fee >= 0),
    tax_rate_bps integer NOT NULL CHECK (tax_rate_bps BETWEEN 0 AND 10000),
    deposit_rate_bps integer NOT NULL CHECK (deposit_rate_bps BETWEEN 0 AND 10000),
    setup_minutes integer NOT NULL CHECK (setup_minutes BETWEEN 0 AND 1440),
    teardown_minutes integer NOT NULL CHECK (teardown_minutes BETWEEN 0 AND 1440),
    outside_catering_allowed boolean NOT NULL,
    -- In-house catering: offered when it has a price.
    catering_price_per_guest bigint CHECK (catering_price_per_guest >= 0),
    catering_cuisines text[] NOT NULL,
    catering_dietary_options text[] NOT NULL,
    catering_service_fee_bps integer NOT NULL CHECK (catering_service_fee_bps BETWEEN 0 AND 10000),
    -- [{"days_before": 30, "fee_bps": 0}, …], most days first.
    cancellation_terms jsonb NOT NULL CHECK (jsonb_typeof(cancellation_terms) = 'array'),
    -- Made by the application without case and accents (`text::fold`).
    city_key text NOT NULL,
    search_text text NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT venue_external_id_once UNIQUE (organization_id, external_id),
    CONSTRAINT venue_has_some_catering CHECK (outside_catering_allowed OR catering_price_per_guest IS NOT NULL)
);
CREATE INDEX venues_city ON venues (organization_id, city_key);
CREATE INDEX venues_search ON venues USING gin (search);
SELECT protect_tenant_table('venues');

CREATE TABLE caterers (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    external_id text CHECK (length(external_id) BETWEEN 1 AND 100),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 5000),
    city text NOT NULL CHECK (length(city) BETWEEN 1 AND 100),
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    latitude float8 NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude float8 NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    time_zone text NOT NULL,
    delivery_radius_km integer NOT NULL CHECK (delivery_radius_km BETWEEN 0 AND 1000),
    cuisines text[] NOT NULL CHECK (cardinality(cuisines) > 0),
    dietary_options text[] NOT NULL,
    rating smallint NOT NULL CHECK (rating BETWEEN 0 AND 100),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    price_per_guest bigint NOT NULL CHECK (price_per_guest >= 0),
    minimum_order bigint NOT NULL CHECK (minimum_order >= 0),
    delivery_fee bigint NOT NULL CHECK (delivery_fee >= 0),
    service_fee_bps integer NOT NULL CHECK (service_fee_bps BETWEEN 0 AND 10000),
    tax_rate_bps integer NOT NULL CHECK (tax_rate_bps BETWEEN 0 AND 10000),
    deposit_rate_bps integer NOT NULL CHECK (deposit_rate_bps BETWEEN 0 AND 10000),
    minimum_guests integer NOT NULL CHECK (minimum_guests >= 1),
    maximum_guests integer NOT NULL CHECK (maximum_guests BETWEEN 1 AND 100000),
    -- How many events it can serve on one day.
    daily_capacity smallint NOT NULL CHECK (daily_capacity BETWEEN 1 AND 100),
    cancellation_terms jsonb NOT NULL CHECK (jsonb_typeof(cancellation_terms) = 'array'),
    city_key text NOT NULL,
    search_text text NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', search_text)) STORED,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT caterer_external_id_once UNIQUE (organization_id, external_id),
    CONSTRAINT caterer_guest_range CHECK (minimum_guests <= maximum_guests)
);
CREATE INDEX caterers_city ON caterers (organization_id, city_key);
CREATE INDEX caterers_search ON caterers USING gin (search);
SELECT protect_tenant_table('caterers');

-- Local days, both ends included, on which a venue or a caterer takes no events.
CREATE TABLE blocked_dates (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    venue_id uuid,
    caterer_id uuid,
    from_date date NOT NULL CHECK (isfinite(from_date)),
    to_date date NOT NULL CHECK (isfinite(to_date)),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT blocked_date_of_one_thing CHECK (num_nonnulls(venue_id, caterer_id) = 1),
    CONSTRAINT blocked_date_range CHECK (from_date <= to_date),
    CONSTRAINT blocked_date_venue FOREIGN KEY (organization_id, venue_id) REFERENCES venues ON DELETE CASCADE,
    CONSTRAINT blocked_date_caterer FOREIGN KEY (organization_id, caterer_id) REFERENCES caterers ON DELETE CASCADE
);
CREATE INDEX blocked_dates_venue ON blocked_dates (organization_id, venue_id, from_date) WHERE venue_id IS NOT NULL;
CREATE INDEX blocked_dates_caterer ON blocked_dates (organization_id, caterer_id, from_date) WHERE caterer_id IS NOT NULL;
SELECT protect_tenant_table('blocked_dates');

-- Planning keeps an organization's catalogue and calendar in memory and asks here whether they are
-- current. `catalogue` rises with every change of venues, caterers and blocked dates (by trigger);
-- `availability` with every change of bookings, whose writers take this row first: they queue here
-- instead of meeting in a deadlock on the exclusion constraints.
CREATE TABLE planning_versions (
    organization_id uuid PRIMARY KEY REFERENCES organizations,
    catalogue bigint NOT NULL DEFAULT 0,
    availability bigint NOT NULL DEFAULT 0
);
SELECT protect_tenant_table('planning_versions');

-- Per statement, not per row, so that an import of ten thousand rows counts once.
CREATE FUNCTION bump_catalogue_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO planning_versions AS v (organization_id, catalogue)
    SELECT DISTINCT organization_id, 1 FROM changed ORDER BY 1
    ON CONFLICT (organization_id) DO UPDATE SET catalogue = v.catalogue + 1;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    source text;
BEGIN
    FOREACH source IN ARRAY ARRAY['venues', 'caterers', 'blocked_dates'] LOOP
        EXECUTE format('CREATE TRIGGER catalogue_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version()', source);
        EXECUTE format('CREATE TRIGGER catalogue_update AFTER UPDATE ON %I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version()', source);
        EXECUTE format('CREATE TRIGGER catalogue_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_catalogue_version()', source);
    END LOOP;
END
$$;
