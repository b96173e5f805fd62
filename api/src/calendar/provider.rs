//! The calendar sidecar as this slice needs it, and what of an event stands in a calendar.

use jiff::{
    Timestamp,
    tz::{AmbiguousOffset, TimeZone},
};
use mcp_kit::Code;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::sidecars::{Errand, Sidecar, SidecarError};

/// What stands in a calendar of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Showing {
    pub title: String,
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    /// Empty for none.
    pub location: String,
}

/// An event as the provider has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Outside {
    pub id: String,
    pub etag: String,
    status: String,
    title: String,
    location: Option<String>,
    start: String,
    end: String,
    pub time_zone: Option<String>,
    pub link: Option<String>,
}

/// One of the events that have changed in a calendar.
#[derive(Debug, Deserialize)]
pub struct Changed {
    pub id: String,
    pub etag: String,
}

/// A page of changes; the last one has a token for the next time.
#[derive(Debug, Deserialize)]
pub struct Changes {
    pub items: Vec<Changed>,
    pub next_cursor: Option<String>,
    pub sync_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Written {
    event: Option<Outside>,
}

impl Outside {
    pub fn is_gone(&self) -> bool {
        self.status == "cancelled"
    }

    /// None for an event of whole days, which has no times.
    pub fn showing(&self) -> Option<Showing> {
        Some(Showing {
            title: self.title.clone(),
            starts_at: self.start.parse().ok()?,
            ends_at: self.end.parse().ok()?,
            location: self.location.clone().unwrap_or_default(),
        })
    }
}

/// Creates the event, once for the errand's key. Where that key has created another, as it was then, gives that one.
pub async fn create(
    sidecar: &Sidecar,
    errand: &Errand,
    showing: &Showing,
    time_zone: &str,
) -> Result<Outside, SidecarError> {
    let created: Result<Written, _> = sidecar
        .run(errand, "create_event", &arguments(showing, time_zone))
        .await;
    let earlier = match created {
        Ok(written) => return whole(written),
        Err(SidecarError::Refused(refusal)) => match refusal.details["event_id"].as_str() {
            Some(id) => id.to_owned(),
            None => return Err(SidecarError::Refused(refusal)),
        },
        Err(error) => return Err(error),
    };
    let outside = get(sidecar, errand, &earlier).await?;
    outside.ok_or_else(|| internal("the event that was created is not found"))
}

/// None where the provider knows nothing of it any more.
pub async fn get(
    sidecar: &Sidecar,
    errand: &Errand,
    id: &str,
) -> Result<Option<Outside>, SidecarError> {
    match sidecar
        .ask(errand, "get_event", &json!({ "event_id": id }))
        .await
    {
        Ok(outside) => Ok(Some(outside)),
        Err(SidecarError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// None where it has changed since `etag`.
pub async fn update(
    sidecar: &Sidecar,
    errand: &Errand,
    before: &Outside,
    showing: &Showing,
    time_zone: &str,
) -> Result<Option<Outside>, SidecarError> {
    let mut arguments = arguments(showing, time_zone);
    arguments["event_id"] = json!(before.id);
    arguments["etag"] = json!(before.etag);
    match sidecar.run(errand, "update_event", &arguments).await {
        Ok(written) => whole(written).map(Some),
        Err(SidecarError::Refused(refusal)) if !refusal.details["current_etag"].is_null() => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whoever changed it: what was cancelled here is not left standing there.
pub async fn cancel(sidecar: &Sidecar, errand: &Errand, id: &str) -> Result<(), SidecarError> {
    let arguments = json!({ "event_id": id });
    let done: Result<Value, _> = sidecar.run(errand, "cancel_event", &arguments).await;
    match done {
        Err(SidecarError::Refused(refusal)) if refusal.code == Code::NotFound => Ok(()),
        done => done.map(drop),
    }
}

/// The changes since a token, or everything.
pub async fn changes(
    sidecar: &Sidecar,
    errand: &Errand,
    token: Option<&str>,
    cursor: Option<&str>,
) -> Result<Changes, SidecarError> {
    let mut arguments = json!({ "keep_series": true, "limit": 100 });
    match token {
        Some(token) => arguments["sync_token"] = json!(token),
        None => arguments["sync"] = json!(true),
    }
    if let Some(cursor) = cursor {
        arguments["cursor"] = json!(cursor);
    }
    sidecar.ask(errand, "list_events", &arguments).await
}

fn arguments(showing: &Showing, time_zone: &str) -> Value {
    let times = [showing.starts_at, showing.ends_at];
    // Wall times cannot say which of two equal ones is meant: where it is the later one, the times are told in UTC.
    let zone = TimeZone::get(time_zone).ok();
    let zone = zone.filter(|zone| times.iter().all(|time| is_plain(*time, zone)));
    let (zone, name) = zone.map_or((TimeZone::UTC, "UTC"), |zone| (zone, time_zone));
    let [start, end] = times.map(|time| {
        zone.to_datetime(time)
            .strftime("%Y-%m-%dT%H:%M:%S")
            .to_string()
    });
    json!({
        "title": showing.title, "start": start, "end": end, "time_zone": name,
        "location": showing.location,
    })
}

/// Whether the wall time alone, by the rule of RFC 5545, means this instant.
pub(super) fn is_plain(time: Timestamp, zone: &TimeZone) -> bool {
    let place = zone.to_ambiguous_timestamp(zone.to_datetime(time));
    !matches!(place.offset(), AmbiguousOffset::Fold { .. })
        || place.earlier().is_ok_and(|earlier| earlier == time)
}

fn whole(written: Written) -> Result<Outside, SidecarError> {
    let event = written.event;
    event.ok_or_else(|| internal("the calendar sidecar answered without the event"))
}

fn internal(what: &'static str) -> SidecarError {
    let problem = crate::problem::Problem::Internal(anyhow::anyhow!(what));
    SidecarError::Problem(Box::new(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(starts_at: &str, ends_at: &str) -> (String, String) {
        let showing = Showing {
            title: "Dinner".into(),
            starts_at: starts_at.parse().unwrap(),
            ends_at: ends_at.parse().unwrap(),
            location: String::new(),
        };
        let arguments = arguments(&showing, "Europe/Zurich");
        let text = |name: &str| arguments[name].as_str().unwrap().to_owned();
        (
            format!("{}/{}", text("start"), text("end")),
            text("time_zone"),
        )
    }

    #[test]
    fn the_later_of_two_equal_wall_times_is_told_in_utc() {
        // On 31 October 2027 the clock in Zurich goes from 03:00 back to 02:00.
        let (times, zone) = told("2027-10-31T00:30:00Z", "2027-10-31T03:30:00Z");
        assert_eq!(times, "2027-10-31T02:30:00/2027-10-31T04:30:00");
        assert_eq!(zone, "Europe/Zurich");
        let (times, zone) = told("2027-10-31T01:30:00Z", "2027-10-31T03:30:00Z");
        assert_eq!(times, "2027-10-31T01:30:00/2027-10-31T03:30:00");
        assert_eq!(zone, "UTC");
        let (_, zone) = told("2027-10-30T20:00:00Z", "2027-10-31T01:10:00Z");
        assert_eq!(zone, "UTC");
    }
}
