//! Our own tools: what the slices can do as steps of a run. What they do is in the slices' lists like anything else, once for
//! the step's key.

use futures_util::future::BoxFuture;
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::people;
use crate::{
    calendar, documents, jobs::Failure, messages, payments, sidecars::Errand, state::App, tasks,
};

/// A tool of ours.
pub struct OwnTool {
    pub name: &'static str,
    /// The provider that it needs; empty for none.
    pub lane: &'static str,
    /// It is about the event of its run, and is of no use without one.
    pub needs_event: bool,
    /// JSON Schema of its arguments.
    pub schema: fn() -> Value,
    /// Does it, once for the errand's key.
    pub run: Run,
}

pub type Run =
    for<'a> fn(&'a App, &'a Errand, Option<Uuid>, Value) -> BoxFuture<'a, Result<Value, Failure>>;

/// A tool about the event of its run: its name, its lane, the input's type and the action.
macro_rules! of_event {
    ($name:literal, $lane:literal, $input:ty, $action:path) => {
        OwnTool {
            name: $name,
            lane: $lane,
            needs_event: true,
            schema: schema::<$input>,
            run: |app, errand, event_id, input| {
                Box::pin(async move {
                    let (event_id, input) = (given(event_id)?, read::<$input>(input)?);
                    written(&$action(app, errand, event_id, input).await?)
                })
            },
        }
    };
}

pub const OWN: &[OwnTool] = &[
    of_event!(
        "documents.create_folder",
        "gdrive",
        documents::actions::CreateFolderInput,
        documents::actions::create_folder
    ),
    of_event!(
        "documents.create_document",
        "gdrive",
        documents::actions::CreateDocumentInput,
        documents::actions::create_document
    ),
    of_event!(
        "documents.trash",
        "gdrive",
        documents::actions::TrashInput,
        documents::actions::trash
    ),
    of_event!(
        "messages.announce",
        "slack",
        messages::actions::AnnounceInput,
        messages::actions::announce
    ),
    of_event!(
        "messages.retract",
        "slack",
        messages::actions::RetractInput,
        messages::actions::retract
    ),
    of_event!(
        "messages.text_contact",
        "twilio",
        messages::actions::TextContactInput,
        messages::actions::text_contact
    ),
    of_event!(
        "calendar_entry.hold",
        "calendar",
        calendar::actions::HoldInput,
        calendar::actions::hold
    ),
    of_event!(
        "calendar_entry.cancel",
        "calendar",
        calendar::actions::CancelInput,
        calendar::actions::cancel
    ),
    of_event!(
        "payments.request_deposit",
        "stripe",
        payments::actions::RequestDepositInput,
        payments::actions::request_deposit
    ),
    of_event!(
        "payments.cancel_or_refund",
        "stripe",
        payments::actions::CancelOrRefundInput,
        payments::actions::cancel_or_refund
    ),
    of_event!(
        "tasks.create_checklist",
        "",
        tasks::actions::CreateChecklistInput,
        tasks::actions::create_checklist
    ),
    of_event!(
        "tasks.drop_open",
        "",
        tasks::actions::DropOpenInput,
        tasks::actions::drop_open
    ),
    OwnTool {
        name: "people.confirm",
        lane: "",
        needs_event: false,
        schema: schema::<people::ConfirmInput>,
        run: |_, _, _, input| Box::pin(async { written(&people::confirm(read(input)?)) }),
    },
];

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

/// Runs without an event do not come so far.
fn given(event_id: Option<Uuid>) -> Result<Uuid, Failure> {
    event_id.ok_or_else(|| Failure::Fatal("it needs an event, and the run has none".to_owned()))
}

/// The input as its type.
fn read<T: DeserializeOwned>(input: Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(input)
        .map_err(|error| Failure::Fatal(format!("the inputs do not hold: {error}")))
}

fn written(output: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(output).map_err(|error| Failure::Fatal(error.to_string()))
}
