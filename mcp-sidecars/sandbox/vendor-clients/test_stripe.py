"""Stripe's own client, unchanged, against the sandbox: it must not notice the difference."""
import json
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import stripe

SANDBOX = os.environ["SANDBOX_URL"].rstrip("/")
FULL = "sk_test_sandbox-full-access-no-real-key"
LIVE = "sk_live_sandbox-plays-live-no-real-key"
OTHER = "sk_test_sandbox-connected-account-no-real-key"
SIDECAR = "rk_test_sandbox-what-the-sidecar-needs-no-real-key"
READER = "rk_test_sandbox-reads-only-no-real-key"


def connect(key=FULL, **more):
    more.setdefault("max_network_retries", 0)
    return stripe.StripeClient(key, base_addresses={"api": f"{SANDBOX}/stripe"}, **more).v1


@pytest.fixture
def api():
    return connect()


@pytest.fixture(autouse=True)
def without_faults():
    yield
    control("DELETE", "/sandbox/faults")


def control(method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(SANDBOX + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def counts():
    return control("GET", "/sandbox/counts")["stripe"]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def choose(url, choice):
    """Presses a button of the page; the status, the address that it leads to, and the page."""
    data = urllib.parse.urlencode({"choice": choice}).encode()
    try:
        with urllib.request.build_opener(NoRedirect).open(url, data) as answer:
            return answer.status, None, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers.get("location"), answer.read().decode()


def session(api, **more):
    params = {
        "mode": "payment",
        "line_items": [
            {"price_data": {"currency": "usd", "unit_amount": 8000, "product_data": {"name": "Dinner"}}, "quantity": 2},
            {"price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Parking"}}, "quantity": 1},
        ],
        "success_url": "https://planner.example/paid?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://planner.example/back",
        "metadata": {"event_id": "e-1"},
        "payment_intent_data": {"metadata": {"event_id": "e-1"}},
        **more,
    }
    return api.checkout.sessions.create(params)


def paid(api, amount=1000, currency="usd", **more):
    params = {"amount": amount, "currency": currency, "payment_method": "pm_card_visa", "confirm": True, **more}
    return api.payment_intents.create(params)


def refusal(act):
    with pytest.raises(stripe.StripeError) as caught:
        act()
    return caught.value


def test_the_page_shows_what_happened_as_text(api):
    made = session(api, line_items=[{
        "price_data": {"currency": "usd", "unit_amount": 12345, "product_data": {"name": "<b>Dinner</b>"}}, "quantity": 1}])
    with urllib.request.urlopen(f"{SANDBOX}/sandbox/views/stripe") as view:
        text = view.read().decode()
    assert made.id in text and "123.45 USD" in text and made.url in text
    assert "<b>" not in text and "Dinner" in text
    with urllib.request.urlopen(made.url) as page:
        assert "<b>" not in page.read().decode()


# Customers, products, prices

def test_a_customer_is_kept_changed_and_deleted(api):
    customer = api.customers.create({"name": "Ada", "email": "ada@example.com", "metadata": {"a": "1", "b": "2"}})
    assert customer.id.startswith("cus_") and customer.livemode is False
    changed = api.customers.update(customer.id, {"metadata": {"a": "", "c": "3"}, "address": {"city": "Zürich"}})
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"} and changed.address.city == "Zürich"
    assert api.customers.retrieve(customer.id).metadata["c"] == "3"
    assert api.customers.delete(customer.id).deleted is True
    assert api.customers.retrieve(customer.id).deleted is True
    assert customer.id not in [each.id for each in api.customers.list({"limit": 100})]


def test_products_and_prices(api):
    product = api.products.create({"name": "Ticket"})
    price = api.prices.create({"product": product.id, "currency": "eur", "unit_amount": 2500})
    assert (price.unit_amount, str(price.unit_amount_decimal), price.type) == (2500, "2500", "one_time")
    assert api.prices.retrieve(price.id, {"expand": ["product"]}).product.name == "Ticket"
    assert [each.id for each in api.prices.list({"product": product.id})] == [price.id]
    assert api.prices.update(price.id, {"active": False}).active is False
    assert api.products.update(product.id, {"name": "Seat"}).name == "Seat"
    assert api.products.retrieve(product.id).name == "Seat"
    assert product.id in [each.id for each in api.products.list({"ids": [product.id]})]


# Checkout

def test_a_session_is_paid_on_its_page(api):
    made = session(api)
    assert (made.amount_total, made.status, made.payment_status, made.payment_intent) == (16500, "open", "unpaid", None)
    with urllib.request.urlopen(made.url) as page:
        policy, text = page.headers["content-security-policy"], page.read().decode()
    assert "Dinner" in text and "165.00 USD" in text
    assert "form-action 'self' https://planner.example" in policy and "script-src" not in policy
    assert choose(made.url, "pay")[:2] == (303, f"https://planner.example/paid?session={made.id}")
    done = api.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent.latest_charge", "line_items"]})
    assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
    assert done.payment_intent.status == "succeeded" and done.payment_intent.metadata["event_id"] == "e-1"
    assert done.payment_intent.latest_charge.amount_captured == 16500
    assert [line.description for line in done.line_items.data] == ["Dinner", "Parking"]
    charges = counts()["charges"]
    assert choose(f"{SANDBOX}/stripe/pay/{made.id}", "pay")[0] == 303
    assert counts()["charges"] == charges


def test_a_declined_card_leaves_the_session_open_and_cancel_goes_back(api):
    made = session(api)
    status, _, text = choose(made.url, "decline")
    assert status == 200 and "declined" in text
    assert choose(made.url, "cancel")[:2] == (303, "https://planner.example/back")
    still = api.checkout.sessions.retrieve(made.id, {"expand": ["payment_intent"]})
    assert still.status == "open" and still.payment_intent.last_payment_error.code == "card_declined"
    assert choose(made.url, "pay")[0] == 303
    assert api.checkout.sessions.retrieve(made.id).payment_status == "paid"


def test_sessions_are_listed_expired_and_checked(api):
    made = session(api, client_reference_id="r-1", expires_at=int(time.time()) + 3600)
    lines = api.checkout.sessions.line_items.list(made.id, {"limit": 1})
    assert (len(lines.data), lines.has_more) == (1, True)
    assert made.id in [each.id for each in api.checkout.sessions.list({"status": "open", "limit": 100})]
    assert api.checkout.sessions.update(made.id, {"metadata": {"x": "y"}}).metadata["x"] == "y"
    assert api.checkout.sessions.expire(made.id).status == "expired"
    assert refusal(lambda: api.checkout.sessions.expire(made.id)).http_status == 400
    assert refusal(lambda: session(api, expires_at=int(time.time()) + 60)).param == "expires_at"
    cheap = [{"price_data": {"currency": "usd", "unit_amount": 1, "product_data": {"name": "x"}}, "quantity": 1}]
    assert refusal(lambda: session(api, line_items=cheap)).code == "amount_too_small"


def test_a_payment_link_makes_sessions_until_its_limit(api):
    product = api.products.create({"name": "Ticket"})
    price = api.prices.create({"product": product.id, "currency": "jpy", "unit_amount": 5000})
    link = api.payment_links.create({
        "line_items": [{"price": price.id, "quantity": 2}],
        "restrictions": {"completed_sessions": {"limit": 1}},
        "after_completion": {"type": "redirect", "redirect": {"url": "https://planner.example/thanks"}},
    })
    assert link.active and link.currency == "jpy"
    with pytest.raises(urllib.error.HTTPError) as moved:
        urllib.request.build_opener(NoRedirect).open(link.url)
    assert choose(moved.value.headers["location"], "pay")[:2] == (303, "https://planner.example/thanks")
    [made] = api.checkout.sessions.list({"payment_link": link.id}).data
    assert (made.amount_total, made.payment_status) == (10000, "paid")
    assert api.payment_links.retrieve(link.id).active is False
    assert api.payment_links.line_items.list(link.id).data[0].quantity == 2
    assert api.payment_links.update(link.id, {"active": True}).active is True
    assert link.id in [each.id for each in api.payment_links.list({"active": True, "limit": 100})]


# Payments and refunds

def test_payment_intents_go_through_their_states(api):
    intent = api.payment_intents.create({"amount": 2000, "currency": "usd", "capture_method": "manual"})
    assert intent.status == "requires_payment_method"
    assert refusal(lambda: api.payment_intents.capture(intent.id)).code == "payment_intent_unexpected_state"
    assert api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "requires_capture"
    captured = api.payment_intents.capture(intent.id, {"amount_to_capture": 1500})
    assert (captured.status, captured.amount_received) == ("succeeded", 1500)
    other = api.payment_intents.create({"amount": 2000, "currency": "usd"})
    assert api.payment_intents.update(other.id, {"description": "later"}).description == "later"
    assert api.payment_intents.cancel(other.id, {"cancellation_reason": "abandoned"}).status == "canceled"
    assert refusal(lambda: api.payment_intents.cancel(other.id)).code == "payment_intent_unexpected_state"


def test_a_declined_card_is_a_card_error_and_leaves_its_traces(api):
    error = refusal(lambda: paid(api, payment_method="pm_card_visa_chargeDeclinedInsufficientFunds"))
    assert isinstance(error, stripe.CardError) and error.http_status == 402
    assert (error.code, error.error.decline_code) == ("card_declined", "insufficient_funds")
    intent = api.payment_intents.retrieve(error.error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert api.charges.retrieve(intent.latest_charge).failure_code == "card_declined"


def test_refunds_never_exceed_what_was_paid(api):
    intent = paid(api, 1000)
    first = api.refunds.create({"payment_intent": intent.id, "amount": 300, "reason": "requested_by_customer"})
    assert (first.amount, first.status, first.charge) == (300, "succeeded", intent.latest_charge)
    assert refusal(lambda: api.refunds.create({"payment_intent": intent.id, "amount": 701})).param == "amount"
    assert api.refunds.create({"charge": intent.latest_charge}).amount == 700
    assert refusal(lambda: api.refunds.create({"payment_intent": intent.id})).code == "charge_already_refunded"
    charge = api.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded, len(charge.refunds.data)) == (True, 1000, 2)
    assert [each.amount for each in api.refunds.list({"payment_intent": intent.id})] == [700, 300]
    assert api.refunds.update(first.id, {"metadata": {"a": "b"}}).metadata["a"] == "b"
    assert api.refunds.retrieve(first.id).amount == 300
    assert [each.id for each in api.charges.list({"payment_intent": intent.id})] == [charge.id]
    unpaid = api.payment_intents.create({"amount": 100, "currency": "usd"})
    assert refusal(lambda: api.refunds.create({"payment_intent": unpaid.id})).http_status == 400


def test_the_balance_is_what_was_paid_and_not_given_back(api):
    def kwd():
        return sum(each.amount for each in api.balance.retrieve().available if each.currency == "kwd")

    before = kwd()
    intent = paid(api, 12340, "kwd")
    api.refunds.create({"payment_intent": intent.id, "amount": 340})
    assert kwd() - before == 12000


@pytest.mark.parametrize("amount, currency, code", [
    (49, "usd", "amount_too_small"), (29, "gbp", "amount_too_small"), (100_000_000, "usd", "amount_too_large"),
    (0, "usd", "parameter_invalid_integer"), (12345, "kwd", "invalid_charge_amount"), (100, "xxx", None),
])
def test_amounts_that_cannot_be_charged(api, amount, currency, code):
    error = refusal(lambda: paid(api, amount, currency))
    assert isinstance(error, stripe.InvalidRequestError) and error.code == code
    assert error.param == ("currency" if currency == "xxx" else "amount")


# Invoices

def invoice(api, amount=5000):
    customer = api.customers.create({"email": "ada@example.com", "name": "Ada"})
    made = api.invoices.create({"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 14})
    api.invoice_items.create({
        "customer": customer.id, "invoice": made.id, "currency": "usd",
        "unit_amount_decimal": str(amount), "quantity": 2, "description": "Hall",
    })
    return made


def test_an_invoice_is_finalized_sent_and_paid_on_its_page(api):
    draft = invoice(api)
    assert api.invoices.retrieve(draft.id).total == 10000
    open_one = api.invoices.finalize_invoice(draft.id)
    assert (open_one.status, open_one.amount_due) == ("open", 10000) and open_one.number
    assert api.invoices.send_invoice(draft.id).status == "open"
    assert choose(open_one.hosted_invoice_url, "decline")[0] == 200
    assert choose(open_one.hosted_invoice_url, "pay")[0] == 200
    done = api.invoices.retrieve(draft.id, {"expand": ["payments"]})
    assert (done.status, done.amount_paid, done.amount_remaining) == ("paid", 10000, 0)
    intent = api.payment_intents.retrieve(done.payments.data[0].payment.payment_intent)
    assert intent.status == "succeeded"
    assert refusal(lambda: api.invoices.void_invoice(draft.id)).http_status == 400
    assert draft.id in [each.id for each in api.invoices.list({"status": "paid", "limit": 100})]


def test_an_invoice_is_voided_or_paid_elsewhere(api):
    draft = invoice(api)
    assert refusal(lambda: api.invoices.void_invoice(draft.id)).http_status == 400
    api.invoices.finalize_invoice(draft.id)
    assert refusal(lambda: api.invoices.finalize_invoice(draft.id)).code == "invoice_not_editable"
    assert api.invoices.void_invoice(draft.id).status == "void"
    other = invoice(api)
    assert api.invoices.update(other.id, {"footer": "Thanks"}).footer == "Thanks"
    assert api.invoices.pay(other.id, {"paid_out_of_band": True}).status == "paid"
    third = invoice(api)
    assert api.invoices.pay(third.id, {"payment_method": "pm_card_visa"}).status == "paid"
    [line] = api.invoices.line_items.list(third.id).data
    assert (line.amount, line.description, line.quantity) == (10000, "Hall", 2)
    [item] = api.invoice_items.list({"invoice": third.id}).data
    assert api.invoice_items.retrieve(item.id).amount == 10000
    assert len(api.invoice_payments.list({"invoice": third.id}).data) == 1


# Lists and expand

def test_lists_page_forwards_and_backwards(api):
    email = f"{uuid.uuid4().hex}@example.com"
    ids = [api.customers.create({"email": email}).id for _ in range(7)]
    first = api.customers.list({"email": email, "limit": 3})
    assert [each.id for each in first.auto_paging_iter()] == ids[::-1]
    second = api.customers.list({"email": email, "limit": 3, "starting_after": ids[4]})
    assert ([each.id for each in second.data], second.has_more) == (ids[3:0:-1], True)
    back = api.customers.list({"email": email, "limit": 3, "ending_before": ids[0]})
    assert ([each.id for each in back.data], back.has_more) == (ids[3:0:-1], True)
    assert [each.id for each in back.auto_paging_iter()] == ids[1:]
    now = int(time.time())
    assert len(api.customers.list({"email": email, "created": {"gte": now - 60, "lt": now + 60}}).data) == 7
    assert api.customers.list({"email": email, "created": {"gt": now + 60}}).data == []
    assert refusal(lambda: api.customers.list({"limit": 101})).param == "limit"
    assert refusal(lambda: api.customers.list({"starting_after": "cus_none"})).code == "resource_missing"


def test_expand_puts_objects_in_the_place_of_ids(api):
    customer = api.customers.create({"name": "Ada"})
    intent = paid(api, customer=customer.id)
    shown = api.payment_intents.retrieve(intent.id, {"expand": ["customer", "latest_charge"]})
    assert shown.customer.name == "Ada" and shown.latest_charge.paid is True
    listed = api.payment_intents.list({"customer": customer.id, "expand": ["data.customer"]})
    assert listed.data[0].customer.name == "Ada"
    assert refusal(lambda: api.payment_intents.retrieve(intent.id, {"expand": ["amount"]})).http_status == 400


# Refusals

def test_parameters_are_checked_to_the_letter(api):
    def error(params):
        return refusal(lambda: api.checkout.sessions.create(params))

    unknown = error({"mode": "payment", "line_items": [{"price_dat": {"currency": "usd"}}]})
    assert (unknown.code, unknown.param) == ("parameter_unknown", "line_items[0][price_dat]")
    missing = error({"mode": "payment", "success_url": "https://a.example"})
    assert (missing.code, missing.param) == ("parameter_missing", "line_items")
    assert missing.error.doc_url.endswith("parameter-missing") and missing.request_id.startswith("req_")
    assert refusal(lambda: api.customers.create({"email": "nobody"})).code == "email_invalid"
    assert refusal(lambda: api.customers.create({"metadata": {"k" * 41: "v"}})).http_status == 400
    assert refusal(lambda: api.payment_intents.create({"amount": "ten", "currency": "usd"})).code == "parameter_invalid_integer"
    gone = refusal(lambda: api.payment_intents.retrieve("pi_none"))
    assert (gone.http_status, gone.code, gone.param) == (404, "resource_missing", "intent")
    named = refusal(lambda: api.payment_intents.create({"amount": 100, "currency": "usd", "customer": "cus_none"}))
    assert (named.http_status, named.code, named.param) == (400, "resource_missing", "customer")


def test_keys_open_what_they_may_and_nothing_else(api):
    assert isinstance(refusal(lambda: connect("sk_test_unknown").balance.retrieve()), stripe.AuthenticationError)
    expired = refusal(lambda: connect("sk_test_sandbox-expired-long-ago-no-real-key").balance.retrieve())
    assert (expired.http_status, expired.error.code) == (401, "api_key_expired")
    reader = connect(READER)
    intent = paid(api)
    assert reader.payment_intents.retrieve(intent.id).id == intent.id
    denied = refusal(lambda: reader.refunds.create({"payment_intent": intent.id}))
    assert isinstance(denied, stripe.PermissionError) and denied.http_status == 403
    sidecar = connect(SIDECAR)
    assert sidecar.refunds.create({"payment_intent": intent.id}).status == "succeeded"
    assert isinstance(refusal(lambda: sidecar.products.create({"name": "x"})), stripe.PermissionError)


def test_accounts_and_modes_never_see_each_other(api):
    customer = api.customers.create({"name": "Ada"})
    for key in (LIVE, OTHER):
        assert refusal(lambda: connect(key).customers.retrieve(customer.id)).code == "resource_missing"
    live = connect(LIVE).customers.create({"name": "Live"})
    assert live.livemode is True
    assert refusal(lambda: api.customers.retrieve(live.id)).http_status == 404


def raw(method, path, headers=None, body=None):
    headers = {"authorization": f"Bearer {FULL}", **(headers or {})}
    request = urllib.request.Request(f"{SANDBOX}/stripe{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read()), answer.headers


def test_what_no_client_sends_is_refused():
    assert raw("POST", "/v1/customers", {"content-type": "application/json"}, b"{}")[0] == 400
    assert raw("GET", "/v1/nothing")[0] == 404
    assert raw("GET", "/v1/balance", {"stripe-version": "2019-01-01"})[0] == 400
    assert raw("GET", "/v1/balance", {"authorization": ""})[0] == 401
    import base64
    basic = base64.b64encode(f"{FULL}:".encode()).decode()
    assert raw("GET", "/v1/balance", {"authorization": f"Basic {basic}"})[0] == 200
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert raw("POST", "/v1/customers", form, b"name=a&name=b")[0] == 400


# Idempotency

def test_one_key_is_one_effect_and_one_answer(api):
    key = uuid.uuid4().hex
    before = counts()["customers"]
    first = api.customers.create({"name": "Ada"}, {"idempotency_key": key})
    again = api.customers.create({"name": "Ada"}, {"idempotency_key": key})
    assert again.id == first.id and counts()["customers"] == before + 1
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.last_response.headers
    assert again.last_response.headers["original-request"] == first.last_response.headers["request-id"]
    other = refusal(lambda: api.customers.create({"name": "Eve"}, {"idempotency_key": key}))
    assert isinstance(other, stripe.IdempotencyError) and other.http_status == 400
    assert isinstance(refusal(lambda: api.products.create({"name": "Ada"}, {"idempotency_key": key})), stripe.IdempotencyError)
    assert connect(OTHER).customers.create({"name": "Eve"}, {"idempotency_key": key}).name == "Eve"


def test_failures_are_kept_once_work_had_begun_and_only_then(api):
    key = uuid.uuid4().hex
    before = counts()["charges"]
    for _ in range(2):
        declined = refusal(lambda: api.payment_intents.create(
            {"amount": 1000, "currency": "usd", "confirm": True, "payment_method": "pm_card_chargeDeclined"},
            {"idempotency_key": key}))
        assert declined.code == "card_declined"
    assert counts()["charges"] == before + 1
    key = uuid.uuid4().hex
    assert refusal(lambda: api.customers.create({"nam": "Ada"}, {"idempotency_key": key})).code == "parameter_unknown"
    assert api.customers.create({"name": "Ada"}, {"idempotency_key": key}).name == "Ada"


# Bad days

def fault(**more):
    control("POST", "/sandbox/faults", {"provider": "stripe", **more})


def test_the_clients_own_retries_create_nothing_twice():
    api = connect(max_network_retries=3)
    before = counts()["customers"]
    fault(kind="error", status=500, times=1)
    fault(kind="cut", after=True, times=1)
    assert api.customers.create({"name": "Ada"}).id
    assert counts()["customers"] == before + 1


def test_limits_and_errors_are_told_in_stripes_words(api):
    fault(kind="rate_limited", retry_after=1, times=1)
    limited = refusal(lambda: api.balance.retrieve())
    assert isinstance(limited, stripe.RateLimitError) and limited.error.code == "rate_limit"
    assert limited.headers["retry-after"] == "1"
    fault(kind="error", status=500, times=1)
    assert isinstance(refusal(lambda: api.balance.retrieve()), stripe.APIError)
    fault(kind="expired_token", times=1)
    assert isinstance(refusal(lambda: api.balance.retrieve()), stripe.AuthenticationError)
    fault(kind="cut", times=1)
    assert isinstance(refusal(lambda: api.balance.retrieve()), stripe.APIConnectionError)


# Events and webhooks

class Listener:
    """A little server for deliveries; answers 500 the first `failures` times."""

    def __init__(self, failures=0):
        self.received = queue.Queue()
        self.failures = failures
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                listener.received.put((body, self.headers["stripe-signature"]))
                listener.failures -= 1
                self.send_response(500 if listener.failures >= 0 else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, count):
        return [self.received.get(timeout=10) for _ in range(count)]


@pytest.fixture
def listen(api):
    made = []

    def start(events, failures=0):
        listener = Listener(failures)
        endpoint = api.webhook_endpoints.create({"url": listener.url, "enabled_events": events})
        made.append((listener, endpoint.id))
        return listener, endpoint

    yield start
    for listener, endpoint in made:
        api.webhook_endpoints.delete(endpoint)
        listener.server.shutdown()


def test_events_arrive_signed(api, listen):
    listener, endpoint = listen(["checkout.session.completed", "payment_intent.succeeded"])
    made = session(api)
    choose(made.url, "pay")
    events = [stripe.Webhook.construct_event(body, signature, endpoint.secret) for body, signature in listener.take(2)]
    by_type = {event.type: event for event in events}
    completed = by_type["checkout.session.completed"]
    assert completed.data.object.id == made.id and completed.data.object.payment_status == "paid"
    assert by_type["payment_intent.succeeded"].data.object.amount_received == 16500
    assert completed.api_version == stripe.api_version and completed.livemode is False
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(listener_body(events[0]), "t=1,v1=00", endpoint.secret)
    assert listener.received.empty()


def listener_body(event):
    return json.dumps(event.to_dict())


def test_a_delivery_is_tried_again_and_may_come_often(api, listen):
    listener, endpoint = listen(["customer.created"], failures=2)
    customer = api.customers.create({"name": "Ada"}, {"idempotency_key": "k-" + uuid.uuid4().hex})
    tries = [stripe.Webhook.construct_event(body, signature, endpoint.secret) for body, signature in listener.take(3)]
    assert {event.id for event in tries} == {tries[0].id} and tries[0].data.object.id == customer.id
    assert tries[0].request.idempotency_key.startswith("k-")
    control("POST", f"/sandbox/stripe/events/{tries[0].id}/send?times=4")
    assert {json.loads(body)["id"] for body, _ in listener.take(4)} == {tries[0].id}


def test_events_are_kept_and_endpoints_managed(api, listen):
    _, endpoint = listen(["*"])
    assert endpoint.secret.startswith("whsec_")
    shown = api.webhook_endpoints.retrieve(endpoint.id)
    assert "secret" not in shown and shown.status == "enabled"
    assert api.webhook_endpoints.update(endpoint.id, {"disabled": True}).status == "disabled"
    assert endpoint.id in [each.id for each in api.webhook_endpoints.list()]
    customer = api.customers.create({"name": "Ada"})
    api.customers.update(customer.id, {"name": "Eve"})
    latest = api.events.list({"type": "customer.updated", "limit": 1}).data[0]
    assert latest.data.previous_attributes["name"] == "Ada" and latest.data.object.name == "Eve"
    assert api.events.retrieve(latest.id).id == latest.id
