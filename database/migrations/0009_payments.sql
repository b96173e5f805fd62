-- Payments through Stripe, and what providers tell us.

-- What an organization asks as a deposit where venues and caterers ask for none. Basis points: 2000 is 20 %.
ALTER TABLE organizations ADD COLUMN default_deposit_rate_bps integer NOT NULL DEFAULT 2000
    CHECK (default_deposit_rate_bps BETWEEN 1 AND 10000);

-- Money that somebody was asked for through Stripe. Columns from `is_processing` to `disputed_amount` are what is known
-- of it: facts that only grow, whatever order they are told in; `status` follows from them alone.
CREATE TABLE payment_requests (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('DEPOSIT', 'BALANCE')),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status text NOT NULL CHECK (status IN ('PENDING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED',
                                           'PARTIALLY_REFUNDED', 'REFUNDED', 'DISPUTED')),
    is_processing boolean NOT NULL DEFAULT false,
    has_failed boolean NOT NULL DEFAULT false,
    has_expired boolean NOT NULL DEFAULT false,
    is_cancelled boolean NOT NULL DEFAULT false,
    paid_amount bigint NOT NULL DEFAULT 0,
    refunded_amount bigint NOT NULL DEFAULT 0,
    dispute text CHECK (dispute IN ('OPEN', 'WON', 'LOST')),
    disputed_amount bigint NOT NULL DEFAULT 0,
    -- The checkout session, its page, until when it can be paid, and the payment that it led to.
    session_id text,
    url text,
    expires_at timestamptz NOT NULL CHECK (isfinite(expires_at)),
    intent_id text,
    cancel_requested_at timestamptz,
    -- Why money that came in is given back.
    refusal text CHECK (refusal IN ('HOLD_LOST', 'BOOKING_CANCELLED', 'PAYMENT_CANCELLED')),
    -- Why Stripe would not make the page.
    failure text CHECK (length(failure) <= 500),
    -- Of the action that asked for it: asked again, it is the same payment.
    idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    paid_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT payment_request_event FOREIGN KEY (organization_id, event_id) REFERENCES events,
    CONSTRAINT payment_request_once UNIQUE (organization_id, idempotency_key),
    -- All that was asked for or nothing, and never more back than came in.
    CONSTRAINT payment_request_paid_in_full CHECK (paid_amount IN (0, amount)),
    CONSTRAINT payment_request_refund_within CHECK (refunded_amount BETWEEN 0 AND paid_amount)
);
CREATE INDEX payment_requests_event ON payment_requests (organization_id, event_id);
CREATE INDEX payment_requests_intent ON payment_requests (intent_id);
SELECT protect_tenant_table('payment_requests');

-- Which bookings a payment is for, and how much of it for each.
CREATE TABLE payment_shares (
    organization_id uuid NOT NULL,
    payment_request_id uuid NOT NULL,
    booking_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (organization_id, payment_request_id, booking_id),
    CONSTRAINT payment_share_request FOREIGN KEY (organization_id, payment_request_id) REFERENCES payment_requests,
    CONSTRAINT payment_share_booking FOREIGN KEY (organization_id, booking_id) REFERENCES bookings
);
CREATE INDEX payment_shares_booking ON payment_shares (organization_id, booking_id);
SELECT protect_tenant_table('payment_shares');

-- Refunds that we asked for. Those made at Stripe itself are told by its events only.
CREATE TABLE payment_refunds (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    payment_request_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    reason text NOT NULL CHECK (reason IN ('REQUESTED', 'HOLD_LOST', 'BOOKING_CANCELLED', 'PAYMENT_CANCELLED')),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 200),
    status text NOT NULL CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED')),
    refund_id text,
    idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT payment_refund_request FOREIGN KEY (organization_id, payment_request_id) REFERENCES payment_requests,
    CONSTRAINT payment_refund_once UNIQUE (organization_id, idempotency_key)
);
CREATE INDEX payment_refunds_request ON payment_refunds (organization_id, payment_request_id);
SELECT protect_tenant_table('payment_refunds');

-- `payments` stays the ledger of money that moved, one row for each booking and movement: all sums read it alone.
ALTER TABLE payments
    ADD COLUMN payment_request_id uuid,
    ADD CONSTRAINT payment_of_request FOREIGN KEY (organization_id, payment_request_id) REFERENCES payment_requests,
    DROP CONSTRAINT payments_method_check,
    ADD CONSTRAINT payments_method_check CHECK (method IN ('BANK_TRANSFER', 'CASH', 'CARD', 'OTHER', 'STRIPE'));
CREATE INDEX payments_request ON payments (organization_id, payment_request_id) WHERE payment_request_id IS NOT NULL;

-- Events that providers sent, so that each is worked on once. Whose they are is found out when they are worked on, so
-- they belong to no organization; what is personal in them is not kept.
CREATE TABLE received_events (
    provider text NOT NULL CHECK (length(provider) BETWEEN 1 AND 40),
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 200),
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (provider, external_id)
);
CREATE INDEX received_events_age ON received_events (received_at);
GRANT SELECT, INSERT, DELETE ON received_events TO event_planner_app;

CREATE VIEW reporting.payment_requests WITH (security_invoker = true) AS
SELECT id, event_id, kind, status, currency, amount, reporting.major_units(amount, currency) AS asked,
       paid_amount, reporting.major_units(paid_amount, currency) AS paid,
       refunded_amount, reporting.major_units(refunded_amount, currency) AS refunded,
       expires_at, paid_at, created_at, updated_at
FROM public.payment_requests;
COMMENT ON VIEW reporting.payment_requests IS 'Money that was asked for through Stripe; what came in and went back is in payments, too.';
COMMENT ON COLUMN reporting.payment_requests.kind IS 'DEPOSIT or BALANCE.';
COMMENT ON COLUMN reporting.payment_requests.status IS 'PENDING, PROCESSING, SUCCEEDED, FAILED, CANCELLED, EXPIRED, PARTIALLY_REFUNDED, REFUNDED or DISPUTED.';
COMMENT ON COLUMN reporting.payment_requests.amount IS 'Minor units of currency (cents).';
COMMENT ON COLUMN reporting.payment_requests.asked IS 'The same in units of currency (dollars).';
COMMENT ON COLUMN reporting.payment_requests.expires_at IS 'Until when it can be paid.';
GRANT SELECT ON reporting.payment_requests TO event_planner_reporting;
SELECT reporting.grant_columns();
