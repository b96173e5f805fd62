//! How text messages fare after Twilio has taken them: as it tells by callback, and as it says when asked.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    MessageStatus, audit, queries,
    queries::{Outcome, Unsettled},
};
use crate::{
    jobs::{Done, Failure, Job},
    problem::Problem,
    sidecars::{Errand, SidecarError},
    state::App,
    work::Work,
};

const AT_ONCE: i64 = 50;
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What Twilio says of a message.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// In its words, such as `undelivered`.
    pub status: String,
    /// Why it was not delivered, such as 30003 for a phone that is off.
    pub error_code: Option<u32>,
}

/// Takes a report in. Whatever their order, reports lead to one end: a status is never followed by one of lower rank.
pub async fn take(
    app: &App,
    organization_id: Uuid,
    id: Uuid,
    provider_id: &str,
    report: &Report,
) -> Result<(), Problem> {
    let Some(status) = meaning(&report.status) else {
        return Ok(());
    };
    let mut work = Work::system(app, organization_id).await?;
    let now = work.now;
    let current = queries::lock(&mut work, organization_id, id).await?;
    let is_of_this_round = current.provider_id.as_deref() == Some(provider_id);
    if !is_of_this_round || rank(status) <= rank(current.status) {
        return Ok(());
    }
    let failure = (status == MessageStatus::Failed).then(|| words(report));
    let outcome = Outcome {
        status,
        failure: failure.as_deref(),
        provider_id: None,
        place: None,
    };
    let message = queries::set(&mut work, organization_id, id, &outcome, now).await?;
    let action = match status {
        MessageStatus::Delivered => "message.delivered",
        MessageStatus::Failed => "message.failed",
        _ => "message.sent",
    };
    audit(&mut work, action, Some(&current), &message).await?;
    work.commit_silently().await
}

/// `messages.check`: asks about messages of which no end was told. Callbacks get lost, and connected accounts send none. One
/// that cannot be asked about keeps no other waiting.
pub async fn check(app: App, _: Job) -> Result<Done, Failure> {
    if !app.sidecars.twilio.is_set() {
        return Ok(Done::Finished);
    }
    let mut outcome = Ok(Done::Finished);
    for message in queries::take_unsettled(&app.db, app.now(), AT_ONCE).await? {
        if let Err(failure) = ask(&app, &message).await {
            tracing::warn!(message.id = %message.id, ?failure, "how a message fares is not known");
            outcome = Err(failure);
        }
    }
    outcome
}

async fn ask(app: &App, message: &Unsettled) -> Result<(), Failure> {
    let organization_id = message.organization_id;
    let errand = Errand {
        organization_id,
        member_id: None,
        request_id: None,
        idempotency_key: String::new(),
        account: None,
        deadline: Instant::now() + CALL_TIMEOUT,
    };
    let arguments = json!({ "message_id": message.provider_id });
    let twilio = &app.sidecars.twilio;
    match twilio
        .ask::<Report>(&errand, "get_message", &arguments)
        .await
    {
        Ok(report) => {
            let (id, provider_id) = (message.id, &message.provider_id);
            Ok(take(app, organization_id, id, provider_id, &report).await?)
        }
        Err(SidecarError::Refused(refusal)) => {
            tracing::warn!(message.id = %message.id, error = refusal.message, "Twilio does not tell of a message");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn meaning(status: &str) -> Option<MessageStatus> {
    match status {
        "sent" => Some(MessageStatus::Sent),
        "delivered" | "read" => Some(MessageStatus::Delivered),
        "undelivered" | "failed" | "canceled" => Some(MessageStatus::Failed),
        // On its way: `accepted`, `queued`, `sending`.
        _ => None,
    }
}

/// A total order, so that any order of reports has one end; what is skipped was never sent.
fn rank(status: MessageStatus) -> u8 {
    match status {
        MessageStatus::Queued => 0,
        MessageStatus::Sent => 1,
        MessageStatus::Failed => 2,
        MessageStatus::Delivered => 3,
        MessageStatus::Skipped => 4,
    }
}

fn words(report: &Report) -> String {
    let code = report
        .error_code
        .map(|code| format!(" (Twilio's error {code})"));
    format!("Twilio says {}{}", report.status, code.unwrap_or_default())
}
