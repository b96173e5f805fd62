"""Drive through Google's own client, unchanged: only the root address of its bundled discovery document differs."""

import hashlib
import io
import json
import os
import urllib.request
import uuid

import pytest
from google.oauth2 import credentials, service_account
from googleapiclient import discovery, errors, http
from googleapiclient.discovery_cache import get_static_doc

SANDBOX = os.environ["SANDBOX_URL"].rstrip("/")
FOLDER = "application/vnd.google-apps.folder"
DOCUMENT = "application/vnd.google-apps.document"
SHEET = "application/vnd.google-apps.spreadsheet"
DRIVE = "https://www.googleapis.com/auth/drive"
UNIT = 256 * 1024


def client(scopes=(DRIVE,)):
    document = json.loads(get_static_doc("drive", "v3"))
    document["rootUrl"] = f"{SANDBOX}/google/"
    allowed = credentials.Credentials(
        None,
        refresh_token="sandbox-google-refresh-token-for-development-only",
        token_uri=f"{SANDBOX}/google/token",
        client_id="sandbox-client.apps.googleusercontent.com",
        client_secret="sandbox-google-client-secret-for-development-only",
        scopes=list(scopes),
    )
    return discovery.build_from_document(document, credentials=allowed)


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SANDBOX}/sandbox/{path}", data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def misbehave(**fault):
    control("POST", "faults", {"provider": "google", **fault})


@pytest.fixture(autouse=True)
def fresh():
    control("POST", "reset")


@pytest.fixture
def drive(fresh):
    return client()


def media(content, kind="application/octet-stream", chunk=UNIT, resumable=False):
    return http.MediaIoBaseUpload(io.BytesIO(content), kind, chunksize=chunk, resumable=resumable)


def download(request, chunk=100_000):
    content = io.BytesIO()
    fetch = http.MediaIoBaseDownload(content, request, chunksize=chunk)
    done = False
    while not done:
        _, done = fetch.next_chunk(num_retries=3)
    return content.getvalue()


def refused(request, status, reason):
    with pytest.raises(errors.HttpError) as caught:
        request.execute()
    details = json.loads(caught.value.content)["error"]
    assert (details["code"], details["errors"][0]["reason"]) == (status, reason), details
    return details


def folder(drive, name, parent=None, **more):
    body = {"name": name, "mimeType": FOLDER, **({"parents": [parent]} if parent else {}), **more}
    return drive.files().create(body=body, supportsAllDrives=True).execute()["id"]


def test_the_account_and_ids_to_come(drive):
    about = drive.about().get(fields="user(emailAddress),storageQuota/limit").execute()
    assert about["user"] == {"emailAddress": "planner@sandbox.example"} and "limit" in about["storageQuota"]
    refused(drive.about().get(), 400, "required")
    ids = drive.files().generateIds(count=3).execute()["ids"]
    assert len(set(ids)) == 3
    made = drive.files().create(body={"id": ids[0], "name": "a", "mimeType": FOLDER}).execute()
    assert made == {"kind": "drive#file", "id": ids[0], "name": "a", "mimeType": FOLDER}
    refused(drive.files().create(body={"id": ids[0], "name": "b"}), 409, "fileIdInUse")
    refused(drive.files().create(body={"id": "my-own-id", "name": "b"}), 400, "invalid")
    refused(drive.files().create(body={"id": ids[1], "name": "b", "mimeType": DOCUMENT}), 400, "invalid")
    assert control("GET", "counts")["google"]["drive"]["files"] == 1


def test_content_at_once_comes_back_as_it_went(drive):
    content = bytes(range(256)) * 40 + b"\n--boundary\r\n"
    made = drive.files().create(body={"name": "ü.bin"}, media_body=media(content, "image/png"), fields="*").execute()
    assert (made["name"], made["mimeType"], made["size"]) == ("ü.bin", "image/png", str(len(content)))
    assert made["md5Checksum"] == hashlib.md5(content).hexdigest()
    assert download(drive.files().get_media(fileId=made["id"]), 1000) == content
    bare = drive.files().create(media_body=media(b"x"), fields="name,size").execute()
    assert bare == {"name": "Untitled", "size": "1"}
    changed = drive.files().update(fileId=made["id"], media_body=media(b"new", "text/plain"), fields="id,size,mimeType").execute()
    assert changed == {"id": made["id"], "size": "3", "mimeType": "text/plain"}
    assert drive.files().get_media(fileId=made["id"]).execute() == b"new"
    empty = drive.files().create(body={"name": "e", "mimeType": "text/plain"}).execute()["id"]
    assert drive.files().get_media(fileId=empty).execute() == b""


@pytest.mark.parametrize("size", [0, 1, UNIT, 3 * UNIT + 17])
def test_large_content_goes_in_chunks(drive, size):
    content = os.urandom(size)
    request = drive.files().create(body={"name": "big"}, media_body=media(content, resumable=True), fields="id,size,md5Checksum")
    made, chunks = None, 0
    while made is None:
        status, made = request.next_chunk()
        chunks += 1
    assert chunks == max(1, -(-size // UNIT))
    assert made["md5Checksum"] == hashlib.md5(content).hexdigest()
    assert download(drive.files().get_media(fileId=made["id"])) == content
    changed = drive.files().update(fileId=made["id"], media_body=media(b"z" * (UNIT + 1), resumable=True), fields="size").execute()
    assert changed == {"size": str(UNIT + 1)}


def test_a_chunk_that_fails_is_sent_again_and_makes_one_file(drive):
    content = os.urandom(2 * UNIT + 5)
    request = drive.files().create(body={"name": "big"}, media_body=media(content, resumable=True), fields="id,md5Checksum")
    request.next_chunk()
    misbehave(kind="error", status=503, times=2, method="PUT")
    misbehave(kind="rate_limited", retry_after=1, times=1, method="PUT", after=True)
    made, failures = None, 0
    while made is None:
        try:
            _, made = request.next_chunk()
        except errors.HttpError:
            failures += 1  # the next call asks how far it is, and goes on from there
    assert failures == 3 and made["md5Checksum"] == hashlib.md5(content).hexdigest()
    assert control("GET", "counts")["google"]["drive"]["files"] == 1


def test_an_upload_cut_off_is_taken_up_where_it_was(drive):
    content = os.urandom(3 * UNIT)
    request = drive.files().create(body={"name": "big"}, media_body=media(content, resumable=True), fields="id,md5Checksum")
    request.next_chunk()
    address = request.resumable_uri
    for path, range_, there in [("bytes */*", None, UNIT), (f"bytes {UNIT}-{2 * UNIT + 99}/{len(content)}", content[UNIT : 2 * UNIT + 100], 2 * UNIT)]:
        answer, _ = drive._http.request(address, "PUT", body=range_ or b"", headers={"content-range": path, "content-length": str(len(range_ or b""))})
        assert (answer.status, answer["range"]) == (308, f"bytes=0-{there - 1}")
    answer, body = drive._http.request(address, "PUT", body=content[2 * UNIT :], headers={"content-range": f"bytes {2 * UNIT}-{3 * UNIT - 1}/{3 * UNIT}"})
    assert answer.status == 200 and json.loads(body)["md5Checksum"] == hashlib.md5(content).hexdigest()
    answer, again = drive._http.request(address, "PUT", body=b"", headers={"content-range": f"bytes */{3 * UNIT}"})
    assert answer.status == 200 and json.loads(again) == json.loads(body)
    answer, _ = drive._http.request(address, "PUT", body=b"x", headers={"content-range": "bytes 9-9/99"})
    assert answer.status == 200, "an upload that is done stays done"
    answer, _ = drive._http.request(address.replace("upload_id=", "upload_id=x"), "PUT", body=b"x")
    assert answer.status == 404


def found(drive, q, **more):
    files = drive.files().list(q=q, orderBy="name", fields="files/name", **more).execute()["files"]
    return [file["name"] for file in files]


def test_files_are_found_by_what_is_asked(drive):
    plans = folder(drive, "Plans")
    make = lambda name, text=None, **body: drive.files().create(
        body={"name": name, "parents": [plans], **body}, media_body=text and media(text.encode(), "text/plain")
    ).execute()["id"]
    make("it's a plan", "catering for eighty guests")
    make("HelloWorld", "venue and music", appProperties={"key": "1", "other": "x"})
    gone = make("old plan")
    drive.files().update(fileId=gone, body={"trashed": True}).execute()
    assert found(drive, "name = 'it\\'s a plan'") == ["it's a plan"]
    assert found(drive, "name contains 'plan' and trashed = false") == ["it's a plan", "Plans"]
    assert found(drive, "name contains 'World'") == [] and found(drive, "name contains 'Hello'") == ["HelloWorld"]
    assert found(drive, f"'{plans}' in parents and not trashed = true") == ["HelloWorld", "it's a plan"]
    assert found(drive, f"mimeType = '{FOLDER}' or (trashed = true and name != 'x')") == ["old plan", "Plans"]
    assert found(drive, "appProperties has { key='key' and value='1' }") == ["HelloWorld"]
    assert found(drive, "'root' in parents and 'me' in owners") == ["Plans"]
    assert found(drive, "modifiedTime > '2020-01-01T00:00:00' and starred = false and trashed = false") == ["HelloWorld", "it's a plan", "Plans"]
    texts = lambda q: [file["name"] for file in drive.files().list(q=q).execute()["files"]]
    assert texts("fullText contains 'guests'") == ["it's a plan"] and texts("fullText contains 'guest'") == []
    assert texts("fullText contains '\"for eighty\"'") == ["it's a plan"] and texts("fullText contains '\"eighty for\"'") == []
    for q in ["title = 'a'", "name = a", "name", "(name = 'a'", "name = 'a' xor name = 'b'", "trashed = maybe"]:
        refused(drive.files().list(q=q), 400, "invalid")
    refused(drive.files().list(q="fullText contains 'a'", orderBy="name"), 403, "forbidden")
    refused(drive.files().list(orderBy="beauty"), 400, "invalid")


def test_lists_come_in_pages_and_in_order(drive):
    names = [f"file {number}" for number in range(7)]
    for name in reversed(names):
        folder(drive, name)
    request, seen = drive.files().list(pageSize=3, orderBy="folder,name desc", q="trashed=false"), []
    while request is not None:
        answer = request.execute()
        assert len(answer["files"]) <= 3 and answer["kind"] == "drive#fileList"
        seen += [file["name"] for file in answer["files"]]
        request = drive.files().list_next(request, answer)
    assert seen == names[::-1]
    token = drive.files().list(pageSize=3).execute()["nextPageToken"]
    refused(drive.files().list(pageSize=3, q="trashed=true", pageToken=token), 400, "invalid")
    refused(drive.files().list(pageToken="nonsense"), 400, "invalid")
    refused(drive.files().list(pageSize=1001), 400, "invalidParameter")
    refused(drive.files().list(fields="files(id,colour)"), 400, "invalidParameter")


def test_files_are_changed_moved_copied_and_deleted(drive):
    one, other = folder(drive, "one"), folder(drive, "other")
    made = drive.files().create(body={"name": "a", "parents": [one], "description": "d"}, media_body=media(b"abc")).execute()["id"]
    changed = drive.files().update(fileId=made, body={"name": "b", "appProperties": {"k": "v"}}, fields="name,appProperties").execute()
    assert changed == {"name": "b", "appProperties": {"k": "v"}}
    moved = drive.files().update(fileId=made, addParents=other, removeParents=one, fields="parents").execute()
    assert moved == {"parents": [other]}
    refused(drive.files().update(fileId=made, addParents=one), 403, "cannotAddParent")
    refused(drive.files().update(fileId=made, body={"parents": [one]}), 403, "fieldNotWritable")
    refused(drive.files().update(fileId=made, body={"size": "5"}), 403, "fieldNotWritable")
    refused(drive.files().create(body={"name": "x", "parents": [made]}), 403, "parentNotAFolder")
    refused(drive.files().create(body={"name": "x", "parents": ["nowhere"]}), 404, "notFound")
    refused(drive.files().create(body={"name": "x", "appProperties": {"k": "v" * 124}}), 400, "invalid")
    copy = drive.files().copy(fileId=made, body={"name": "c"}, fields="id,name,size").execute()
    assert (copy["name"], copy["size"]) == ("c", "3")
    drive.files().delete(fileId=other).execute()
    for gone in [other, made]:
        refused(drive.files().get(fileId=gone), 404, "notFound")
    refused(drive.files().get_media(fileId=copy["id"]), 404, "notFound")


def test_docs_and_sheets_are_made_from_text_and_exported(drive):
    text = "# Plan\n\nÜ"
    doc = drive.files().create(body={"name": "Plan", "mimeType": DOCUMENT}, media_body=media(text.encode(), "text/markdown"), fields="id,size,mimeType").execute()
    assert doc == {"id": doc["id"], "mimeType": DOCUMENT}
    assert drive.files().export(fileId=doc["id"], mimeType="text/markdown").execute().decode() == text
    sheet = drive.files().create(body={"name": "S", "mimeType": SHEET}, media_body=media(b"a,b\n1,2\n", "text/csv")).execute()["id"]
    assert download(drive.files().export_media(fileId=sheet, mimeType="text/csv")) == b"a,b\n1,2\n"
    refused(drive.files().export(fileId=sheet, mimeType="text/markdown"), 400, "badRequest")
    refused(drive.files().get_media(fileId=doc["id"]), 403, "fileNotDownloadable")
    plain = drive.files().create(body={"name": "p"}, media_body=media(b"x", "text/plain")).execute()["id"]
    refused(drive.files().export(fileId=plain, mimeType="text/plain"), 403, "fileNotExportable")
    large = drive.files().create(body={"name": "l", "mimeType": DOCUMENT}, media_body=media(b"x" * (10 * 1024 * 1024 + 1), "text/plain", 8 * UNIT, True)).execute()["id"]
    refused(drive.files().export(fileId=large, mimeType="text/plain"), 403, "exportSizeLimitExceeded")


def test_sharing(drive):
    made = folder(drive, "shared")
    share = lambda body, **more: drive.permissions().create(fileId=made, body=body, **more)
    one = share({"type": "user", "role": "reader", "emailAddress": "ada@example.com"}, emailMessage="Look").execute()
    again = share({"type": "user", "role": "writer", "emailAddress": "ada@example.com"}, sendNotificationEmail=False, fields="id,role,emailAddress").execute()
    assert again == {"id": one["id"], "role": "writer", "emailAddress": "ada@example.com"}
    link = share({"type": "anyone", "role": "reader"}).execute()["id"]
    assert link == "anyoneWithLink" and control("GET", "counts")["google"]["drive"]["notices"] == 1
    held = drive.permissions().list(fileId=made).execute()["permissions"]
    assert sorted(permission["role"] for permission in held) == ["owner", "reader", "writer"]
    drive.permissions().delete(fileId=made, permissionId=link).execute()
    refused(drive.permissions().delete(fileId=made, permissionId=link), 404, "notFound")
    assert drive.permissions().get(fileId=made, permissionId=one["id"]).execute()["role"] == "writer"
    refused(share({"role": "reader"}), 400, "required")
    refused(share({"type": "user", "role": "reader"}), 400, "badRequest")
    refused(share({"type": "user", "role": "owner", "emailAddress": "ada@example.com"}), 403, "forbidden")
    refused(share({"type": "user", "role": "organizer", "emailAddress": "ada@example.com"}), 403, "forbidden")


def test_shared_drives_exist_for_clients_that_know_them(drive):
    shared = drive.drives().create(requestId=str(uuid.uuid4()), body={"name": "Team"}).execute()["id"]
    assert [each["id"] for each in drive.drives().list().execute()["drives"]] == [shared]
    made = folder(drive, "in team", shared)
    assert drive.files().get(fileId=made, supportsAllDrives=True, fields="driveId,ownedByMe").execute() == {"driveId": shared, "ownedByMe": False}
    refused(drive.files().get(fileId=made), 404, "notFound")
    refused(drive.files().create(body={"name": "x", "parents": [shared]}), 404, "notFound")
    both = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
    assert found(drive, "trashed=false") == [] and found(drive, "trashed=false", **both) == ["in team"]
    assert found(drive, "trashed=false", corpora="drive", driveId=shared, **both) == ["in team"]
    refused(drive.files().list(corpora="drive", supportsAllDrives=True, includeItemsFromAllDrives=True), 400, "invalid")
    refused(drive.files().list(includeItemsFromAllDrives=True), 403, "teamDriveNotSupported")


def test_scopes_are_kept_and_others_files_are_not_there(drive):
    made = folder(drive, "mine")
    reader = client(["https://www.googleapis.com/auth/drive.readonly"])
    assert reader.files().get(fileId=made).execute()["name"] == "mine"
    refused(reader.files().create(body={"name": "x"}), 403, "insufficientPermissions")
    with urllib.request.urlopen(f"{SANDBOX}/google/service-account.json") as answer:
        key = json.load(answer)
    document = json.loads(get_static_doc("drive", "v3"))
    document["rootUrl"] = f"{SANDBOX}/google/"
    account = service_account.Credentials.from_service_account_info(key, scopes=[DRIVE])
    robot = discovery.build_from_document(document, credentials=account)
    refused(robot.files().get(fileId=made), 404, "notFound")
    drive.permissions().create(fileId=made, body={"type": "user", "role": "reader", "emailAddress": key["client_email"]}).execute()
    assert robot.files().get(fileId=made).execute()["name"] == "mine"
    refused(robot.files().update(fileId=made, body={"name": "x"}), 403, "insufficientFilePermissions")


def test_what_is_unknown_is_refused_and_bad_days_are_googles(drive):
    details = refused(drive.files().get(fileId="nope"), 404, "notFound")
    assert details["message"] == "File not found: nope." and details["errors"][0]["location"] == "fileId"
    answer, body = drive._http.request(f"{SANDBOX}/google/drive/v3/files?colour=red")
    assert answer.status == 400 and "colour" in json.loads(body)["error"]["message"]
    misbehave(kind="rate_limited", retry_after=1, times=1)
    misbehave(kind="error", status=500, times=1)
    assert drive.files().list().execute(num_retries=4)["files"] == []
    misbehave(kind="expired_token", times=1)
    assert drive.files().list().execute()["files"] == [], "the client fetches another token"
    misbehave(kind="error", status=500, times=1)
    refused(drive.files().list(), 500, "backendError")
