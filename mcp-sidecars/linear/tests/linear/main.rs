//! The sidecar against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use clap::Parser;
use event_planner_mcp_linear::{LinearSettings, sidecar};
use event_planner_sandbox::{
    Fault,
    Misbehaviour::{self, Cut, Error, ExpiredToken, Garbage, Latency, RateLimited},
    Provider, Sandbox,
    linear::token::{API_KEY, READER_KEY},
};
use expect_test::expect_file;
use mcp_kit::{Account, Cli, Code, Failure, Metrics, ToolError, testing::Client};
use serde_json::{Value, json};

struct Scene {
    sandbox: Sandbox,
    client: Client,
}

async fn scene(arguments: &[&str]) -> Scene {
    scene_with_key(API_KEY, arguments).await
}

async fn scene_with_key(key: &str, arguments: &[&str]) -> Scene {
    let sandbox = Sandbox::start().await.unwrap();
    let url = format!("--linear-api-url={}", sandbox.url("linear"));
    let key = format!("--linear-api-key={key}");
    let all = ["test", &url, &key]
        .into_iter()
        .chain(arguments.iter().copied());
    let client = client(all);
    Scene { sandbox, client }
}

fn client<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Client {
    let settings = Cli::<LinearSettings>::try_parse_from(arguments)
        .unwrap()
        .own;
    Client::new(sidecar(&settings, &Metrics::new().unwrap()).unwrap()).unwrap()
}

impl Scene {
    async fn ok(&self, tool: &str, arguments: Value) -> Value {
        self.client.call(tool, arguments).await.unwrap()
    }

    async fn error(&self, tool: &str, arguments: Value) -> ToolError {
        match self.client.call(tool, arguments).await {
            Err(Failure::Tool(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    async fn counts(&self) -> Value {
        let url = format!("{}/counts", self.sandbox.url("sandbox"));
        let counts: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        counts["linear"].clone()
    }
}

fn misbehave(misbehaviour: Misbehaviour) -> Fault {
    Fault::new(Provider::Linear, misbehaviour).on("POST", "/graphql")
}

fn task(key: &str) -> Value {
    json!({
        "idempotency_key": key, "team": "EVT", "title": "Book the band", "description": "Jazz, *not* too loud",
        "due_date": "2027-05-01", "priority": "high",
    })
}

#[test]
fn the_committed_list_of_tools_is_current() {
    expect_file!["../../tools.json"].assert_eq(&client(["test"]).tool_list());
}

#[tokio::test]
async fn an_issue_is_created_once_for_a_key() {
    let scene = scene(&[]).await;
    let first = scene.ok("create_issue", task("k1")).await;
    let issue = &first["issue"];
    assert_eq!(first["replayed"], false);
    assert_eq!(
        (&issue["identifier"], &issue["due_date"], &issue["priority"]),
        (&json!("EVT-1"), &json!("2027-05-01"), &json!("High"))
    );
    let again = scene.ok("create_issue", task("k1")).await;
    assert_eq!(
        (&again["replayed"], &again["issue"]["id"]),
        (&json!(true), &issue["id"])
    );
    let other = scene.ok("create_issue", task("k2")).await;
    assert_eq!(other["issue"]["identifier"], "EVT-2");
    assert_eq!(scene.counts().await["issues"], 2);
    let mut elsewhere = task("k1");
    elsewhere["team"] = "OPS".into();
    let error = scene.error("create_issue", elsewhere).await;
    assert_eq!(error.code, Code::Refused);
}

#[tokio::test]
async fn an_issue_whose_answer_was_lost_is_there_once() {
    let scene = scene(&[]).await;
    for (number, lost) in [Cut, Error { status: 500 }, Garbage]
        .into_iter()
        .enumerate()
    {
        // The team is asked for first; only the second request is the creation.
        scene
            .sandbox
            .misbehave(misbehave(Latency { milliseconds: 0 }).times(1));
        scene
            .sandbox
            .misbehave(misbehave(lost.clone()).times(1).after());
        let key = format!("k{number}");
        let answer = scene.client.call("create_issue", task(&key)).await;
        if lost == Garbage {
            assert!(answer.is_err());
        } else {
            assert_eq!(answer.unwrap()["replayed"], true, "{lost:?}");
        }
        let again = scene.ok("create_issue", task(&key)).await;
        assert_eq!(again["replayed"], true);
    }
    assert_eq!(scene.counts().await["issues"], 3);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let scene = scene(&[]).await;
    let mut dry = task("k1");
    dry["dry_run"] = true.into();
    let answer = scene.ok("create_issue", dry).await;
    assert_eq!(answer["would"], "create “Book the band” in EVT");
    scene.ok("create_issue", task("k1")).await;
    let change = json!({ "issue": "EVT-1", "state": "Done", "dry_run": true });
    let answer = scene.ok("update_issue", change).await;
    assert_eq!(answer["issue"]["state"], "Backlog");
    assert_eq!(
        scene.counts().await,
        json!({ "issues": 1, "updates": 0, "tokens_refreshed": 0, "tokens_revoked": 0 })
    );
}

#[tokio::test]
async fn a_change_leaves_the_rest() {
    let scene = scene(&[]).await;
    scene.ok("create_issue", task("k1")).await;
    let change =
        json!({ "issue": "EVT-1", "state": "done", "due_date": "", "title": "Book the DJ" });
    let changed = scene.ok("update_issue", change).await["issue"].clone();
    assert_eq!(
        (
            &changed["state_type"],
            &changed["title"],
            &changed["priority"]
        ),
        (&json!("completed"), &json!("Book the DJ"), &json!("High"))
    );
    assert_eq!(
        (changed.get("due_date"), &changed["description"]),
        (None, &json!("Jazz, *not* too loud"))
    );
    assert_eq!(
        scene
            .ok("get_issue", json!({ "issue": changed["id"] }))
            .await,
        changed
    );
    let error = scene
        .error("update_issue", json!({ "issue": "EVT-1", "state": "Lost" }))
        .await;
    assert!(
        error
            .message
            .contains("Backlog, Todo, In Progress, Done, Canceled"),
        "{}",
        error.message
    );
    let error = scene
        .error("update_issue", json!({ "issue": "EVT-1" }))
        .await;
    assert_eq!(error.code, Code::Invalid);
}

#[tokio::test]
async fn a_state_is_chosen_by_what_it_means() {
    let scene = scene(&[]).await;
    scene.ok("create_issue", task("k1")).await;
    for (kind, state) in [
        ("completed", "Done"),
        ("canceled", "Canceled"),
        ("unstarted", "Todo"),
    ] {
        let change = json!({ "issue": "EVT-1", "state_type": kind });
        let changed = scene.ok("update_issue", change.clone()).await;
        assert_eq!(changed["issue"]["state"], state);
        // It means that already: nothing is asked of Linear.
        let updates = scene.counts().await["updates"].clone();
        scene.ok("update_issue", change).await;
        assert_eq!(scene.counts().await["updates"], updates);
    }
    let both = json!({ "issue": "EVT-1", "state": "Done", "state_type": "completed" });
    assert_eq!(scene.error("update_issue", both).await.code, Code::Invalid);
    let none = json!({ "issue": "EVT-1", "state_type": "triage" });
    let error = scene.error("update_issue", none).await;
    assert!(error.message.contains("Backlog"), "{}", error.message);
}

#[tokio::test]
async fn lists_come_in_pages_and_are_narrowed() {
    let scene = scene(&[]).await;
    for number in 1..=5 {
        let mut new = task(&number.to_string());
        new["team"] = if number == 5 { "OPS" } else { "EVT" }.into();
        new["title"] = format!("Task {number}").into();
        scene.ok("create_issue", new).await;
    }
    let first = scene.ok("list_issues", json!({ "limit": 3 })).await;
    let second = scene
        .ok(
            "list_issues",
            json!({ "limit": 3, "cursor": first["next_cursor"] }),
        )
        .await;
    let titles = |page: &Value| {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(titles(&first), ["Task 5", "Task 4", "Task 3"]);
    assert_eq!(titles(&second), ["Task 2", "Task 1"]);
    assert_eq!(second.get("next_cursor"), None);
    assert_eq!(
        titles(&scene.ok("list_issues", json!({ "team": "OPS" })).await),
        ["Task 5"]
    );
    assert_eq!(
        titles(&scene.ok("list_issues", json!({ "title": "task 2" })).await),
        ["Task 2"]
    );
    let done = scene
        .ok("list_issues", json!({ "state_type": "completed" }))
        .await;
    assert_eq!(done["items"], json!([]));
    let teams = scene.ok("list_teams", json!({})).await;
    assert_eq!(teams["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn only_allowed_teams_are_used() {
    let scene = scene(&["--allowed-teams=OPS"]).await;
    let error = scene.error("create_issue", task("k1")).await;
    assert!(error.message.contains("ALLOWED_TEAMS"), "{}", error.message);
    assert_eq!(
        scene.ok("list_teams", json!({})).await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let mut allowed = task("k1");
    allowed["team"] = "OPS".into();
    scene.ok("create_issue", allowed).await;
    assert_eq!(scene.counts().await["issues"], 1);
    let error = scene.error("list_issues", json!({ "team": "EVT" })).await;
    assert_eq!(error.code, Code::Refused);
}

#[tokio::test]
async fn read_only_leaves_no_tool_that_changes() {
    let scene = scene(&["--read-only"]).await;
    let tools = scene.client.tool_list();
    assert!(tools.contains("list_issues") && !tools.contains("create_issue"));
    assert!(scene.client.call("create_issue", task("k1")).await.is_err());
    assert_eq!(scene.counts().await["issues"], 0);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let scene = scene(&[]).await;
    let error = scene.error("get_issue", json!({ "issue": "EVT-9" })).await;
    assert_eq!(error.code, Code::NotFound);
    let mut unknown = task("k1");
    unknown["team"] = "NOPE".into();
    assert_eq!(
        scene.error("create_issue", unknown).await.code,
        Code::NotFound
    );
    let mut wrong = task("k1");
    wrong["due_date"] = "1.5.2027".into();
    assert_eq!(scene.error("create_issue", wrong).await.code, Code::Invalid);
    let reader = scene_with_key(READER_KEY, &[]).await;
    let error = reader.error("create_issue", task("k1")).await;
    assert!(error.message.contains("write"), "{}", error.message);
    let stranger = scene_with_key("lin_api_of-nobody-at-all", &[]).await;
    let error = stranger.error("list_teams", json!({})).await;
    assert!(
        error.message.contains("LINEAR_API_KEY"),
        "{}",
        error.message
    );
    let without = client(["test"]);
    let Err(Failure::Tool(error)) = without.call("list_teams", json!({})).await else {
        panic!("it has no credentials");
    };
    assert!(
        error.message.contains("LINEAR_API_KEY"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn bad_days_are_told_as_such() {
    let scene = scene(&[]).await;
    scene
        .sandbox
        .misbehave(misbehave(RateLimited { retry_after: 7 }).times(1));
    let error = scene.error("list_teams", json!({})).await;
    assert_eq!(
        (error.code, error.retry_after_seconds()),
        (Code::RateLimited, Some(7))
    );
    scene.sandbox.misbehave(misbehave(Error { status: 500 }));
    assert_eq!(
        scene.error("list_teams", json!({})).await.code,
        Code::Unavailable
    );
    scene.sandbox.world.faults.clear();
    scene.sandbox.misbehave(misbehave(ExpiredToken).times(1));
    assert_eq!(
        scene.error("list_teams", json!({})).await.code,
        Code::Refused
    );
    scene.ok("list_teams", json!({})).await;
}

#[tokio::test]
async fn an_account_acts_in_its_own_workspace_only() {
    let scene = scene(&[]).await;
    scene.ok("create_issue", task("k1")).await;
    let account = Account::new("a", "no-such-token").unwrap();
    let theirs = Client::new(
        sidecar(
            &Cli::<LinearSettings>::parse_from([
                "test",
                &format!("--linear-api-url={}", scene.sandbox.url("linear")),
                &format!("--linear-api-key={API_KEY}"),
            ])
            .own,
            &Metrics::new().unwrap(),
        )
        .unwrap(),
    );
    let theirs = theirs.unwrap().with_account(account);
    // Our own key is never used in place of an account's token.
    let Err(Failure::Tool(error)) = theirs.call("list_issues", json!({})).await else {
        panic!("the token holds nowhere");
    };
    assert!(
        error.message.contains("connect the account anew"),
        "{}",
        error.message
    );
}
