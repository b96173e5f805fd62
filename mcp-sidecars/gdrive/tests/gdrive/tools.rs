use event_planner_sandbox::{Provider, Sandbox};
use expect_test::expect_file;
use mcp_kit::{Account, Caller, Metrics, testing};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{id, settings, token, with, world};

#[tokio::test]
async fn the_committed_tool_list_is_what_callers_see() {
    let world = world(&[]).await;
    expect_file!["../../tools.json"].assert_eq(&world.client.tool_list());
}

#[tokio::test]
async fn folders_and_files_are_made_found_and_told() {
    let world = world(&[]).await;
    let folder = world.folder("Gala's files", None).await;
    let file = world.text("plan.txt", "eighty guests", &folder).await;
    let told = world.call("get_file", json!({ "file_id": file })).await;
    assert_eq!(
        (
            &told["name"],
            &told["size"],
            &told["mime_type"],
            &told["folder_id"]
        ),
        (
            &json!("plan.txt"),
            &json!(13),
            &json!("text/plain"),
            &json!(folder)
        )
    );
    let base64 = json!({ "name": "logo.png", "mime_type": "image/png", "content_base64": "AAEC", "folder_id": folder });
    world.call("upload_file", base64).await;
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let listed = world
        .call("list_files", json!({ "folder_id": folder }))
        .await;
    assert_eq!(names(&listed), ["logo.png", "plan.txt"]);
    let top = world
        .call("list_files", json!({ "only_folders": true }))
        .await;
    assert_eq!(names(&top), ["Gala's files"]);
    for (search, found) in [
        (json!({ "name": "gala's" }), vec!["Gala's files"]),
        (json!({ "text": "guests" }), vec!["plan.txt"]),
        (json!({ "mime_type": "image/png" }), vec!["logo.png"]),
        (
            json!({ "name": "' or trashed = true or name contains '" }),
            vec![],
        ),
        (json!({ "modified_after": "2100-01-01T00:00:00Z" }), vec![]),
    ] {
        assert_eq!(
            names(&world.call("search_files", search.clone()).await),
            found,
            "{search}"
        );
    }
    let first = world.call("search_files", json!({ "limit": 2 })).await;
    let rest = world
        .call(
            "search_files",
            json!({ "limit": 2, "cursor": first["next_cursor"] }),
        )
        .await;
    assert_eq!(
        (
            names(&first).len(),
            names(&rest).len(),
            &rest["next_cursor"]
        ),
        (2, 1, &Value::Null)
    );
}

#[tokio::test]
async fn documents_are_written_as_markdown_and_read_in_parts() {
    let world = world(&[]).await;
    let text = "# Plän\n\n".to_owned() + &"ü€😀x".repeat(100);
    let made = world
        .call(
            "create_document",
            json!({ "name": "Plan", "content": text }),
        )
        .await;
    let (mut read, mut offset) = (String::new(), 0);
    loop {
        let part = world
            .call(
                "read_file",
                json!({ "file_id": id(&made), "offset": offset, "max_bytes": 101 }),
            )
            .await;
        assert_eq!(part["media_type"], "text/markdown");
        read += part["text"].as_str().unwrap();
        match part["next_offset"].as_u64() {
            Some(next) => offset = next,
            None => break,
        }
    }
    assert_eq!(read, text);
    let sheet =
        json!({ "name": "Guests", "kind": "spreadsheet", "content": "name,seats\nAda,2\n" });
    let sheet = id(&world.call("create_document", sheet).await);
    let part = world.call("read_file", json!({ "file_id": sheet })).await;
    assert_eq!(
        (&part["text"], &part["media_type"]),
        (&json!("name,seats\nAda,2\n"), &json!("text/csv"))
    );
    let plain = world.text("a.txt", &text, "root").await;
    let part = world
        .call(
            "read_file",
            json!({ "file_id": plain, "offset": 6, "max_bytes": 100 }),
        )
        .await;
    assert!(
        text[6..].starts_with(part["text"].as_str().unwrap()),
        "{part}"
    );
    let beyond = world
        .call("read_file", json!({ "file_id": plain, "offset": 99_999 }))
        .await;
    assert_eq!(
        (&beyond["text"], &beyond["next_offset"]),
        (&json!(""), &Value::Null)
    );
    let image = json!({ "name": "i.png", "mime_type": "image/png", "content_base64": "AAEC" });
    let image = id(&world.call("upload_file", image).await);
    assert_eq!(
        world
            .refused("read_file", json!({ "file_id": image }))
            .await
            .0,
        "REFUSED"
    );
    let bytes = world
        .call("download_file", json!({ "file_id": image }))
        .await;
    assert_eq!(
        (&bytes["content_base64"], &bytes["name"]),
        (&json!("AAEC"), &json!("i.png"))
    );
}

#[tokio::test]
async fn a_key_makes_a_thing_once_also_in_another_process() {
    let first = world(&[]).await;
    let calls = [
        (
            "create_folder",
            json!({ "name": "F", "idempotency_key": "k1" }),
        ),
        (
            "create_document",
            json!({ "name": "D", "content": "x", "idempotency_key": "k1" }),
        ),
        (
            "upload_file",
            json!({ "name": "U", "text": "x", "idempotency_key": "k1" }),
        ),
    ];
    let mut made = Vec::new();
    for (tool, arguments) in &calls {
        let both = tokio::join!(
            first.call(tool, arguments.clone()),
            first.call(tool, arguments.clone())
        );
        assert_eq!(both.0["file"]["id"], both.1["file"]["id"]);
        assert_ne!(both.0["replayed"], both.1["replayed"], "{tool}");
        made.push(id(&both.0));
    }
    let second = with(first.sandbox, &[]).await;
    for ((tool, arguments), made) in calls.iter().zip(&made) {
        let again = second.call(tool, arguments.clone()).await;
        assert_eq!(
            (id(&again), &again["replayed"]),
            (made.clone(), &json!(true))
        );
        let mut other = arguments.clone();
        other["name"] = "other".into();
        let (code, message, _) = second.refused(tool, other).await;
        assert!(
            code == "REFUSED" && message.contains("idempotency_key"),
            "{message}"
        );
    }
    let text = json!({ "name": "U", "text": "y", "idempotency_key": "k1" });
    let base64 = json!({ "name": "U", "mime_type": "text/plain", "content_base64": "eQ==", "idempotency_key": "k1" });
    let document = json!({ "name": "D", "content": "y", "idempotency_key": "k1" });
    for (tool, other) in [
        ("upload_file", text),
        ("upload_file", base64),
        ("create_document", document),
    ] {
        let (code, message, _) = second.refused(tool, other).await;
        assert!(
            code == "REFUSED" && message.contains("idempotency_key"),
            "{message}"
        );
    }
    assert_eq!(second.count("files").await, 3);
    second.call("create_folder", json!({ "name": "F" })).await;
    second.call("create_folder", json!({ "name": "F" })).await;
    assert_eq!(second.count("files").await, 5);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = world(&["--allow-link-sharing"]).await;
    let folder = world.folder("A", None).await;
    let file = world.text("a.txt", "x", "root").await;
    let before = (world.count("files").await, world.count("permissions").await);
    for (tool, arguments) in [
        ("create_folder", json!({ "name": "B" })),
        ("create_document", json!({ "name": "B" })),
        ("upload_file", json!({ "name": "B", "text": "x" })),
        (
            "share_file",
            json!({ "file_id": file, "with": "anyone_with_link", "role": "reader" }),
        ),
        ("trash_file", json!({ "file_id": file })),
        ("move_file", json!({ "file_id": file, "folder_id": folder })),
    ] {
        let mut arguments = arguments;
        arguments["dry_run"] = true.into();
        let answer = world.call(tool, arguments).await;
        assert!(
            answer["would"]
                .as_str()
                .is_some_and(|words| !words.is_empty()),
            "{tool} {answer}"
        );
    }
    assert_eq!(
        before,
        (world.count("files").await, world.count("permissions").await)
    );
    assert_eq!(world.count("trashed").await, 0);
    let told = world.call("get_file", json!({ "file_id": file })).await;
    assert_ne!(told["folder_id"], json!(folder));
}

#[tokio::test]
async fn sharing_twice_is_sharing_once() {
    let world = world(&["--share-domains=example.com"]).await;
    let file = world.folder("A", None).await;
    let share = json!({ "file_id": file, "with": "user", "address": "ada@example.com", "role": "writer", "notify": true, "message": "Look" });
    let first = world.call("share_file", share.clone()).await;
    let again = world.call("share_file", share.clone()).await;
    assert_eq!(
        (&first["replayed"], &again["replayed"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["permission_id"], again["permission_id"]);
    assert_eq!(
        (
            world.count("notices").await,
            world.count("permissions").await
        ),
        (1, 2)
    );
    for (with, address, code) in [
        ("user", json!("eve@evil.example"), "REFUSED"),
        ("anyone_with_link", Value::Null, "REFUSED"),
        ("user", Value::Null, "INVALID"),
        ("user", json!("nobody"), "INVALID"),
        ("domain", json!("exa mple.com"), "INVALID"),
    ] {
        let arguments =
            json!({ "file_id": file, "with": with, "address": address, "role": "reader" });
        assert_eq!(
            world.refused("share_file", arguments).await.0,
            code,
            "{with} {address}"
        );
    }
    assert_eq!(world.count("permissions").await, 2);
}

#[tokio::test]
async fn trashing_and_moving_say_what_shall_be() {
    let world = world(&[]).await;
    let (one, other) = (world.folder("1", None).await, world.folder("2", None).await);
    let file = world.text("a.txt", "x", &one).await;
    for (tool, arguments) in [
        ("move_file", json!({ "file_id": file, "folder_id": other })),
        ("trash_file", json!({ "file_id": file })),
        ("trash_file", json!({ "file_id": file, "restore": true })),
    ] {
        let first = world.call(tool, arguments.clone()).await;
        let again = world.call(tool, arguments).await;
        assert_eq!(
            (&first["replayed"], &again["replayed"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(first["file"]["is_trashed"], again["file"]["is_trashed"]);
    }
    let told = world.call("get_file", json!({ "file_id": file })).await;
    assert_eq!(
        (&told["folder_id"], &told["is_trashed"]),
        (&json!(other), &json!(false))
    );
    let (code, message, _) = world
        .refused("move_file", json!({ "file_id": one, "folder_id": file }))
        .await;
    assert!(code == "INVALID" && message.contains("folder"), "{message}");
}

#[tokio::test]
async fn callers_stay_within_the_allowed_folders() {
    let open = world(&[]).await;
    let (inside, outside) = (
        open.folder("in", None).await,
        open.folder("out", None).await,
    );
    let deep = open.folder("deep", Some(&inside)).await;
    let (mine, theirs) = (
        open.text("mine.txt", "x", &deep).await,
        open.text("theirs.txt", "x", &outside).await,
    );
    let world = with(open.sandbox, &[&format!("--allowed-folders={inside}")]).await;
    let made = world.call("create_folder", json!({ "name": "new" })).await;
    assert_eq!(made["file"]["folder_id"], json!(inside));
    assert_eq!(
        world.call("read_file", json!({ "file_id": mine })).await["text"],
        "x"
    );
    let before = (world.count("files").await, world.count("permissions").await);
    for (tool, arguments) in [
        ("get_file", json!({ "file_id": theirs })),
        ("read_file", json!({ "file_id": theirs })),
        ("download_file", json!({ "file_id": theirs })),
        ("trash_file", json!({ "file_id": theirs })),
        ("trash_file", json!({ "file_id": inside })),
        (
            "share_file",
            json!({ "file_id": theirs, "with": "user", "address": "a@b.example", "role": "reader" }),
        ),
        ("move_file", json!({ "file_id": theirs, "folder_id": deep })),
        (
            "move_file",
            json!({ "file_id": mine, "folder_id": outside }),
        ),
        ("list_files", json!({ "folder_id": outside })),
        ("list_files", json!({ "folder_id": "root" })),
        (
            "create_folder",
            json!({ "name": "x", "folder_id": outside }),
        ),
        (
            "create_document",
            json!({ "name": "x", "folder_id": outside }),
        ),
        (
            "upload_file",
            json!({ "name": "x", "text": "x", "folder_id": outside }),
        ),
    ] {
        assert_eq!(
            world.refused(tool, arguments.clone()).await.0,
            "REFUSED",
            "{tool} {arguments}"
        );
    }
    assert_eq!(
        before,
        (world.count("files").await, world.count("permissions").await)
    );
    let found = world
        .call("search_files", json!({ "mime_type": "text/plain" }))
        .await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn shared_drives_are_worked_in_like_folders() {
    let open = world(&[]).await;
    let made = open
        .drive(
            Method::POST,
            "drives?requestId=1",
            json!({ "name": "Team" }),
        )
        .await;
    let team = made["id"].as_str().unwrap().to_owned();
    let world = with(open.sandbox, &[&format!("--allowed-folders={team}")]).await;
    let arguments = json!({ "name": "F", "idempotency_key": "k" });
    let folder = world.call("create_folder", arguments.clone()).await;
    assert_eq!(folder["file"]["drive_id"], json!(team));
    let again = with(world.sandbox, &[]).await;
    let replay = again
        .call(
            "create_folder",
            json!({ "name": "F", "idempotency_key": "k", "folder_id": team }),
        )
        .await;
    assert_eq!(
        (id(&replay), &replay["replayed"]),
        (id(&folder), &json!(true))
    );
    let file = again.text("a.txt", "x", &id(&folder)).await;
    let found = again.call("search_files", json!({ "name": "a.txt" })).await;
    assert_eq!(found["items"][0]["id"], json!(file));
    assert_eq!(
        again.call("trash_file", json!({ "file_id": file })).await["file"]["is_trashed"],
        json!(true)
    );
}

#[tokio::test]
async fn what_does_not_hold_is_told_with_its_field() {
    let world = world(&["--max-file-bytes=10"]).await;
    for (tool, arguments, pointer) in [
        ("create_folder", json!({ "name": "a\nb" }), "#/name"),
        ("create_folder", json!({ "name": " " }), "#/name"),
        (
            "create_folder",
            json!({ "name": "a", "folder_id": "../x" }),
            "#/folder_id",
        ),
        ("get_file", json!({ "file_id": "a/b?c" }), "#/file_id"),
        (
            "upload_file",
            json!({ "name": "a", "text": "x", "mime_type": "nonsense" }),
            "#/mime_type",
        ),
        (
            "upload_file",
            json!({ "name": "a", "text": "x", "mime_type": "application/vnd.google-apps.document" }),
            "#/mime_type",
        ),
        (
            "upload_file",
            json!({ "name": "a", "content_base64": "%%" }),
            "#/content_base64",
        ),
        (
            "search_files",
            json!({ "modified_after": "yesterday" }),
            "#/modified_after",
        ),
        (
            "read_file",
            json!({ "file_id": "a", "max_bytes": 1 }),
            "#/max_bytes",
        ),
    ] {
        let (code, message, details) = world.refused(tool, arguments.clone()).await;
        assert_eq!(
            (code, &details["errors"][0]["pointer"]),
            ("INVALID", &json!(pointer)),
            "{arguments} {message}"
        );
    }
    assert_eq!(
        world.refused("upload_file", json!({ "name": "a" })).await.0,
        "INVALID"
    );
    assert_eq!(
        world
            .refused(
                "upload_file",
                json!({ "name": "a", "text": "x", "content_base64": "AAEC" })
            )
            .await
            .0,
        "INVALID"
    );
    assert_eq!(
        world
            .refused("upload_file", json!({ "name": "a", "text": "12345678901" }))
            .await
            .0,
        "REFUSED"
    );
    let (code, _, details) = world
        .refused("get_file", json!({ "file_id": "nope" }))
        .await;
    assert_eq!(
        (code, &details["provider_code"]),
        ("NOT_FOUND", &json!("notFound"))
    );
    assert_eq!(world.count("files").await, 0);
}

#[tokio::test]
async fn a_read_only_server_offers_nothing_that_writes() {
    let world = world(&["--read-only"]).await;
    let shown = world.call("capabilities", json!({})).await;
    assert_eq!(shown["notes"]["read_only"], json!(true));
    assert!(
        shown["tools"]
            .as_array()
            .unwrap()
            .iter()
            .all(|tool| tool["read_only"] == json!(true))
    );
    let reader = world.client.as_caller(Caller::named("reader", &["read"]));
    assert!(reader.call("search_files", json!({})).await.is_ok());
}

#[tokio::test]
async fn a_call_may_bring_its_own_account_and_needs_none_of_ours() {
    let sandbox = Sandbox::start().await.unwrap();
    let sidecar =
        event_planner_mcp_gdrive::sidecar(&settings(&sandbox, &[]), &Metrics::new().unwrap())
            .unwrap();
    let client = testing::Client::new(sidecar).unwrap();
    let refused = client.call("search_files", json!({})).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("GOOGLE_REFRESH_TOKEN"),
        "{refused:?}"
    );
    assert!(sandbox.arrived(Provider::Google).is_empty());
    let account = Account::new("acct-1", &token(&sandbox).await).unwrap();
    let client = client.with_account(account);
    assert!(
        client
            .call("create_folder", json!({ "name": "A" }))
            .await
            .is_ok()
    );
    let client = client.with_account(Account::new("acct-1", "no-longer-valid").unwrap());
    let refused = client.call("search_files", json!({})).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("connect the account anew"),
        "{refused:?}"
    );
}
