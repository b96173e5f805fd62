//! Calendar v3 below `/calendar/v3`, for the calendars that are allowed.

use std::sync::Arc;

use event_planner_google::{Google, GoogleError, failure};
use mcp_kit::{Call, Outgoing, Reply, ToolError};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{event::Resource, settings::CalendarSettings};

/// The calendars of an account. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    google: Google,
    pub(crate) settings: Arc<CalendarSettings>,
}

/// A calendar that may be used; its id.
#[derive(Debug, Clone)]
pub(crate) struct Allowed(String);

impl Allowed {
    pub(crate) fn id(&self) -> &str {
        &self.0
    }
}

/// What became of a conditional write.
pub(crate) enum Outcome {
    Done(Box<Resource>),
    /// Somebody else changed it first.
    Stale,
}

impl Calendar {
    pub(crate) fn new(google: Google, settings: CalendarSettings) -> Self {
        Self {
            google,
            settings: Arc::new(settings),
        }
    }

    /// The calendar of a call, `primary` if it names none.
    pub(crate) fn allowed(&self, calendar: Option<&str>) -> Result<Allowed, ToolError> {
        let id = calendar.unwrap_or("primary");
        if self.settings.allows(id) {
            return Ok(Allowed(id.to_owned()));
        }
        let words = format!("the calendar {id} is not among ALLOWED_CALENDARS of this server");
        Err(ToolError::refused(words))
    }

    pub(crate) async fn event(
        &self,
        call: &Call,
        calendar: &Allowed,
        id: &str,
    ) -> Result<Resource, ToolError> {
        let request = event_request(Method::GET, calendar, id);
        self.google.send(call, request).await?.json()
    }

    /// Creates an event under its own id; `None` if that id is taken.
    pub(crate) async fn insert(
        &self,
        call: &Call,
        calendar: &Allowed,
        body: &Value,
        send_updates: &str,
    ) -> Result<Option<Resource>, ToolError> {
        // With an id of its own the event is created once, however often it is sent.
        let request = Outgoing::new(Method::POST, events(calendar))
            .query("sendUpdates", send_updates)
            .query("conferenceDataVersion", "1")
            .json(body)?
            .repeatable();
        let reply = self.google.exchange(call, request).await?;
        match reply.status {
            StatusCode::CONFLICT => Ok(None),
            status if status.is_success() => reply.json().map(Some),
            _ => Err(failure(&reply)),
        }
    }

    /// Changes an event, if its version is still `etag` where one is given.
    pub(crate) async fn patch(
        &self,
        call: &Call,
        calendar: &Allowed,
        (id, etag): (&str, Option<&str>),
        body: &Value,
        send_updates: &str,
    ) -> Result<Outcome, ToolError> {
        // Setting the same fields twice is setting them once; under an etag the second one is stale.
        let mut request = event_request(Method::PATCH, calendar, id)
            .query("sendUpdates", send_updates)
            .json(body)?
            .repeatable();
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        let reply = self.google.exchange(call, request).await?;
        match reply.status {
            StatusCode::PRECONDITION_FAILED => Ok(Outcome::Stale),
            status if status.is_success() => reply.json().map(Box::new).map(Outcome::Done),
            _ => Err(failure(&reply)),
        }
    }

    /// Cancels an event; the answer is for the caller to judge.
    pub(crate) async fn delete(
        &self,
        call: &Call,
        calendar: &Allowed,
        (id, etag): (&str, Option<&str>),
        send_updates: &str,
    ) -> Result<Reply, ToolError> {
        let mut request =
            event_request(Method::DELETE, calendar, id).query("sendUpdates", send_updates);
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        self.google.exchange(call, request).await
    }

    /// A page of a calendar's events.
    pub(crate) async fn events<T: DeserializeOwned>(
        &self,
        call: &Call,
        calendar: &Allowed,
        query: Vec<(&'static str, String)>,
    ) -> Result<T, ToolError> {
        let request = queried(Outgoing::new(Method::GET, events(calendar)), query);
        let reply = self.google.exchange(call, request).await?;
        if reply.status == StatusCode::GONE {
            let words = "this sync_token is no longer taken: begin anew with `sync`";
            return Err(ToolError::refused(words).with_details(GoogleError::of(&reply).details()));
        }
        if !reply.status.is_success() {
            return Err(failure(&reply));
        }
        reply.json()
    }

    /// A page of the account's calendars.
    pub(crate) async fn calendars<T: DeserializeOwned>(
        &self,
        call: &Call,
        query: Vec<(&'static str, String)>,
    ) -> Result<T, ToolError> {
        let list = ["calendar", "v3", "users", "me", "calendarList"];
        let request = queried(Outgoing::new(Method::GET, list), query);
        self.google.send(call, request).await?.json()
    }

    pub(crate) async fn free_busy<T: DeserializeOwned>(
        &self,
        call: &Call,
        body: &Value,
    ) -> Result<T, ToolError> {
        // It reads only, so it may be repeated.
        let request = Outgoing::new(Method::POST, ["calendar", "v3", "freeBusy"])
            .json(body)?
            .repeatable();
        self.google.send(call, request).await?.json()
    }
}

/// The refusal of a lost update, with the version that holds now.
pub(crate) fn stale(current: &Resource) -> ToolError {
    let words = "the event was changed since it was read: read it again, then decide anew";
    ToolError::refused(words)
        .with_details(json!({ "provider_code": "conditionNotMet", "current_etag": current.etag() }))
}

fn events(calendar: &Allowed) -> Vec<String> {
    ["calendar", "v3", "calendars", calendar.id(), "events"]
        .map(str::to_owned)
        .to_vec()
}

fn event_request(method: Method, calendar: &Allowed, id: &str) -> Outgoing {
    let mut segments = events(calendar);
    segments.push(id.to_owned());
    Outgoing::new(method, segments)
}

fn queried(request: Outgoing, query: Vec<(&'static str, String)>) -> Outgoing {
    query
        .into_iter()
        .fold(request, |request, (name, value)| request.query(name, value))
}
