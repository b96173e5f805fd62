"""Google Calendar in the sandbox, driven by Google's own client with its bundled discovery document."""
import json
import os
import urllib.error
import urllib.request
import uuid

import google.auth.exceptions
import pytest
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

SANDBOX = os.environ["SANDBOX_URL"].rstrip("/")
GOOGLE = f"{SANDBOX}/google"
CALENDAR = "https://www.googleapis.com/auth/calendar"
EVENTS = "https://www.googleapis.com/auth/calendar.events"
READ = "https://www.googleapis.com/auth/calendar.readonly"
FREE_BUSY = "https://www.googleapis.com/auth/calendar.freebusy"
PERSON = "planner@sandbox.example"


def credentials(scopes=(CALENDAR,), **changes):
    fields = {
        "token": None,
        "refresh_token": "sandbox-google-refresh-token-for-development-only",
        "client_id": "sandbox-client.apps.googleusercontent.com",
        "client_secret": "sandbox-google-client-secret-for-development-only",
        "token_uri": f"{GOOGLE}/token",
        "scopes": list(scopes),
    }
    return Credentials(**{**fields, **changes})


def key_file():
    with urllib.request.urlopen(f"{GOOGLE}/service-account.json") as answer:
        return json.load(answer)


def service(held):
    endpoint = f"{GOOGLE}/calendar/v3/"
    return build("calendar", "v3", credentials=held, static_discovery=True, cache_discovery=False,
                 client_options={"api_endpoint": endpoint})


def control(method, path, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{SANDBOX}/sandbox/{path}", data=data, method=method,
                                     headers={"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
        return json.loads(text) if text else None


@pytest.fixture(autouse=True)
def no_faults():
    control("DELETE", "faults")
    yield
    control("DELETE", "faults")


@pytest.fixture
def events():
    return service(credentials()).events()


@pytest.fixture
def calendar():
    """A calendar of its own for each test."""
    calendars = service(credentials()).calendars()
    made = calendars.insert(body={"summary": "Test", "timeZone": "Europe/Zurich"}).execute()
    yield made["id"]
    calendars.delete(calendarId=made["id"]).execute()


def timed(summary="Dinner", day="2027-06-12", start="18:00:00", end="22:00:00", **more):
    zone = "Europe/Zurich"
    return {"summary": summary, "start": {"dateTime": f"{day}T{start}", "timeZone": zone},
            "end": {"dateTime": f"{day}T{end}", "timeZone": zone}, **more}


def refused(request):
    with pytest.raises(HttpError) as caught:
        request.execute()
    error = caught.value
    body = json.loads(error.content)["error"]
    assert body["code"] == error.resp.status
    return error.resp.status, body["errors"][0]["reason"]


def test_a_refresh_token_gives_access_tokens_and_narrower_scopes():
    held = credentials(scopes=(EVENTS,))
    held.refresh(Request())
    assert held.token and held.expiry and not held.expired
    assert held.granted_scopes == [EVENTS]


@pytest.mark.parametrize("changes, code", [
    ({"refresh_token": "taken-back"}, "invalid_grant"),
    ({"client_secret": "wrong"}, "invalid_client"),
    ({"client_id": "wrong"}, "invalid_client"),
    ({"scopes": ["https://www.googleapis.com/auth/unknown"]}, "invalid_scope"),
])
def test_wrong_credentials_are_refused_as_google_does(changes, code):
    with pytest.raises(google.auth.exceptions.RefreshError) as caught:
        credentials(**changes).refresh(Request())
    assert caught.value.args[1]["error"] == code


def test_a_service_account_acts_for_itself_and_for_people_of_its_domain():
    own = service_account.Credentials.from_service_account_info(key_file(), scopes=[CALENDAR])
    own.refresh(Request())
    itself = service(own).calendars().get(calendarId="primary").execute()
    assert itself["id"].endswith(".gserviceaccount.com")
    assert service(own.with_subject(PERSON)).calendars().get(calendarId="primary").execute()["id"] == PERSON
    invite = timed(attendees=[{"email": "ann@guests.example"}])
    request = service(own).events().insert(calendarId="primary", body=invite)
    assert refused(request) == (403, "forbiddenForServiceAccounts")
    with pytest.raises(google.auth.exceptions.RefreshError) as caught:
        own.with_subject("somebody@elsewhere.example").refresh(Request())
    assert caught.value.args[1]["error"] == "unauthorized_client"


def test_assertions_that_do_not_hold_are_refused():
    other = service_account.Credentials.from_service_account_info(
        {**key_file(), "client_email": "other@x.iam.gserviceaccount.com"}, scopes=[CALENDAR])
    with pytest.raises(google.auth.exceptions.RefreshError) as caught:
        other.refresh(Request())
    assert caught.value.args[1]["error"] == "invalid_grant"


def test_a_token_that_is_unknown_or_lacks_the_scope_is_refused(calendar):
    # Google's client answers a 401 with a refresh, so this one goes without it.
    url = f"{GOOGLE}/calendar/v3/calendars/primary/events"
    for headers, reason in (({}, "required"), ({"authorization": "Bearer unknown"}, "authError")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, headers=headers))
        body = json.load(caught.value)["error"]
        assert (body["code"], body["status"], body["errors"][0]["reason"]) == (401, "UNAUTHENTICATED", reason)
        assert caught.value.headers["www-authenticate"].startswith("Bearer ")
    reader = service(credentials(scopes=(READ,))).events()
    assert reader.list(calendarId=calendar).execute()["items"] == []
    assert refused(reader.insert(calendarId=calendar, body=timed())) == (403, "insufficientPermissions")


def test_a_token_that_ended_is_refreshed_by_the_client(calendar):
    held = credentials()
    client = service(held)
    client.events().list(calendarId=calendar).execute()
    first = held.token
    control("POST", "faults", {"provider": "google", "kind": "expired_token", "times": 1, "path": "/calendar/"})
    client.events().list(calendarId=calendar).execute()
    assert held.token != first


def test_an_event_lives_and_is_cancelled(events, calendar):
    made = events.insert(calendarId=calendar, body=timed(location="Kornhaus"), sendUpdates="none").execute()
    assert made["start"] == {"dateTime": "2027-06-12T18:00:00+02:00", "timeZone": "Europe/Zurich"}
    assert (made["status"], made["sequence"], made["kind"]) == ("confirmed", 0, "calendar#event")
    assert made["iCalUID"] == made["id"] + "@google.com"
    assert events.get(calendarId=calendar, eventId=made["id"]).execute() == made
    moved = events.patch(calendarId=calendar, eventId=made["id"], body={"location": None, "summary": "Supper"}).execute()
    assert "location" not in moved and moved["summary"] == "Supper" and moved["etag"] != made["etag"]
    moved["end"]["dateTime"] = "2027-06-12T23:00:00+02:00"
    later = events.update(calendarId=calendar, eventId=made["id"], body=moved).execute()
    assert later["sequence"] > moved["sequence"]
    assert events.delete(calendarId=calendar, eventId=made["id"]).execute() == ""
    assert refused(events.delete(calendarId=calendar, eventId=made["id"])) == (410, "deleted")
    assert events.get(calendarId=calendar, eventId=made["id"]).execute()["status"] == "cancelled"
    assert events.list(calendarId=calendar).execute()["items"] == []
    assert len(events.list(calendarId=calendar, showDeleted=True).execute()["items"]) == 1
    assert refused(events.get(calendarId=calendar, eventId="nothing0")) == (404, "notFound")
    assert refused(events.list(calendarId="somebody@elsewhere.example")) == (404, "notFound")


def test_an_id_of_the_client_is_taken_once_even_after_deletion(events, calendar):
    own = uuid.uuid4().hex
    assert events.insert(calendarId=calendar, body=timed(id=own)).execute()["id"] == own
    assert refused(events.insert(calendarId=calendar, body=timed(id=own))) == (409, "duplicate")
    events.delete(calendarId=calendar, eventId=own).execute()
    assert refused(events.insert(calendarId=calendar, body=timed(id=own))) == (409, "duplicate")
    for wrong in ("abcd", "UPPERCASE", "with-dash", "xyz00"):
        assert refused(events.insert(calendarId=calendar, body=timed(id=wrong))) == (400, "invalid")


@pytest.mark.parametrize("change, reason", [
    ({"start": None}, "required"),
    ({"end": None}, "required"),
    ({"end": {"date": "2027-06-13"}}, "invalid"),
    ({"start": {"dateTime": "2027-06-12T23:00:00+02:00"}}, "timeRangeEmpty"),
    ({"start": {"dateTime": "2027-06-12T18:00:00"}}, "required"),
    ({"start": {"dateTime": "2027-06-12T18:00:00", "timeZone": "Mars/Base"}}, "invalid"),
    ({"start": {"dateTime": "tomorrow", "timeZone": "Europe/Zurich"}}, "invalid"),
    ({"recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=XX"]}, "invalid"),
    ({"recurrence": ["RRULE:FREQ=SECONDLY"]}, "invalid"),
    ({"recurrence": ["DTSTART:20270612T160000Z"]}, "invalid"),
    ({"recurrence": ["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"]}, "invalid"),
    ({"attendees": [{"displayName": "Nobody"}]}, "invalid"),
    ({"attendees": [{"email": "no address"}]}, "invalid"),
    ({"colour": "red"}, "invalid"),
    ({"reminders": {"useDefault": True, "overrides": [{"method": "popup", "minutes": 5}]}},
     "cannotUseDefaultRemindersAndSpecifyOverride"),
])
def test_what_does_not_hold_is_refused(events, calendar, change, reason):
    request = events.insert(calendarId=calendar, body={**timed(), **change})
    assert refused(request) == (400, reason)


def test_a_lost_update_is_refused(events, calendar):
    made = events.insert(calendarId=calendar, body=timed()).execute()

    def patch(etag):
        request = events.patch(calendarId=calendar, eventId=made["id"], body={"summary": "X"})
        request.headers["If-Match"] = etag
        return request

    changed = patch(made["etag"]).execute()
    assert refused(patch(made["etag"])) == (412, "conditionNotMet")
    assert patch(changed["etag"]).execute()["summary"] == "X"
    stale = events.delete(calendarId=calendar, eventId=made["id"])
    stale.headers["If-Match"] = made["etag"]
    assert refused(stale) == (412, "conditionNotMet")


def test_a_series_is_expanded_in_its_zone_and_one_instance_changes_alone(events, calendar):
    body = timed("Rehearsal", day="2027-03-22", recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    series = events.insert(calendarId=calendar, body=body).execute()
    assert len(events.list(calendarId=calendar).execute()["items"]) == 1
    single = {"calendarId": calendar, "singleEvents": True, "orderBy": "startTime"}
    found = events.list(**single).execute()["items"]
    # The clocks change on 2027-03-28.
    assert [each["start"]["dateTime"] for each in found] == [
        "2027-03-22T18:00:00+01:00", "2027-03-29T18:00:00+02:00", "2027-04-05T18:00:00+02:00"]
    assert all(each["recurringEventId"] == series["id"] for each in found)
    events.patch(calendarId=calendar, eventId=found[1]["id"], body={"summary": "Dress rehearsal"}).execute()
    events.delete(calendarId=calendar, eventId=found[2]["id"]).execute()
    names = [each["summary"] for each in events.list(**single).execute()["items"]]
    assert names == ["Rehearsal", "Dress rehearsal"]
    instances = events.instances(calendarId=calendar, eventId=series["id"], showDeleted=True).execute()["items"]
    assert [each["status"] for each in instances] == ["confirmed", "confirmed", "cancelled"]
    assert refused(events.list(calendarId=calendar, orderBy="startTime")) == (400, "invalid")


def test_whole_days_recur_too(events, calendar):
    body = {"summary": "Fair", "start": {"date": "2027-05-01"}, "end": {"date": "2027-05-03"},
            "recurrence": ["RRULE:FREQ=YEARLY;UNTIL=20290601", "EXDATE;VALUE=DATE:20280501"]}
    events.insert(calendarId=calendar, body=body).execute()
    found = events.list(calendarId=calendar, singleEvents=True, timeMin="2027-01-01T00:00:00Z").execute()["items"]
    assert [(each["start"]["date"], each["end"]["date"]) for each in found] == [
        ("2027-05-01", "2027-05-03"), ("2029-05-01", "2029-05-03")]


def test_lists_are_filtered_and_paged(events, calendar):
    for day in range(1, 8):
        events.insert(calendarId=calendar, body=timed(f"Day {day}", day=f"2027-07-0{day}")).execute()
    request = events.list(calendarId=calendar, maxResults=3, singleEvents=True, orderBy="startTime")
    names, pages = [], 0
    while request is not None:
        answer = request.execute()
        names += [each["summary"] for each in answer["items"]]
        request = events.list_next(request, answer)
        pages += 1
    assert (names, pages) == ([f"Day {day}" for day in range(1, 8)], 3)
    window = events.list(calendarId=calendar, timeMin="2027-07-02T20:00:00Z", timeMax="2027-07-03T17:00:00Z").execute()
    assert [each["summary"] for each in window["items"]] == ["Day 3"]
    assert [each["summary"] for each in events.list(calendarId=calendar, q="day 5").execute()["items"]] == ["Day 5"]
    empty = events.list(calendarId=calendar, timeMin="2027-07-02T00:00:00Z", timeMax="2027-07-02T00:00:00Z")
    assert refused(empty) == (400, "timeRangeEmpty")
    assert refused(events.list(calendarId=calendar, pageToken="nonsense"))[0] == 400
    assert refused(events.list(calendarId=calendar, timeMin="2027-07-02"))[0] == 400


def test_a_sync_token_tells_what_changed_since(events, calendar):
    kept = events.insert(calendarId=calendar, body=timed("Kept")).execute()
    gone = events.insert(calendarId=calendar, body=timed("Gone")).execute()
    token = events.list(calendarId=calendar).execute()["nextSyncToken"]
    assert events.list(calendarId=calendar, syncToken=token).execute()["items"] == []
    events.delete(calendarId=calendar, eventId=gone["id"]).execute()
    events.patch(calendarId=calendar, eventId=kept["id"], body={"summary": "Changed"}).execute()
    changed = events.list(calendarId=calendar, syncToken=token).execute()
    assert {each["id"]: each["status"] for each in changed["items"]} == {
        kept["id"]: "confirmed", gone["id"]: "cancelled"}
    assert events.list(calendarId=calendar, syncToken=changed["nextSyncToken"]).execute()["items"] == []
    assert refused(events.list(calendarId=calendar, syncToken="sync-999999999-false")) == (410, "fullSyncRequired")
    assert refused(events.list(calendarId=calendar, syncToken=token, q="x")) == (400, "invalid")


def test_guests_are_told_when_asked_for(events, calendar):
    before = control("GET", "counts")["google"]["calendar"]["invitations"]
    guests = [{"email": "ann@sandbox.example"}, {"email": "bob@guests.example"}, {"email": "BOB@guests.example"}]
    made = events.insert(calendarId=calendar, body=timed(attendees=guests), sendUpdates="none").execute()
    assert [each["responseStatus"] for each in made["attendees"]] == ["needsAction", "needsAction"]
    told = lambda: control("GET", "counts")["google"]["calendar"]["invitations"] - before
    assert told() == 0
    change = {"calendarId": calendar, "eventId": made["id"], "body": {"summary": "X"}}
    events.patch(**change, sendUpdates="externalOnly").execute()
    assert told() == 1
    events.patch(**change, sendUpdates="all").execute()
    assert told() == 3


def test_a_conference_is_made_when_asked_for(events, calendar):
    wish = {"createRequest": {"requestId": "meet-1", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
    without = events.insert(calendarId=calendar, body=timed(conferenceData=wish)).execute()
    assert "conferenceData" not in without
    made = events.insert(calendarId=calendar, body=timed(conferenceData=wish), conferenceDataVersion=1).execute()
    assert made["hangoutLink"] == made["conferenceData"]["entryPoints"][0]["uri"]
    wrong = {"createRequest": {"requestId": "", "conferenceSolutionKey": {"type": "hangoutsMeet"}}}
    request = events.insert(calendarId=calendar, body=timed(conferenceData=wrong), conferenceDataVersion=1)
    assert refused(request) == (400, "invalid")


def test_free_and_busy_times_hide_everything_else(events, calendar):
    events.insert(calendarId=calendar, body=timed("A", start="10:00:00", end="11:00:00")).execute()
    events.insert(calendarId=calendar, body=timed("B", start="11:00:00", end="12:00:00")).execute()
    events.insert(calendarId=calendar, body=timed("C", start="14:00:00", end="15:00:00", transparency="transparent")).execute()
    ask = service(credentials(scopes=(FREE_BUSY,))).freebusy()
    body = {"timeMin": "2027-06-12T00:00:00+02:00", "timeMax": "2027-06-13T00:00:00+02:00",
            "timeZone": "Europe/Zurich", "items": [{"id": calendar}, {"id": "nobody@elsewhere.example"}]}
    found = ask.query(body=body).execute()["calendars"]
    assert found[calendar]["busy"] == [{"start": "2027-06-12T10:00:00+02:00", "end": "2027-06-12T12:00:00+02:00"}]
    assert found["nobody@elsewhere.example"]["errors"][0]["reason"] == "notFound"
    assert refused(ask.query(body={**body, "timeMax": body["timeMin"]})) == (400, "timeRangeEmpty")
    assert refused(ask.query(body={"items": []})) == (400, "required")


def test_calendars_are_listed(calendar):
    lists = service(credentials()).calendarList()
    found = lists.list().execute()["items"]
    assert found[0]["primary"] and found[0]["id"] == PERSON
    assert calendar in [each["id"] for each in found]
    assert lists.get(calendarId=calendar).execute()["accessRole"] == "owner"
    assert len(lists.list(maxResults=1).execute()["items"]) == 1
    assert refused(service(credentials()).calendars().delete(calendarId="primary"))[0] == 403


def test_the_client_retries_over_bad_moments(events, calendar):
    for fault in ({"kind": "rate_limited", "retry_after": 0}, {"kind": "error", "status": 503}):
        control("POST", "faults", {"provider": "google", "times": 1, "path": "/events", **fault})
    assert events.list(calendarId=calendar).execute(num_retries=3)["items"] == []
    control("POST", "faults", {"provider": "google", "times": 1, "path": "/events", "kind": "error", "status": 403})
    assert refused(events.list(calendarId=calendar)) == (403, "userRateLimitExceeded")
    control("POST", "faults", {"provider": "google", "times": 1, "path": "/events", "kind": "error", "status": 500})
    assert refused(events.list(calendarId=calendar)) == (500, "backendError")
