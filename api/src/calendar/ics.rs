//! An event as a file for anybody's calendar (RFC 5545).

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use calcard::{
    common::PartialDateTime,
    icalendar::{
        ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarParameter,
        ICalendarProperty, ICalendarStatus, ICalendarValue,
    },
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use uuid::Uuid;

use super::{provider::is_plain, queries};
use crate::{
    access::{Access, ReadEvents},
    documents::attachment,
    events::{self, Event, EventStatus},
    extract::Path,
    problem::Problem,
    state::App,
};

/// Get an event as an iCalendar file (RFC 5545): title, times in the event's zone, the booked venue and how certain it is. The
/// same event keeps its `UID`; `SEQUENCE` is its version.
#[utoipa::path(get, path = "/v1/events/{event_id}/calendar.ics", tag = "calendar",
    params(("event_id" = Uuid, Path, description = "The event.")),
    responses((status = 200, description = "The file.", content_type = "text/calendar", body = String)))]
pub async fn get_event_ics(
    State(app): State<App>,
    access: Access<ReadEvents>,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let organization_id = access.organization_id();
    let event = events::queries::get(&app.db, organization_id, event_id).await?;
    let wanted = queries::wanted(&app.db, organization_id, event_id).await?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/calendar; charset=utf-8"),
        ),
        (
            header::CONTENT_DISPOSITION,
            attachment(&format!("{}.ics", event.title))
                .unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
    ];
    let file = written(&event, &wanted.location)?;
    Ok((headers, file).into_response())
}

fn written(event: &Event, location: &str) -> Result<String, Problem> {
    let (starts_at, ends_at) = (event.starts_at.to_jiff(), event.ends_at.to_jiff());
    let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
    let mut shown = ICalendarComponent::new(ICalendarComponentType::VEvent);
    shown.add_uid(&event.id.to_string());
    shown.add_dtstamp(utc(event.updated_at.to_jiff()));
    shown.add_property(ICalendarProperty::Created, utc(event.created_at.to_jiff()));
    shown.add_sequence(event.version);
    shown.add_property(ICalendarProperty::Summary, plain(&event.title));
    if !location.is_empty() {
        shown.add_property(ICalendarProperty::Location, plain(location));
    }
    shown.add_property(
        ICalendarProperty::Status,
        ICalendarValue::Status(status(event.status)),
    );
    let mut file = ICalendar {
        components: vec![ICalendarComponent::new(ICalendarComponentType::VCalendar)],
    };
    // A wall time that happens twice means the earlier one (RFC 5545): the later one is told in UTC, and so is a zone whose
    // rules cannot be written down.
    let is_local = is_plain(starts_at, &zone) && is_plain(ends_at, &zone);
    let range = (starts_at.as_second(), ends_at.as_second());
    let has_zone = is_local
        && file
            .add_timezone(&event.time_zone, range.0, range.1)
            .is_some();
    for (property, time) in [
        (ICalendarProperty::Dtstart, starts_at),
        (ICalendarProperty::Dtend, ends_at),
    ] {
        if has_zone {
            let zone_id = ICalendarParameter::tzid(event.time_zone.clone());
            let wall_time = local(zone.to_datetime(time));
            shown.add_property_with_params(property, [zone_id], wall_time);
        } else {
            shown.add_property(property, utc(time));
        }
    }
    let index = u32::try_from(file.components.len()).map_err(anyhow::Error::from)?;
    let root = &mut file.components[0];
    root.add_property(ICalendarProperty::Version, "2.0");
    root.add_property(ICalendarProperty::Prodid, "-//Event Planner//EN");
    root.component_ids.push(index);
    file.components.push(shown);
    Ok(file.to_string())
}

/// How certain it is that the event takes place.
fn status(status: EventStatus) -> ICalendarStatus {
    match status {
        EventStatus::Draft | EventStatus::Planned => ICalendarStatus::Tentative,
        EventStatus::Published | EventStatus::Completed => ICalendarStatus::Confirmed,
        EventStatus::Cancelled => ICalendarStatus::Cancelled,
    }
}

fn utc(time: Timestamp) -> PartialDateTime {
    PartialDateTime::from_utc_timestamp(time.as_second())
}

fn local(time: DateTime) -> PartialDateTime {
    let small = |number: i8| u8::try_from(number).ok();
    PartialDateTime {
        year: u16::try_from(time.year()).ok(),
        month: small(time.month()),
        day: small(time.day()),
        hour: small(time.hour()),
        minute: small(time.minute()),
        second: small(time.second()),
        ..PartialDateTime::default()
    }
}

/// Without what a text of RFC 5545 must not have: control characters, but for line ends, which are written `\n`.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .filter(|letter| *letter == '\n' || !letter.is_control())
        .collect()
}
