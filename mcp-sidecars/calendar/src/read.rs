//! The tools that change nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mcp_kit::{Call, Limit, Page, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use crate::{
    client::Calendar,
    event::{Event, EventSummary, Resource},
    time::{point, some_point, zone_named},
};

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetEvent {
    /// Id of the calendar; `primary` if left out.
    #[validate(length(min = 1, max = 255))]
    calendar: Option<String>,
    #[validate(length(min = 1, max = 1100))]
    event_id: String,
}

pub(crate) async fn get_event(
    calendar: Calendar,
    call: Call,
    arguments: GetEvent,
) -> Result<Event, ToolError> {
    let place = calendar.allowed(arguments.calendar.as_deref())?;
    let event = calendar.event(&call, &place, &arguments.event_id).await?;
    Ok(event.to_event())
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListEvents {
    /// Id of the calendar; `primary` if left out.
    #[validate(length(min = 1, max = 255))]
    calendar: Option<String>,
    /// Only events that end after this time (RFC 3339 with an offset, such as `2027-06-12T00:00:00Z`).
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(default, deserialize_with = "some_point")]
    from: Option<Timestamp>,
    /// Only events that begin before this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(default, deserialize_with = "some_point")]
    to: Option<Timestamp>,
    /// Only events that hold these words in title, description, place or guests.
    #[validate(length(min = 1, max = 500))]
    query: Option<String>,
    /// Show a series as one entry instead of its instances.
    #[serde(default)]
    keep_series: bool,
    /// Begin to follow changes: lists everything in no order, and the last page has a `sync_token`.
    #[serde(default)]
    sync: bool,
    /// Only what changed since this token was given, cancelled events included; `from`, `to` and `query` do not go with it.
    #[validate(length(min = 1, max = 2000))]
    sync_token: Option<String>,
    /// How many events a page has, 20 if left out.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the page before; the other arguments stay the same.
    #[validate(length(min = 1, max = 2000))]
    cursor: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventPage {
    #[serde(flatten)]
    page: Page<EventSummary>,
    /// On the last page while following changes: pass it on next time.
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
    next_page_token: Option<String>,
    next_sync_token: Option<String>,
}

pub(crate) async fn list_events(
    calendar: Calendar,
    call: Call,
    arguments: ListEvents,
) -> Result<EventPage, ToolError> {
    let place = calendar.allowed(arguments.calendar.as_deref())?;
    let follows = arguments.sync || arguments.sync_token.is_some();
    let narrows = arguments.from.is_some() || arguments.to.is_some() || arguments.query.is_some();
    if follows && narrows {
        let words = "from, to and query do not go with sync and sync_token";
        return Err(ToolError::field("/sync", "together", words));
    }
    if arguments
        .from
        .zip(arguments.to)
        .is_some_and(|(from, to)| to <= from)
    {
        return Err(ToolError::field("/to", "range", "must be after from"));
    }
    let is_single = !arguments.keep_series;
    let mut query = vec![
        ("maxResults", arguments.limit.get().to_string()),
        ("singleEvents", is_single.to_string()),
    ];
    if is_single && !follows {
        query.push(("orderBy", "startTime".to_owned()));
    }
    query.extend(arguments.from.map(|from| ("timeMin", from.to_string())));
    query.extend(arguments.to.map(|to| ("timeMax", to.to_string())));
    query.extend(arguments.query.map(|words| ("q", words)));
    query.extend(arguments.sync_token.map(|token| ("syncToken", token)));
    query.extend(arguments.cursor.map(|cursor| ("pageToken", cursor)));
    let listed: Listed<Resource> = calendar.events(&call, &place, query).await?;
    let page = Page {
        items: listed.items.iter().map(Resource::to_summary).collect(),
        next_cursor: listed.next_page_token,
    };
    let sync_token = listed.next_sync_token.filter(|_| follows);
    Ok(EventPage { page, sync_token })
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListCalendars {
    /// How many calendars a page has, 20 if left out.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[validate(length(min = 1, max = 2000))]
    cursor: Option<String>,
}

/// A calendar that may be used.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CalendarSummary {
    id: String,
    name: String,
    time_zone: String,
    /// The account's own, also known as `primary`.
    is_primary: bool,
    /// `owner`, `writer`, `reader` or `freeBusyReader`.
    access: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CalendarEntry {
    id: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    access_role: String,
}

pub(crate) async fn list_calendars(
    calendar: Calendar,
    call: Call,
    arguments: ListCalendars,
) -> Result<Page<CalendarSummary>, ToolError> {
    let mut query = vec![("maxResults", arguments.limit.get().to_string())];
    query.extend(arguments.cursor.map(|cursor| ("pageToken", cursor)));
    let listed: Listed<CalendarEntry> = calendar.calendars(&call, query).await?;
    let settings = &calendar.settings;
    let allowed = listed.items.into_iter().filter(|entry| {
        settings.allows(&entry.id) || (entry.primary && settings.allows("primary"))
    });
    let items = allowed.map(|entry| CalendarSummary {
        // Under the name that the allow list has for it.
        id: if settings.allows(&entry.id) {
            entry.id
        } else {
            "primary".to_owned()
        },
        name: entry.summary,
        time_zone: entry.time_zone,
        is_primary: entry.primary,
        access: entry.access_role,
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: listed.next_page_token,
    })
}

#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct FreeBusy {
    /// Ids of calendars; a person's own has their e-mail address.
    #[validate(length(min = 1, max = 50))]
    calendars: Vec<String>,
    /// RFC 3339 with an offset, such as `2027-06-12T00:00:00Z`.
    #[schemars(with = "String", extend("format" = "date-time"))]
    #[serde(deserialize_with = "point")]
    from: Timestamp,
    #[schemars(with = "String", extend("format" = "date-time"))]
    #[serde(deserialize_with = "point")]
    to: Timestamp,
    /// IANA name of the zone in which the answer is given; UTC if left out.
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<String>,
}

/// When calendars are busy.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FreeBusyAnswer {
    calendars: Vec<BusyCalendar>,
}

/// When one calendar is busy.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BusyCalendar {
    calendar: String,
    /// In order, without overlaps; none if it is free all the time.
    busy: Vec<Span>,
    /// Google's reason for not telling, such as `notFound`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Span {
    start: String,
    end: String,
}

#[derive(Debug, Deserialize)]
struct Answered {
    calendars: BTreeMap<String, AnsweredCalendar>,
}

#[derive(Debug, Deserialize)]
struct AnsweredCalendar {
    #[serde(default)]
    busy: Vec<Span>,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    reason: String,
}

pub(crate) async fn free_busy(
    calendar: Calendar,
    call: Call,
    arguments: FreeBusy,
) -> Result<FreeBusyAnswer, ToolError> {
    for id in &arguments.calendars {
        calendar.allowed(Some(id))?;
    }
    if arguments.to <= arguments.from {
        return Err(ToolError::field("/to", "range", "must be after from"));
    }
    let zone = arguments.time_zone.as_deref().unwrap_or("UTC");
    zone_named(zone)?;
    let body = json!({
        "timeMin": arguments.from,
        "timeMax": arguments.to,
        "timeZone": zone,
        "items": arguments.calendars.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
    });
    let answered: Answered = calendar.free_busy(&call, &body).await?;
    let calendars = answered
        .calendars
        .into_iter()
        .map(|(calendar, answer)| BusyCalendar {
            calendar,
            busy: answer.busy,
            unknown: answer.errors.into_iter().next().map(|error| error.reason),
        });
    Ok(FreeBusyAnswer {
        calendars: calendars.collect(),
    })
}
