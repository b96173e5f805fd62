-- Two organizations with one shape. `zebra` is in every text of the second, `quagga` in every personal text of the first:
-- neither may ever come out.
INSERT INTO organizations VALUES
    ('00000000-0000-7000-8000-00000000000a', 'Acme', 1, '2026-01-01Z', '2026-01-01Z'),
    ('00000000-0000-7000-8000-00000000000b', 'zebra', 1, '2026-01-01Z', '2026-01-01Z');
INSERT INTO members SELECT id, '00000000-0000-7000-8000-0000000000ff', CASE name WHEN 'Acme' THEN 'quagga' ELSE name END,
    CASE name WHEN 'Acme' THEN 'quagga' ELSE name END || '@example.com', 'OWNER', 1, created_at, updated_at FROM organizations;

INSERT INTO venues (organization_id, id, external_id, name, description, address, city, country, latitude, longitude, time_zone,
    capacity, has_event_room, amenities, rating, currency, hire_fee, hourly_rate, event_room_fee, tax_rate_bps, deposit_rate_bps,
    setup_minutes, teardown_minutes, outside_catering_allowed, catering_cuisines, catering_dietary_options,
    catering_service_fee_bps, cancellation_terms, city_key, search_text, created_at, updated_at)
SELECT o.id, v.id::uuid, v.external_id || o.name, CASE o.name WHEN 'Acme' THEN v.name ELSE 'zebra' END, 'quagga', 'quagga', v.city, v.country,
    37.77, -122.41, v.zone, v.capacity, true, v.amenities, v.rating, v.currency, 10000, 2000, 0, 825, 2500, 60, 60, true, '{}', '{}', 0, '[]',
    lower(v.city), 'quagga', '2026-01-02Z', '2026-01-02Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000101', 'v1', 'Harbor Hall', 'San Francisco', 'US', 'America/Los_Angeles', 200, '{projector,stage}'::text[], 80, 'USD'),
    ('00000000-0000-7000-8000-000000000102', 'v2', 'Garden "Loft"', 'San Francisco', 'US', 'America/Los_Angeles', 80, '{garden}', 95, 'USD'),
    ('00000000-0000-7000-8000-000000000103', 'v3', 'Sakura', 'Tokyo', 'JP', 'Asia/Tokyo', 60, '{}', 70, 'JPY')
) v (id, external_id, name, city, country, zone, capacity, amenities, rating, currency);

INSERT INTO caterers (organization_id, id, name, city, country, latitude, longitude, time_zone, delivery_radius_km, cuisines,
    dietary_options, rating, currency, price_per_guest, minimum_order, delivery_fee, service_fee_bps, tax_rate_bps,
    deposit_rate_bps, minimum_guests, maximum_guests, daily_capacity, cancellation_terms, city_key, search_text, created_at, updated_at)
SELECT o.id, '00000000-0000-7000-8000-000000000201', CASE o.name WHEN 'Acme' THEN 'Trattoria' ELSE 'zebra' END, 'San Francisco', 'US', 37.7, -122.4,
    'America/Los_Angeles', 30, '{italian,vegan}', '{vegan,halal}', 90, 'USD', 8000, 0, 5000, 1000, 825, 2000, 10, 300, 2, '[]',
    'san francisco', 'quagga', '2026-01-02Z', '2026-01-02Z'
FROM organizations o;

INSERT INTO events (organization_id, id, title, event_type, status, local_start, time_zone, fold, duration_minutes, starts_at,
    ends_at, capacity, budget_amount, budget_currency, contact_name, contact_email, contact_phone, notes, created_at, updated_at)
SELECT o.id, e.id::uuid, CASE o.name WHEN 'Acme' THEN e.title ELSE 'zebra' END, e.type, e.status, e.local, e.zone, 'EARLIER', e.minutes,
    e.local AT TIME ZONE e.zone, e.local AT TIME ZONE e.zone + e.minutes * interval '1 minute', e.capacity, e.budget, e.currency,
    'quagga', 'quagga@example.com', '+1 quagga', 'quagga', '2026-02-01Z', '2026-02-01Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000301', 'Offsite', 'OFFSITE', 'PLANNED', '2026-09-15 18:00'::timestamp, 'America/Los_Angeles', 240, 120, 500000, 'USD'),
    ('00000000-0000-7000-8000-000000000302', 'Summit', 'CONFERENCE', 'PUBLISHED', '2026-10-01 09:00', 'America/Los_Angeles', 480, 200, 2000000, 'USD'),
    ('00000000-0000-7000-8000-000000000303', 'Wedding ♥', 'WEDDING', 'DRAFT', '2026-10-24 15:00', 'Europe/Berlin', 600, NULL, NULL, NULL),
    ('00000000-0000-7000-8000-000000000304', 'Dinner in Tokyo', 'DINNER', 'COMPLETED', '2026-03-20 19:00', 'Asia/Tokyo', 180, 40, 300000, 'JPY')
) e (id, title, type, status, local, zone, minutes, capacity, budget, currency);
-- The other one is large, so that it dominates every statistic.
INSERT INTO events (organization_id, id, title, event_type, status, local_start, time_zone, fold, duration_minutes, starts_at, ends_at, created_at, updated_at)
SELECT '00000000-0000-7000-8000-00000000000b', ('00000000-0000-7000-9000-' || lpad(i::text, 12, '0'))::uuid, 'zebra', 'OTHER', 'DRAFT',
    '2026-01-01', 'UTC', 'EARLIER', 60, '2026-01-01Z', '2026-01-01 01:00Z', '2026-01-01Z', '2026-01-01Z'
FROM generate_series(1, 2000) i;

INSERT INTO bookings (organization_id, id, event_id, venue_id, caterer_id, status, number_of_guests, starts_at, ends_at,
    occupied_from, occupied_until, service_date, slot, currency, total_amount, deposit_amount, lines, cancellation_terms,
    expires_at, confirmed_at, cancelled_at, cancellation_reason, cancellation_fee_amount, availability_version, created_at, updated_at)
SELECT o.id, b.id::uuid, b.event::uuid, b.venue::uuid, b.caterer::uuid, b.status, b.guests, e.starts_at, e.ends_at, e.starts_at - interval '1 h',
    e.ends_at + interval '1 h', e.local_start::date, b.slot, b.currency, b.total, b.deposit, '[]', '[]',
    CASE b.status WHEN 'HELD' THEN '2026-09-01Z'::timestamptz END, CASE b.status WHEN 'CONFIRMED' THEN '2026-02-02Z'::timestamptz END,
    CASE b.status WHEN 'CANCELLED' THEN '2026-02-03Z'::timestamptz END, CASE b.status WHEN 'CANCELLED' THEN 'REQUESTED' END, b.fee,
    1, '2026-02-01Z', '2026-02-03Z'
FROM organizations o CROSS JOIN (VALUES
    ('00000000-0000-7000-8000-000000000401', '00000000-0000-7000-8000-000000000301', '00000000-0000-7000-8000-000000000101', NULL, 'CONFIRMED', 120, NULL::smallint, 'USD', 200000, 50000, NULL::bigint),
    ('00000000-0000-7000-8000-000000000402', '00000000-0000-7000-8000-000000000301', NULL, '00000000-0000-7000-8000-000000000201', 'HELD', 115, 1, 'USD', 120000, 24000, NULL),
    ('00000000-0000-7000-8000-000000000403', '00000000-0000-7000-8000-000000000302', '00000000-0000-7000-8000-000000000102', NULL, 'CANCELLED', 80, NULL, 'USD', 900000, 225000, 30000),
    ('00000000-0000-7000-8000-000000000404', '00000000-0000-7000-8000-000000000304', '00000000-0000-7000-8000-000000000103', NULL, 'CONFIRMED', 38, NULL, 'JPY', 150000, 0, NULL)
) b (id, event, venue, caterer, status, guests, slot, currency, total, deposit, fee)
JOIN events e ON e.organization_id = o.id AND e.id = b.event::uuid;

INSERT INTO payments (organization_id, id, booking_id, kind, method, amount, currency, reference, received_at, created_at)
SELECT o.id, p.id::uuid, p.booking::uuid, p.kind, 'BANK_TRANSFER', p.amount, p.currency, 'quagga', p.received, p.received
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000501', '00000000-0000-7000-8000-000000000401', 'DEPOSIT', 50000, 'USD', '2026-02-10 12:00Z'::timestamptz),
    ('00000000-0000-7000-8000-000000000502', '00000000-0000-7000-8000-000000000401', 'REFUND', 10000, 'USD', '2026-03-05 12:00Z'),
    ('00000000-0000-7000-8000-000000000503', '00000000-0000-7000-8000-000000000404', 'BALANCE', 150000, 'JPY', '2026-03-21 12:00Z')
) p (id, booking, kind, amount, currency, received);

INSERT INTO payment_requests (organization_id, id, event_id, kind, amount, currency, status, paid_amount, session_id, url, expires_at,
    failure, idempotency_key, created_at, updated_at)
SELECT o.id, r.id::uuid, r.event::uuid, r.kind, r.amount, 'USD', r.status, r.paid, 'quagga', 'https://zebra.example', '2026-03-01Z', 'quagga',
    'zebra', '2026-02-01Z', '2026-02-01Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000701', '00000000-0000-7000-8000-000000000301', 'DEPOSIT', 50000, 'SUCCEEDED', 50000)
) r (id, event, kind, amount, status, paid);

INSERT INTO plans (organization_id, id, brief, findings, expires_at, created_at)
SELECT id, '00000000-0000-7000-8000-000000000601',
    '{"number_of_guests": 120, "event_type": "OFFSITE", "location": {"city": "San Francisco"}, "special_requirements": "quagga zebra"}',
    '{}', '2026-09-01Z', '2026-02-01Z' FROM organizations;
INSERT INTO plan_options (organization_id, plan_id, rank, option)
SELECT id, '00000000-0000-7000-8000-000000000601', rank, jsonb_build_object('rank', rank, 'score', 9000 - rank, 'date', '2026-09-15',
    'venue', jsonb_build_object('id', '00000000-0000-7000-8000-000000000101', 'name', 'quagga zebra'), 'catering', '{"in_house": false}'::jsonb,
    'within_budget', true, 'total', jsonb_build_object('amount', 300000 + rank, 'currency', 'USD'), 'per_guest', '{"amount": 2500, "currency": "USD"}'::jsonb)
FROM organizations, generate_series(1, 3) rank;

INSERT INTO tasks (organization_id, id, event_id, title, description, status, days_before, due_time, due_at, checklist,
    checklist_item, completed_at, created_at, updated_at)
SELECT o.id, t.id::uuid, '00000000-0000-7000-8000-000000000301', CASE o.name WHEN 'Acme' THEN t.title ELSE 'zebra' END, 'quagga zebra',
    t.status, t.days, '17:00', '2026-09-16 00:00Z'::timestamptz - t.days * interval '1 day', 'offsite', t.item,
    CASE t.status WHEN 'DONE' THEN '2026-08-01Z'::timestamptz END, '2026-02-01Z', '2026-02-01Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000701', 'Sign the contracts', 'DONE', 35, 'contracts'),
    ('00000000-0000-7000-8000-000000000702', 'Book the bus', 'OPEN', 14, 'travel')
) t (id, title, status, days, item);
INSERT INTO messages (organization_id, id, event_id, channel, recipient, notice, text, status, failure, provider_id, sent_at, created_at, updated_at)
SELECT o.id, m.id::uuid, '00000000-0000-7000-8000-000000000301', m.channel, 'quagga', 'quagga', 'quagga zebra', m.status, 'quagga', 'quagga',
    m.sent_at, '2026-09-01Z', '2026-09-01Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000751', 'SMS', 'DELIVERED', '2026-09-01Z'::timestamptz),
    ('00000000-0000-7000-8000-000000000752', 'SLACK', 'FAILED', NULL)
) m (id, channel, status, sent_at);
INSERT INTO audit_entries (organization_id, id, occurred_at, actor_kind, action, subject_type, subject_id, request_id)
SELECT id, '00000000-0000-7000-8000-000000000771', '2026-09-01Z', 'SYSTEM', 'quagga', 'quagga', '00000000-0000-7000-8000-000000000301', 'quagga'
FROM organizations;
INSERT INTO webhook_endpoints (organization_id, id, url, description, event_types, secret, created_at, updated_at)
SELECT o.id, e.id::uuid, 'https://quagga.example', 'quagga', ARRAY['quagga'], 'quagga', '2026-09-01Z', '2026-09-01Z'
FROM organizations o, (VALUES ('00000000-0000-7000-8000-000000000781'), ('00000000-0000-7000-8000-000000000782')) e (id);
INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, entry_id, event_type, status, attempts, last_status_code, last_reason, created_at, ended_at)
SELECT o.id, d.id::uuid, d.endpoint::uuid, '00000000-0000-7000-8000-000000000771', CASE o.name WHEN 'Acme' THEN 'event.published' ELSE 'zebra' END,
    d.status, d.attempts, d.code, d.reason, '2026-09-01Z', '2026-09-02Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-000000000791', '00000000-0000-7000-8000-000000000781', 'DELIVERED', 2, 204, NULL),
    ('00000000-0000-7000-8000-000000000792', '00000000-0000-7000-8000-000000000782', 'FAILED', 10, 500, 'STATUS')
) d (id, endpoint, status, attempts, code, reason);
INSERT INTO orchestrations (organization_id, id, event_id, is_booking_run, playbook, definition, description, facts, notes, priority,
    status, estimated_duration_minutes, estimated_tokens, created_at, updated_at, started_at)
SELECT o.id, r.id::uuid, '00000000-0000-7000-8000-000000000301', r.is_booking_run, CASE o.name WHEN 'Acme' THEN r.playbook ELSE 'zebra' END,
    '{"quagga": "zebra"}', 'quagga', '{"city": "quagga"}', ARRAY['quagga'], 'NORMAL', r.status, 30, 900, '2026-09-01Z', '2026-09-01Z', '2026-09-01Z'
FROM organizations o, (VALUES
    ('00000000-0000-7000-8000-0000000007a1', true, 'booking', 'SUCCEEDED'),
    ('00000000-0000-7000-8000-0000000007a2', false, 'offsite', 'WAITING')
) r (id, is_booking_run, playbook, status);
ANALYZE;
