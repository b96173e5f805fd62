"""An independent GraphQL client, which checks every document against the schema that the sandbox shows, and an independent
OAuth client, against the sandbox. (Linear's own client is JavaScript.)"""

import os
import urllib.parse
import uuid

import pytest
import requests
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.requests import RequestsHTTPTransport
from graphql import GraphQLError
from requests_oauthlib import OAuth2Session

SANDBOX = os.environ["SANDBOX_URL"]
KEY = "lin_api_sandbox-only-key-of-the-planner"
READER = "lin_api_sandbox-only-key-of-a-reader"
CREATE = gql("mutation($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id identifier title } } }")


@pytest.fixture(autouse=True)
def fresh():
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    requests.post(f"{SANDBOX}/sandbox/reset", timeout=5).raise_for_status()


def client(authorization=KEY):
    transport = RequestsHTTPTransport(f"{SANDBOX}/linear/graphql", headers={"Authorization": authorization})
    return Client(transport=transport, fetch_schema_from_transport=True)


def ask(document, authorization=KEY, **variables):
    document = gql(document) if isinstance(document, str) else document
    document.variable_values = variables
    return client(authorization).execute(document)


def issue(**fields):
    return {"teamId": "EVT", "title": "Book the band", **fields}


def test_issues_are_created_once_under_an_id_of_their_own():
    given = str(uuid.uuid4())
    created = ask(CREATE, input=issue(id=given))["issueCreate"]
    assert created == {"success": True, "issue": {"id": given, "identifier": "EVT-1", "title": "Book the band"}}
    with pytest.raises(TransportQueryError) as error:
        ask(CREATE, input=issue(id=given))
    told = error.value.errors[0]
    assert told["message"] == "conflict on insert of Issue"
    assert (told["extensions"]["code"], told["path"]) == ("INPUT_ERROR", ["issueCreate"])
    with pytest.raises(TransportQueryError, match="Argument Validation Error"):
        ask(CREATE, input=issue(id=str(uuid.uuid1())))


def test_lists_are_paged():
    for number in range(3):
        ask(CREATE, input=issue(title=f"Task {number}"))
    document = "query($after: String) { issues(first: 2, after: $after) { nodes { title } pageInfo { hasNextPage endCursor } } }"
    first = ask(document)["issues"]
    second = ask(document, after=first["pageInfo"]["endCursor"])["issues"]
    assert [node["title"] for node in first["nodes"] + second["nodes"]] == ["Task 2", "Task 1", "Task 0"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


def test_what_is_not_in_the_schema_is_refused():
    with pytest.raises(GraphQLError):
        ask("{ viewer { shoeSize } }")
    answer = requests.post(f"{SANDBOX}/linear/graphql", json={"query": "{ viewer { shoeSize } }"}, headers={"Authorization": KEY}, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_keys_open_what_they_may():
    with pytest.raises(TransportQueryError, match="Invalid scope"):
        ask(CREATE, READER, input=issue())
    with pytest.raises((TransportServerError, TransportQueryError)):
        ask("{ viewer { id } }", "lin_api_nobody")
    answer = requests.post(f"{SANDBOX}/linear/graphql", json={"query": "{ viewer { id } }"}, timeout=5)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "AUTHENTICATION_ERROR")


def authorized(provider, page, token, client_id, secret, scope, **beside):
    """The whole way of an authorization code with PKCE; answers the tokens and the session."""
    session = OAuth2Session(client_id, redirect_uri="http://localhost/back", scope=scope, pkce="S256")
    url, state = session.authorization_url(f"{SANDBOX}/{provider}/{page}", **beside)
    assert requests.get(url, timeout=5).status_code == 200
    back = requests.get(url.replace(page, page.rsplit("/", 1)[0] + "/approve"), allow_redirects=False, timeout=5).headers["location"]
    assert urllib.parse.parse_qs(urllib.parse.urlparse(back).query)["state"] == [state]
    token_url = f"{SANDBOX}/{provider}/{token}"
    tokens = session.fetch_token(token_url, authorization_response=back, client_secret=secret, include_client_id=True)
    refreshed = session.refresh_token(token_url, client_id=client_id, client_secret=secret)
    assert refreshed["access_token"] != tokens["access_token"]
    return tokens, refreshed


def test_an_oauth_client_gets_in_and_stays_in():
    os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"
    secret = "sandbox-linear-client-secret-for-development-only"
    tokens, refreshed = authorized("linear", "oauth/authorize", "oauth/token", "sandbox-linear-client", secret, ["read", "write"])
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    assert ask("{ organization { name } }", f"Bearer {refreshed['access_token']}") == {"organization": {"name": "Sandbox Events"}}
    revoked = requests.post(f"{SANDBOX}/linear/oauth/revoke", data={"token": refreshed["access_token"]}, timeout=5)
    assert revoked.status_code == 200
    answer = requests.post(
        f"{SANDBOX}/linear/graphql", json={"query": "{ viewer { id } }"}, headers={"Authorization": f"Bearer {refreshed['access_token']}"}, timeout=5
    )
    assert answer.status_code == 401


def test_google_lets_an_oauth_client_in_too():
    os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"
    client_id = "sandbox-client.apps.googleusercontent.com"
    secret = "sandbox-google-client-secret-for-development-only"
    scope = ["openid", "email", "https://www.googleapis.com/auth/calendar.events"]
    tokens, refreshed = authorized("google", "o/oauth2/v2/auth", "token", client_id, secret, scope, access_type="offline")
    assert tokens["id_token"].count(".") == 2
    revoked = requests.post(f"{SANDBOX}/google/revoke", data={"token": tokens["refresh_token"]}, timeout=5)
    assert revoked.status_code == 200
    again = requests.post(f"{SANDBOX}/google/revoke", data={"token": refreshed["access_token"]}, timeout=5)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")
