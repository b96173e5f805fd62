//! From a description to a run.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::{Facts, Orchestration, Priority, draft::Draft, matching};
use crate::{
    access::{Access, WriteBookings},
    agents::Directory,
    events::{self, Event, EventStatus},
    extract::{Json, Query, ValidateOnly},
    playbooks::{self, Playbook, check},
    problem::{Problem, kinds},
    state::App,
    work::{Answer, Work},
};

/// What is to be done.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "description": "Offsite for 40 in Lisbon in May", "priority": "NORMAL" }))]
pub struct NewOrchestration {
    /// In English; the playbook is chosen by its words, unless one is named.
    #[validate(length(min = 1, max = 2000), custom(function = crate::text::not_blank))]
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    pub description: String,
    #[serde(default)]
    #[schema(required = false, default = "NORMAL")]
    pub priority: Priority,
    /// The event that it is about. Steps may refer to it.
    pub event_id: Option<Uuid>,
    /// The playbook to follow.
    #[validate(length(min = 1, max = 63))]
    #[schema(min_length = 1, max_length = 63)]
    pub playbook: Option<String>,
}

/// Start a run. With an `Idempotency-Key` the same request starts one run, however often it is sent.
#[utoipa::path(post, path = "/v1/orchestrations", request_body = NewOrchestration, tag = "orchestrations",
    params(ValidateOnly),
    responses(
        (status = 200, description = "With `validate_only`: the run as it would be.", body = Orchestration),
        (status = 202, description = "The run; it goes on by itself.", body = Orchestration)))]
pub async fn create_orchestration(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewOrchestration>,
) -> Result<Response, Problem> {
    start(&app, access, query.validate_only, new).await
}

/// Start a run: the same as `POST /v1/orchestrations`.
#[utoipa::path(post, path = "/orchestrate", request_body = NewOrchestration, tag = "orchestrations",
    operation_id = "start_orchestration", params(ValidateOnly),
    responses(
        (status = 200, description = "With `validate_only`: the run as it would be.", body = Orchestration),
        (status = 202, description = "The run; it goes on by itself.", body = Orchestration)))]
pub async fn orchestrate(
    State(app): State<App>,
    access: Access<WriteBookings>,
    Query(query): Query<ValidateOnly>,
    Json(new): Json<NewOrchestration>,
) -> Result<Response, Problem> {
    start(&app, access, query.validate_only, new).await
}

async fn start(
    app: &App,
    access: Access<WriteBookings>,
    validate_only: bool,
    new: NewOrchestration,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let requested_by = Some(access.person.member_id);
    let deadline = access.arrival.deadline;
    // A language model is asked before the transaction begins: nothing is to wait for it.
    let proposed = match (&app.orchestrations.planner, &new.playbook) {
        (Some(planner), None) => {
            let mut db = app.db.acquire().await?;
            let directory = Directory::load(&mut db, organization_id).await?;
            drop(db);
            Some(
                planner
                    .propose(
                        &new.description,
                        &directory,
                        new.event_id.is_some(),
                        deadline,
                    )
                    .await,
            )
        }
        _ => None,
    };
    let mut work = access.begin(app).await?.rehearse(validate_only);
    let event = match new.event_id {
        Some(id) => Some(open_event(&mut work, organization_id, id).await?),
        None => None,
    };
    let mut facts = Facts::of(&new.description);
    let mut notes = Vec::new();
    let playbook = match proposed {
        Some(Ok(definition)) => {
            notes.push(
                "a language model proposed these steps; what changes something waits for approval"
                    .to_owned(),
            );
            Playbook::from(&definition)
        }
        proposed => {
            if let Some(Err(why)) = proposed {
                notes.push(format!("the language model was not followed: {why}"));
            }
            let chosen = chosen(&mut work, organization_id, &new, event.as_ref()).await?;
            facts.keywords = chosen.1;
            chosen.0
        }
    };
    still_holds(&mut work, organization_id, &playbook, event.is_some()).await?;
    let draft = Draft {
        playbook: &playbook,
        event: event.as_ref(),
        is_booking_run: false,
        description: new.description.trim().to_owned(),
        facts,
        priority: new.priority,
        notes,
        requested_by,
    };
    let started = draft.start(&mut work).await?;
    let location = format!("/v1/orchestrations/{}", started.run.id);
    work.commit(Answer::accepted(location, started.run.version, &started)?)
        .await
}

/// The playbook that was named, or the one that the words choose, with those words.
async fn chosen(
    work: &mut Work,
    organization_id: Uuid,
    new: &NewOrchestration,
    event: Option<&Event>,
) -> Result<(Playbook, Vec<String>), Problem> {
    if let Some(name) = &new.playbook {
        let named = playbooks::by_name(work, organization_id, name).await?;
        let unknown = || {
            let detail = "there is no such playbook; GET /v1/playbooks lists them";
            Problem::field("/playbook", "unknown", detail)
        };
        return Ok((named.ok_or_else(unknown)?, Vec::new()));
    }
    let all = playbooks::all(work, organization_id).await?;
    let kind = event.map(|event| event.event_type);
    let chosen = matching::choose(&all, &new.description, kind);
    let chosen = chosen.ok_or_else(|| anyhow::anyhow!("the general playbook is missing"))?;
    Ok((chosen.0.clone(), chosen.1))
}

async fn open_event(work: &mut Work, organization_id: Uuid, id: Uuid) -> Result<Event, Problem> {
    let event = match events::queries::lock(work, organization_id, id).await {
        Err(sqlx::Error::RowNotFound) => {
            let detail = "there is no such event";
            return Err(Problem::field("/event_id", "unknown", detail));
        }
        event => event?,
    };
    if event.status == EventStatus::Cancelled {
        let detail = "the event is CANCELLED; nothing more is done for it";
        return Err(Problem::conflict(&kinds::INVALID_TRANSITION, detail));
    }
    Ok(event)
}

/// An agent may have gone since the playbook was written, and not every playbook can do without an event.
async fn still_holds(
    work: &mut Work,
    organization_id: Uuid,
    playbook: &Playbook,
    has_event: bool,
) -> Result<(), Problem> {
    let directory = Directory::load(work, organization_id).await?;
    let name = &playbook.definition.name;
    let in_need = check::in_need_of_event(&playbook.definition, &directory);
    if let (false, Some(step)) = (has_event, in_need) {
        let detail = format!(
            "the step {} of the playbook {name} is about an event; name one",
            step.id
        );
        return Err(Problem::field("/event_id", "required", detail));
    }
    let faults = check::check(&playbook.definition, &directory);
    let Some(fault) = faults.first() else {
        return Ok(());
    };
    let pointer = fault.pointer.as_deref().unwrap_or_default();
    let detail = format!(
        "the playbook {name} does not hold any more, at {pointer}: {}",
        fault.detail
    );
    Err(Problem::field("/playbook", "broken", detail))
}
