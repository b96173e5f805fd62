"""The sandbox as Twilio's own client sees it."""

import datetime
import http.server
import os
import threading
import time
import urllib.parse
import uuid

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

SANDBOX = os.environ["SANDBOX_URL"]
ACCOUNT = "ACsandbox0000000000000000000000000"
AUTH_TOKEN = "sandbox-twilio-auth-token-no-secret"
API_KEY = ("SKsandbox0000000000000000000000000", "sandbox-twilio-api-key-secret-no-secret")
MESSAGING_SERVICE = "MGsandbox0000000000000000000000000"
VERIFY_SERVICE = "VAsandbox0000000000000000000000000"
OURS = "+15005550006"
PLACES = {"api.twilio.com": "", "lookups.twilio.com": "/lookups", "verify.twilio.com": "/verify"}


class ToSandbox(TwilioHttpClient):
    """The client's own extension point: the same request, to another host."""

    def request(self, method, url, *args, **kwargs):
        parts = urllib.parse.urlsplit(url)
        if parts.hostname in PLACES:
            url = f"{SANDBOX}/twilio{PLACES[parts.hostname]}{parts.path}"
            url += f"?{parts.query}" if parts.query else ""
        return super().request(method, url, *args, **kwargs)


def client(user=ACCOUNT, password=AUTH_TOKEN):
    return Client(user, password, account_sid=ACCOUNT, http_client=ToSandbox(timeout=10))


@pytest.fixture
def twilio():
    requests.delete(f"{SANDBOX}/sandbox/faults", timeout=5)
    yield client()
    requests.delete(f"{SANDBOX}/sandbox/faults", timeout=5)


@pytest.fixture
def number():
    """A number that no other test uses."""
    return f"+1415{2_000_000 + uuid.uuid4().int % 7_000_000}"


@pytest.fixture
def callbacks():
    """A server that takes status callbacks: (address, what came, statuses to answer with)."""
    came, answers = [], []

    class Taker(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
            came.append((self.path, self.headers, fields))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", came, answers
    server.shutdown()
    server.server_close()


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def refusal(work):
    with pytest.raises(TwilioRestException) as caught:
        work()
    return caught.value.status, caught.value.code


def misbehave(**fault):
    answer = requests.post(f"{SANDBOX}/sandbox/faults", json={"provider": "twilio", **fault}, timeout=5)
    assert answer.status_code == 201, answer.text


def test_a_message_is_queued_and_delivered(twilio, number):
    sent = twilio.messages.create(to=number, from_=OURS, body="Doors open at six.")
    assert (sent.status, sent.direction, sent.num_segments) == ("queued", "outbound-api", "1")
    assert sent.date_sent is None and sent.price is None
    seen = until(lambda: (it := twilio.messages(sent.sid).fetch()).status == "delivered" and it)
    assert (seen.body, seen.to, seen.from_, seen.error_code) == ("Doors open at six.", number, OURS, None)
    assert seen.price == "-0.00830" and seen.price_unit == "USD"
    age = datetime.datetime.now(datetime.timezone.utc) - seen.date_sent
    assert abs(age.total_seconds()) < 60


def test_an_api_key_is_as_good_and_a_wrong_one_is_not(number):
    assert client(*API_KEY).messages.create(to=number, from_=OURS, body="x").sid.startswith("SM")
    wrong = client(password="sandbox-but-wrong")
    assert refusal(lambda: wrong.messages.create(to=number, from_=OURS, body="x")) == (401, 20003)
    assert refusal(lambda: wrong.messages("SM0").fetch()) == (401, 20003)


@pytest.mark.parametrize(("fields", "code"), [
    ({"to": "12"}, 21211),
    ({"to": "+15005550001"}, 21211),
    ({"to": "+15005550002"}, 21612),
    ({"to": "+15005550003"}, 21408),
    ({"to": "+15005550004"}, 21610),
    ({"to": "+15005550009"}, 21614),
    ({"from_": "+15005550001"}, 21212),
    ({"from_": "+15005550007"}, 21606),
    ({"from_": "+14155550199"}, 21606),
    ({"messaging_service_sid": "MG" + "0" * 32}, 21701),
    ({"body": ""}, 21602),
    ({"body": "x" * 1601}, 21617),
    ({"status_callback": "nowhere"}, 21609),
    ({"media_url": ["not an address"]}, 21620),
    ({"schedule_type": "fixed", "send_at": datetime.datetime(2099, 1, 1)}, 35118),
    ({"content_sid": "HX" + "0" * 32}, 20001),
])
def test_what_twilio_refuses_is_refused_with_its_code(twilio, number, fields, code):
    right = {"to": number, "from_": OURS, "body": "Hello"}
    assert refusal(lambda: twilio.messages.create(**{**right, **fields})) == (400, code)


def test_long_and_foreign_texts_take_more_segments(twilio, number):
    def segments(body):
        return twilio.messages.create(to=number, from_=OURS, body=body).num_segments
    assert (segments("a" * 160), segments("a" * 161), segments("я" * 71)) == ("1", "2", "2")


@pytest.mark.parametrize(("to", "status", "code"), [
    ("+15005550013", "undelivered", 30003),
    ("+15005550015", "undelivered", 30005),
    ("+15005550018", "failed", 30008),
])
def test_some_numbers_are_never_reached(twilio, to, status, code):
    sent = twilio.messages.create(to=to, from_=OURS, body="Anybody?")
    seen = until(lambda: (it := twilio.messages(sent.sid).fetch()).status == status and it)
    assert seen.error_code == code and seen.error_message


def test_a_list_is_paged_and_filtered(twilio, number):
    sent = [twilio.messages.create(to=number, from_=OURS, body=f"No. {index}").sid for index in range(5)]
    assert [it.sid for it in twilio.messages.stream(to=number, page_size=2)] == sent[::-1]
    first = twilio.messages.page(to=number, page_size=3)
    assert len(list(first)) == 3 and first.next_page_url
    assert len(list(first.next_page())) == 2
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    assert len(twilio.messages.list(to=number, date_sent_after=now - hour, date_sent_before=now + hour)) == 5
    assert twilio.messages.list(to=number, date_sent_after=now + hour) == []
    assert twilio.messages.list(to=number, date_sent_before=now - hour) == []
    assert len(twilio.messages.list(to=number, date_sent=now.date().isoformat())) == 5
    assert twilio.messages.list(to=number, from_="+15005550007") == []


def test_a_message_is_redacted_and_deleted_when_it_is_through(twilio, number):
    sent = twilio.messages.create(to=number, from_=OURS, body="The door code is 4711.")
    assert refusal(sent.delete) == (409, 20009)
    until(lambda: sent.fetch().status == "delivered")
    assert sent.update(body="").body == ""
    assert sent.delete()
    assert refusal(sent.fetch) == (404, 20404)


def test_a_scheduled_message_waits_and_can_be_cancelled(twilio, number):
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    fields = {"to": number, "messaging_service_sid": MESSAGING_SERVICE, "body": "Soon", "schedule_type": "fixed"}
    scheduled = twilio.messages.create(send_at=later, **fields)
    assert (scheduled.status, scheduled.num_segments) == ("scheduled", "0")
    assert scheduled.update(status="canceled").status == "canceled"
    assert refusal(lambda: scheduled.update(status="canceled")) == (400, 30409)
    too_soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
    assert refusal(lambda: twilio.messages.create(send_at=too_soon, **fields)) == (400, 35114)


def test_a_messaging_service_chooses_the_sender(twilio, number):
    accepted = twilio.messages.create(to=number, messaging_service_sid=MESSAGING_SERVICE, body="Hello")
    assert (accepted.status, accepted.from_) == ("accepted", None)
    seen = until(lambda: (it := accepted.fetch()).status == "delivered" and it)
    assert (seen.from_, seen.messaging_service_sid) == (OURS, MESSAGING_SERVICE)


def test_status_callbacks_come_signed(twilio, number, callbacks):
    address, came, _ = callbacks
    url = f"{address}/status?event=1&x=%20y"
    sent = twilio.messages.create(to=number, from_=OURS, body="Hello", status_callback=url)
    until(lambda: len(came) == 3)
    assert [fields["MessageStatus"] for _, _, fields in came] == ["sending", "sent", "delivered"]
    validator = RequestValidator(AUTH_TOKEN)
    for path, headers, fields in came:
        assert fields["MessageSid"] == sent.sid and fields["To"] == number
        assert headers["I-Twilio-Idempotency-Token"]
        signature = headers["X-Twilio-Signature"]
        assert validator.validate(f"{address}{path}", fields, signature)
        assert not validator.validate(f"{address}{path}", {**fields, "MessageStatus": "failed"}, signature)


def test_callbacks_are_repeated_as_the_address_says(twilio, callbacks):
    address, came, answers = callbacks
    answers.extend([500, 500])
    url = f"{address}/status#rc=2&rp=5xx"
    twilio.messages.create(to="+15005550013", from_=OURS, body="Hello", status_callback=url)
    until(lambda: sum(fields["MessageStatus"] == "undelivered" for _, _, fields in came) == 1)
    until(lambda: len(came) == 5)
    tokens = [headers["I-Twilio-Idempotency-Token"] for _, headers, _ in came]
    assert len(set(tokens)) == 3
    last = next(fields for _, _, fields in came if fields["MessageStatus"] == "undelivered")
    assert last["ErrorCode"] == "30003"


def test_who_says_stop_gets_no_more(twilio, number):
    def say(body):
        answer = requests.post(f"{SANDBOX}/sandbox/twilio/inbound", json={"from": number, "body": body}, timeout=5)
        assert answer.status_code == 201
    say(" stop ")
    assert refusal(lambda: twilio.messages.create(to=number, from_=OURS, body="x")) == (400, 21610)
    say("START")
    assert twilio.messages.create(to=number, from_=OURS, body="x").sid
    assert [it.body for it in twilio.messages.list(from_=number)] == ["START", " stop "]


def test_a_lookup_tells_what_a_number_is(twilio):
    seen = twilio.lookups.v2.phone_numbers("+14155552671").fetch(fields="line_type_intelligence")
    assert (seen.valid, seen.country_code, seen.calling_country_code) == (True, "US", "1")
    assert seen.national_format == "(415) 555-2671"
    assert seen.line_type_intelligence["type"] == "mobile"
    seen = twilio.lookups.v2.phone_numbers("020 7946 0000").fetch(country_code="GB")
    assert (seen.valid, seen.phone_number, seen.country_code) == (True, "+442079460000", "GB")
    assert seen.line_type_intelligence is None
    seen = twilio.lookups.v2.phone_numbers("+1415").fetch()
    assert (seen.valid, seen.validation_errors) == (False, ["TOO_SHORT"])
    assert refusal(lambda: twilio.lookups.v2.phone_numbers("nobody").fetch()) == (404, 20404)


def shown_code(number):
    """Reads the code where a person would: on the page."""
    page = requests.get(f"{SANDBOX}/sandbox/views/twilio", timeout=5).text
    row = page[page.index(f"<td>{number}"):]
    return row[row.index('<b class="code">') + len('<b class="code">'):].split("<")[0]


def test_a_number_is_verified_by_the_code_that_was_sent(twilio, number):
    service = twilio.verify.v2.services(VERIFY_SERVICE)
    started = service.verifications.create(to=number, channel="sms")
    assert (started.status, started.valid, len(started.send_code_attempts)) == ("pending", False, 1)
    again = service.verifications.create(to=number, channel="call")
    assert again.sid == started.sid and len(again.send_code_attempts) == 2
    code = shown_code(number)
    wrong = "0" * 6 if code != "0" * 6 else "1" * 6
    assert service.verification_checks.create(to=number, code=wrong).status == "pending"
    right = service.verification_checks.create(to=number, code=code)
    assert (right.status, right.valid) == ("approved", True)
    assert refusal(lambda: service.verification_checks.create(to=number, code=code)) == (404, 20404)
    assert refusal(lambda: service.verifications(started.sid).fetch()) == (404, 20404)


def test_codes_are_not_guessed_and_not_sent_for_ever(twilio, number):
    service = twilio.verify.v2.services(VERIFY_SERVICE)
    for _ in range(5):
        started = service.verifications.create(to=number, channel="sms")
    assert refusal(lambda: service.verifications.create(to=number, channel="sms")) == (429, 60203)
    wrong = "9" * 6 if shown_code(number) != "9" * 6 else "8" * 6
    for _ in range(5):
        assert service.verification_checks.create(verification_sid=started.sid, code=wrong).valid is False
    assert refusal(lambda: service.verification_checks.create(to=number, code=wrong)) == (429, 60202)
    assert service.verifications(number).update(status="canceled").status == "canceled"
    assert service.verifications.create(to=number, channel="sms").sid != started.sid


def test_verify_refuses_as_twilio_does(twilio, number):
    service = twilio.verify.v2.services(VERIFY_SERVICE)
    assert refusal(lambda: service.verifications.create(to="12", channel="sms")) == (400, 60200)
    assert refusal(lambda: service.verifications.create(to=number, channel="pigeon")) == (400, 60200)
    assert refusal(lambda: service.verifications.create(to="+15005550016", channel="sms")) == (403, 60205)
    nowhere = twilio.verify.v2.services("VA" + "0" * 32)
    assert refusal(lambda: nowhere.verifications.create(to=number, channel="sms")) == (404, 20404)


def test_services_are_made_listed_and_removed(twilio, number):
    made = twilio.verify.v2.services.create(friendly_name="Tickets", code_length=8)
    assert made.sid in [it.sid for it in twilio.verify.v2.services.list()]
    made.verifications.create(to=number, channel="sms")
    assert len(shown_code(number)) == 8
    assert made.delete()
    assert refusal(made.fetch) == (404, 20404)
    assert refusal(lambda: twilio.verify.v2.services.create(friendly_name="", code_length=3)) == (400, 60200)


def test_an_account_tells_of_itself(twilio):
    assert twilio.api.accounts(ACCOUNT).fetch().status == "active"


@pytest.mark.parametrize(("fault", "expected"), [
    ({"kind": "rate_limited", "retry_after": 1}, (429, 20429)),
    ({"kind": "error", "status": 500}, (500, 20500)),
    ({"kind": "expired_token"}, (401, 20003)),
])
def test_bad_days_look_like_twilios(twilio, number, fault, expected):
    misbehave(times=1, **fault)
    assert refusal(lambda: twilio.messages.create(to=number, from_=OURS, body="x")) == expected
    assert twilio.messages.create(to=number, from_=OURS, body="x").sid


def test_an_answer_can_be_lost_after_the_effect(twilio, number):
    misbehave(kind="cut", after=True, times=1, path="/Messages")
    with pytest.raises(requests.exceptions.ConnectionError):
        twilio.messages.create(to=number, from_=OURS, body="once")
    assert [it.body for it in twilio.messages.list(to=number)] == ["once"]
