"""Slack's own client, unchanged, against the sandbox."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler

SANDBOX = os.environ["SANDBOX_URL"]
BOT = "xoxb-sandbox-only-token-of-the-planner-bot"
READER = "xoxb-sandbox-only-token-with-two-scopes"
EXPIRED = "xoxb-sandbox-only-token-that-is-expired"
CLIENT_ID = "1000000000001.1000000000002"
CLIENT_SECRET = "sandbox-only-client-secret-of-the-app"
GENERAL, EVENTS, PLANNING, RANDOM, ARCHIVED, BOARD, LEADS = (f"C0SANDBOX0{n}" for n in range(1, 8))
ADA, GRACE = "U0SANDBOX02", "U0SANDBOX03"


def client(token=BOT, **options):
    return WebClient(token=token, base_url=f"{SANDBOX}/slack/api/", **options)


def control(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        SANDBOX + path, data=data, method=method, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def fault(**switch):
    control("/sandbox/faults", {"provider": "slack", **switch})


def error_of(call, **arguments):
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response


@pytest.fixture(autouse=True)
def fresh_world():
    control("/sandbox/reset", method="POST")
    yield
    control("/sandbox/faults", method="DELETE")


def test_the_token_says_who_calls_and_what_it_may_do():
    answer = client().auth_test()
    assert answer["user"] == "planner" and answer["user_id"] == "U0SANDBOX01" and answer["bot_id"]
    scopes = {name.lower(): value for name, value in answer.headers.items()}["x-oauth-scopes"]
    assert "chat:write" in scopes.split(",")
    assert client().api_test(foo="bar")["args"]["foo"] == "bar"


@pytest.mark.parametrize(
    "token, error",
    [(None, "not_authed"), ("xoxb-nobody", "invalid_auth"), (EXPIRED, "token_expired")],
)
def test_other_tokens_are_refused(token, error):
    response = error_of(client(token).chat_postMessage, channel="#events", text="x")
    assert response.status_code == 200 and response["error"] == error


def test_a_missing_scope_is_named():
    response = error_of(client(READER).chat_postMessage, channel="#events", text="x")
    assert response["error"] == "missing_scope" and response["needed"] == "chat:write"
    assert response["provided"] == "channels:read,users:read"


def test_a_message_is_posted_changed_and_deleted():
    slack = client()
    metadata = {"event_type": "planned", "event_payload": {"id": "1"}}
    posted = slack.chat_postMessage(
        channel="#events", text="a & b https://x.example", unfurl_links=False, metadata=metadata
    )
    assert posted["channel"] == EVENTS
    assert posted["message"]["text"] == "a &amp; b <https://x.example>"
    ts = posted["ts"]
    link = slack.chat_getPermalink(channel=EVENTS, message_ts=ts)["permalink"]
    assert link.endswith(f"/archives/{EVENTS}/p{ts.replace('.', '')}")
    plain = slack.conversations_history(channel=EVENTS)["messages"][0]
    assert "metadata" not in plain and plain["ts"] == ts
    full = slack.conversations_history(channel=EVENTS, include_all_metadata=True)["messages"][0]
    assert full["metadata"] == metadata
    changed = slack.chat_update(channel=EVENTS, ts=ts, text="better")
    assert changed["text"] == "better" and changed["message"]["edited"]
    assert error_of(slack.chat_update, channel=EVENTS, ts=ts, text="x" * 4001)["error"] == "msg_too_long"
    slack.chat_delete(channel=EVENTS, ts=ts)
    assert error_of(slack.chat_delete, channel=EVENTS, ts=ts)["error"] == "message_not_found"
    assert error_of(slack.chat_update, channel=EVENTS, ts=ts, text="x")["error"] == "message_not_found"
    assert error_of(slack.chat_getPermalink, channel=EVENTS, message_ts=ts)["error"] == "message_not_found"
    assert slack.conversations_history(channel=EVENTS)["messages"] == []


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": RANDOM, "text": "x"}, "not_in_channel"),
        ({"channel": ARCHIVED, "text": "x"}, "is_archived"),
        ({"channel": BOARD, "text": "x"}, "channel_not_found"),
        ({"channel": EVENTS, "text": ""}, "no_text"),
        ({"channel": "", "text": "x"}, "invalid_arguments"),
        ({"channel": EVENTS, "text": "x", "thread_ts": "0"}, "invalid_thread_ts"),
        ({"channel": EVENTS, "text": "x", "blocks": "[{"}, "invalid_blocks_format"),
        ({"channel": EVENTS, "text": "x", "blocks": [{"type": "banner"}]}, "invalid_blocks"),
        ({"channel": EVENTS, "text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
    ],
)
def test_what_cannot_be_posted_is_refused_by_name(arguments, error):
    response = error_of(client().chat_postMessage, **arguments)
    assert response["error"] == error
    assert control("/sandbox/counts")["slack"]["messages"] == 0


def test_a_client_message_id_is_kept_but_promises_nothing():
    slack = client()
    for _ in range(2):
        answer = slack.chat_postMessage(
            channel=EVENTS, text="x", client_msg_id="0f8fad5b-d9cb-469f-a165-70867728950e"
        )
        assert answer["message"]["client_msg_id"] == "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert control("/sandbox/counts")["slack"]["messages"] == 2


def test_threads_are_read_apart_from_the_channel():
    slack = client()
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}, {"type": "divider"}]
    parent = slack.chat_postMessage(channel=EVENTS, text="parent", blocks=blocks)["ts"]
    replies = [
        slack.chat_postMessage(channel=EVENTS, text=f"reply {n}", thread_ts=parent)["ts"] for n in range(3)
    ]
    slack.chat_postMessage(channel=EVENTS, text="to all", thread_ts=parent, reply_broadcast=True)
    history = slack.conversations_history(channel=EVENTS)["messages"]
    assert [message["text"] for message in history] == ["to all", "parent"]
    assert history[1]["reply_count"] == 4 and history[1]["blocks"] == blocks
    thread = []
    for page in slack.conversations_replies(channel=EVENTS, ts=parent, limit=2):
        assert len(page["messages"]) <= 2
        thread += [message["ts"] for message in page["messages"]]
    assert thread[:4] == [parent, *replies] and len(thread) == 5
    assert error_of(slack.conversations_replies, channel=EVENTS, ts="1.1")["error"] == "thread_not_found"
    assert error_of(slack.conversations_history, channel=RANDOM)["error"] == "not_in_channel"
    assert error_of(slack.conversations_history, channel=EVENTS, cursor="x")["error"] == "invalid_cursor"


def test_a_reply_to_no_message_is_taken_and_never_seen():
    slack = client()
    assert slack.chat_postMessage(channel=EVENTS, text="lost", thread_ts="1.000001")["ok"]
    assert slack.conversations_history(channel=EVENTS)["messages"] == []
    assert error_of(slack.conversations_replies, channel=EVENTS, ts="1.000001")["error"] == "thread_not_found"


def test_history_is_bounded_by_time():
    slack = client()
    stamps = [slack.chat_postMessage(channel=EVENTS, text=str(n))["ts"] for n in range(3)]
    between = slack.conversations_history(channel=EVENTS, oldest=stamps[0], latest=stamps[2])
    assert [message["ts"] for message in between["messages"]] == [stamps[1]]
    inclusive = slack.conversations_history(channel=EVENTS, oldest=stamps[0], inclusive=True)
    assert len(inclusive["messages"]) == 3
    assert error_of(slack.conversations_history, channel=EVENTS, oldest="x")["error"] == "invalid_ts_oldest"


def test_scheduled_messages_appear_when_their_time_comes():
    slack = client()
    now = int(time.time())
    for post_at, error in [(now - 5, "time_in_past"), (now + 121 * 86400, "time_too_far"), ("x", "invalid_time")]:
        response = error_of(slack.chat_scheduleMessage, channel=EVENTS, text="x", post_at=post_at)
        assert response["error"] == error
    soon = slack.chat_scheduleMessage(channel=EVENTS, text="soon", post_at=now + 2)
    late = slack.chat_scheduleMessage(channel=EVENTS, text="late", post_at=now + 3600)
    listed = slack.chat_scheduledMessages_list(channel=EVENTS, limit=1)
    assert listed["scheduled_messages"][0]["id"] == soon["scheduled_message_id"]
    assert listed["response_metadata"]["next_cursor"]
    slack.chat_deleteScheduledMessage(channel=EVENTS, scheduled_message_id=late["scheduled_message_id"])
    for taken in (soon, late):
        response = error_of(
            slack.chat_deleteScheduledMessage, channel=EVENTS, scheduled_message_id=taken["scheduled_message_id"]
        )
        assert response["error"] == "invalid_scheduled_message_id"
    deadline = time.time() + 10
    while control("/sandbox/counts")["slack"]["messages"] == 0 and time.time() < deadline:
        time.sleep(0.1)
    assert slack.conversations_history(channel=EVENTS)["messages"][0]["text"] == "soon"
    assert slack.chat_scheduledMessages_list()["scheduled_messages"] == []


def test_no_more_than_thirty_are_scheduled_for_five_minutes():
    slack = client()
    at = int(time.time()) + 3600
    for second in range(30):
        slack.chat_scheduleMessage(channel=EVENTS, text="x", post_at=at + second)
    response = error_of(slack.chat_scheduleMessage, channel=EVENTS, text="x", post_at=at + 60)
    assert response["error"] == "restricted_too_many"
    slack.chat_scheduleMessage(channel=PLANNING, text="x", post_at=at)


def test_channels_are_listed_in_pages_and_by_type():
    slack = client()
    names = []
    for page in slack.conversations_list(limit=2):
        assert len(page["channels"]) <= 2
        names += [channel["name"] for channel in page["channels"]]
    assert names == ["general", "events", "planning", "random", "summer-party-2025"]
    private = slack.conversations_list(types="private_channel")["channels"]
    assert [channel["name"] for channel in private] == ["event-leads"]
    open_ones = slack.conversations_list(exclude_archived=True)["channels"]
    assert "summer-party-2025" not in [channel["name"] for channel in open_ones]
    own = slack.users_conversations(types="public_channel,private_channel", exclude_archived=True)["channels"]
    assert [channel["id"] for channel in own] == [GENERAL, EVENTS, PLANNING, LEADS]
    assert error_of(slack.conversations_list, types="x")["error"] == "invalid_types"
    assert error_of(slack.conversations_list, limit=5000)["error"] == "invalid_limit"
    response = error_of(client(READER).conversations_list, types="private_channel")
    assert response["error"] == "missing_scope" and response["needed"] == "groups:read"


def test_a_channel_lives_from_creation_to_archive():
    slack = client()
    channel = slack.conversations_create(name="summer-fair")["channel"]
    assert channel["is_member"] and channel["creator"] == "U0SANDBOX01"
    for name, error in [
        ("summer-fair", "name_taken"),
        ("Summer Fair", "invalid_name_specials"),
        ("x" * 81, "invalid_name_maxlength"),
        ("", "invalid_name_required"),
        ("--", "invalid_name_punctuation"),
    ]:
        assert error_of(slack.conversations_create, name=name)["error"] == error
    slack.conversations_invite(channel=channel["id"], users=[ADA, GRACE])
    assert slack.conversations_members(channel=channel["id"])["members"] == ["U0SANDBOX01", ADA, GRACE]
    assert error_of(slack.conversations_invite, channel=channel["id"], users=ADA)["error"] == "already_in_channel"
    assert error_of(slack.conversations_invite, channel=channel["id"], users="U0")["error"] == "user_not_found"
    slack.conversations_setTopic(channel=channel["id"], topic="Under the sun")
    assert slack.conversations_info(channel=channel["id"])["channel"]["topic"]["value"] == "Under the sun"
    assert error_of(slack.conversations_setTopic, channel=channel["id"], topic="x" * 251)["error"] == "too_long"
    slack.conversations_archive(channel=channel["id"])
    assert error_of(slack.conversations_archive, channel=channel["id"])["error"] == "already_archived"
    assert error_of(slack.conversations_archive, channel=GENERAL)["error"] == "cant_archive_general"
    slack.conversations_join(channel=RANDOM)
    slack.chat_postMessage(channel=RANDOM, text="here now")
    assert error_of(slack.conversations_join, channel=ARCHIVED)["error"] == "is_archived"
    assert error_of(slack.conversations_info, channel=BOARD)["error"] == "channel_not_found"


def test_people_are_found_and_their_address_needs_a_scope():
    slack = client()
    names = [user["name"] for page in slack.users_list(limit=2) for user in page["members"]]
    assert names == ["planner", "ada", "grace", "katherine", "formerly"]
    assert slack.users_info(user=ADA)["user"]["profile"]["email"] == "ada@example.com"
    assert "email" not in client(READER).users_info(user=ADA)["user"]["profile"]
    assert slack.users_lookupByEmail(email="Grace@example.com")["user"]["id"] == GRACE
    assert error_of(slack.users_lookupByEmail, email="x@example.com")["error"] == "users_not_found"
    assert error_of(slack.users_info, user="U0")["error"] == "user_not_found"
    assert slack.team_info()["team"]["name"] == "Event Planner Sandbox"


def test_a_reaction_is_given_once():
    slack = client()
    ts = slack.chat_postMessage(channel=EVENTS, text="x")["ts"]
    slack.reactions_add(channel=EVENTS, timestamp=ts, name="tada")
    shown = slack.conversations_history(channel=EVENTS)["messages"][0]["reactions"]
    assert shown == [{"name": "tada", "users": ["U0SANDBOX01"], "count": 1}]
    assert error_of(slack.reactions_add, channel=EVENTS, timestamp=ts, name="tada")["error"] == "already_reacted"
    assert error_of(slack.reactions_add, channel=EVENTS, timestamp=ts, name=":x:")["error"] == "invalid_name"
    assert error_of(slack.reactions_add, channel=EVENTS, timestamp="1.1", name="x")["error"] == "message_not_found"
    slack.reactions_remove(channel=EVENTS, timestamp=ts, name="tada")
    assert error_of(slack.reactions_remove, channel=EVENTS, timestamp=ts, name="tada")["error"] == "no_reaction"


def test_files_are_uploaded_in_three_steps():
    slack = client()
    content = "name,seats\nHall,120\n" * 100_000
    answer = slack.files_upload_v2(
        channel=EVENTS, content=content, filename="venues.csv", title="Venues", initial_comment="The list"
    )
    assert answer["file"]["title"] == "Venues" and answer["file"]["size"] == len(content)
    message = slack.conversations_history(channel=EVENTS)["messages"][0]
    assert message["text"] == "The list" and message["files"][0]["id"] == answer["file"]["id"]
    info = slack.files_info(file=answer["file"]["id"])["file"]
    assert info["preview"].startswith("name,seats") and EVENTS in info["shares"]["public"]
    both = slack.files_upload_v2(
        channel=PLANNING,
        file_uploads=[{"content": "a", "filename": "a.txt"}, {"content": "b", "filename": "b.txt"}],
    )
    assert len(both["files"]) == 2
    half = slack.files_getUploadURLExternal(filename="x.txt", length=3)
    response = error_of(slack.files_completeUploadExternal, files=[{"id": half["file_id"]}], channel_id=EVENTS)
    assert response["error"] == "file_not_found"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(half["upload_url"], data=b"four"))
    assert caught.value.code == 400
    assert control("/sandbox/counts")["slack"]["files"] == 3


def test_a_rate_limit_is_waited_out():
    fault(kind="rate_limited", retry_after=1, path="/api/chat.postMessage", times=1)
    response = error_of(client().chat_postMessage, channel=EVENTS, text="x")
    assert response.status_code == 429 and response["error"] == "ratelimited"
    assert {name.lower(): value for name, value in response.headers.items()}["retry-after"] == "1"
    fault(kind="rate_limited", retry_after=1, path="/api/chat.postMessage", times=1)
    slack = client(retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=1)])
    begun = time.monotonic()
    assert slack.chat_postMessage(channel=EVENTS, text="x")["ok"]
    assert time.monotonic() - begun >= 1
    assert control("/sandbox/counts")["slack"]["messages"] == 1


def test_bad_days_look_as_at_slack():
    slack = client(retry_handlers=[])
    fault(kind="expired_token", times=1)
    response = error_of(slack.auth_test)
    assert response.status_code == 200 and response["error"] == "token_expired"
    fault(kind="error", status=503, times=1)
    response = error_of(slack.auth_test)
    assert response.status_code == 503 and response["error"] == "service_unavailable"
    fault(kind="error", status=500, times=1)
    retrying = client(retry_handlers=[ServerErrorRetryHandler(max_retry_count=1)])
    assert retrying.auth_test()["ok"]


def redirected(path, **query):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    url = f"{SANDBOX}/slack/oauth/v2/{path}?{urllib.parse.urlencode(query)}"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(Stay).open(url)
    return caught.value


def test_an_app_is_installed_and_its_token_rotates():
    ask = {
        "client_id": CLIENT_ID,
        "scope": "chat:write,channels:read",
        "redirect_uri": "http://127.0.0.1:9/callback",
        "state": "s-1",
    }
    page = urllib.request.urlopen(f"{SANDBOX}/slack/oauth/v2/authorize?{urllib.parse.urlencode(ask)}")
    assert b"/slack/oauth/v2/approve?" in page.read()
    assert redirected("authorize", **{**ask, "scope": "admin"}).code == 400
    back = urllib.parse.urlparse(redirected("approve", **ask).headers["location"])
    query = dict(urllib.parse.parse_qsl(back.query))
    assert query["state"] == "s-1"
    exchange = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": query["code"]}
    slack = client(None)
    response = error_of(slack.oauth_v2_access, **{**exchange, "client_secret": "x"})
    assert response["error"] == "bad_client_secret"
    first = slack.oauth_v2_access(**exchange, redirect_uri=ask["redirect_uri"])
    assert first["expires_in"] == 43200 and first["scope"] == ask["scope"]
    assert error_of(slack.oauth_v2_access, **exchange)["error"] == "invalid_code"
    assert client(first["access_token"]).auth_test()["ok"]
    refresh = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
    }
    second = slack.oauth_v2_access(**refresh)
    assert error_of(slack.oauth_v2_access, **refresh)["error"] == "invalid_refresh_token"
    assert error_of(client(first["access_token"]).auth_test)["error"] == "token_revoked"
    rotated = client(second["access_token"])
    assert rotated.auth_revoke(test=True)["revoked"] is False
    assert rotated.auth_revoke()["revoked"] is True
    assert error_of(rotated.auth_test)["error"] == "token_revoked"


def test_the_page_shows_what_people_would_see():
    slack = client()
    parent = slack.chat_postMessage(channel=EVENTS, text="<b>bold</b>")["ts"]
    slack.chat_postMessage(channel=EVENTS, text="a reply", thread_ts=parent)
    slack.chat_scheduleMessage(channel=EVENTS, text="tomorrow", post_at=int(time.time()) + 86400)
    with urllib.request.urlopen(f"{SANDBOX}/sandbox/views/slack") as answer:
        page = answer.read().decode()
    assert "<b>" not in page and "a reply" in page and "tomorrow" in page and "#events" in page
