//! What a run of steps can do with an event's calendar entry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CalendarEntry, queries, sync::bring_up_to_date};
use crate::{events, jobs::Failure, sidecars::Errand, state::App, work::Work};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldInput {}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct HoldOutput {
    /// Our own id of it.
    pub calendar_event_id: Uuid,
    pub provider_event_id: Option<String>,
    pub link: Option<String>,
    /// For `cancel`: with it, only what this errand held is cancelled.
    pub hold_key: String,
}

/// Holds the event's time in the calendar. An event has one entry, whoever asks for it; an errand that is repeated after its
/// hold was cancelled does not hold it again.
pub async fn hold(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    _: HoldInput,
) -> Result<HoldOutput, Failure> {
    let organization_id = errand.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    let event = events::queries::lock(&mut work, organization_id, event_id).await?;
    let before = queries::lock(&mut work, organization_id, event_id).await?;
    let key = Some(errand.idempotency_key.as_str());
    let is_repeated = |key| {
        before
            .as_ref()
            .is_some_and(|entry| !entry.is_wanted && entry.hold_key.as_deref() == key)
    };
    if is_repeated(key) {
        return Err(Failure::Fatal("this hold was cancelled since".to_owned()));
    }
    super::hold(&mut work, organization_id, &event, before, key).await?;
    work.commit_silently().await?;
    let entry = bring_up_to_date(app, errand, event_id, None).await?;
    let entry = entry.ok_or_else(|| Failure::Fatal("the event is gone".to_owned()))?;
    Ok(HoldOutput {
        calendar_event_id: entry.id,
        provider_event_id: entry.provider_event_id,
        link: entry.link,
        hold_key: errand.idempotency_key.clone(),
    })
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelInput {
    /// From `hold`: an entry that stood before stays. Without it the entry goes, whoever asked for it.
    #[serde(default)]
    pub hold_key: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct CancelOutput {
    /// Whether there was such an entry.
    pub was_held: bool,
}

/// Undoes `hold`: takes the event's entry out of the calendar, whoever changed it there.
pub async fn cancel(
    app: &App,
    errand: &Errand,
    event_id: Uuid,
    input: CancelInput,
) -> Result<CancelOutput, Failure> {
    let organization_id = errand.organization_id;
    let mut work = Work::system(app, organization_id).await?;
    let entry = queries::lock(&mut work, organization_id, event_id).await?;
    let is_meant = |entry: &CalendarEntry| match &input.hold_key {
        Some(key) => entry.hold_key.as_ref() == Some(key),
        None => true,
    };
    let Some(entry) = entry.filter(is_meant) else {
        return Ok(CancelOutput { was_held: false });
    };
    super::cancel(&mut work, organization_id, entry).await?;
    work.commit_silently().await?;
    bring_up_to_date(app, errand, event_id, None).await?;
    Ok(CancelOutput { was_held: true })
}
