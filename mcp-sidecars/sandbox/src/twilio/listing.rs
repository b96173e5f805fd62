//! `GET /2010-04-01/Accounts/{account}/Messages.json`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use super::{ACCOUNT, entry::Parameters, message::Message, refusal::Refusal};
use crate::world::World;

const PAGE_SIZE: usize = 50;
const LARGEST_PAGE: usize = 1000;
const FILTERS: [&str; 8] = [
    "To",
    "From",
    "DateSent",
    "DateSent<",
    "DateSent>",
    "PageSize",
    "Page",
    "PageToken",
];

/// The newest first, in pages.
pub(super) async fn list(
    State(world): State<Arc<World>>,
    Query(given): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let given = Parameters::from(given);
    given.only(&FILTERS)?;
    let size = number(&given, "PageSize")?
        .unwrap_or(PAGE_SIZE)
        .clamp(1, LARGEST_PAGE);
    let page = number(&given, "Page")?.unwrap_or(0);
    let twilio = &world.things().twilio;
    let wanted = Filter::read(&given)?;
    let after = given.filled("PageToken").map(|token| {
        let sid = token.strip_prefix("PA").unwrap_or_default();
        twilio
            .messages
            .iter()
            .position(|message| message.sid == sid)
            .ok_or_else(|| Refusal::bad(20001, "Invalid PageToken"))
    });
    let older = after.transpose()?.unwrap_or(twilio.messages.len());
    let mut found = twilio.messages[..older]
        .iter()
        .rev()
        .filter(|message| wanted.takes(message));
    let shown: Vec<&Message> = found.by_ref().take(size).collect();
    let last = shown.last().filter(|_| found.next().is_some());
    let at = |page: usize, token: Option<&str>| uri(&given, size, page, token);
    let start = page * size;
    Ok(Json(json!({
        "messages": shown.iter().map(|message| message.json()).collect::<Vec<_>>(),
        "first_page_uri": at(0, None),
        "next_page_uri": last.map(|message| at(page + 1, Some(&message.sid))),
        "previous_page_uri": null,
        "uri": at(page, None),
        "page": page,
        "page_size": size,
        "start": start,
        "end": start + shown.len().saturating_sub(1),
    })))
}

/// What a list is narrowed to.
struct Filter<'a> {
    to: Option<&'a str>,
    from: Option<&'a str>,
    on: Option<Day>,
    until: Option<Day>,
    since: Option<Day>,
}

/// A day in UTC, or a time.
enum Day {
    Whole(Date),
    Time(Timestamp),
}

impl<'a> Filter<'a> {
    fn read(given: &'a Parameters) -> Result<Self, Refusal> {
        let day = |name| {
            given.filled(name).map(Day::read).transpose().map_err(|()| {
                Refusal::bad(20001, format!("{name} is neither a date nor a date-time"))
            })
        };
        Ok(Self {
            to: given.filled("To"),
            from: given.filled("From"),
            on: day("DateSent")?,
            until: day("DateSent<")?,
            since: day("DateSent>")?,
        })
    }

    fn takes(&self, message: &Message) -> bool {
        let sent = message.sent.unwrap_or(message.created);
        self.to.is_none_or(|to| to == message.to)
            && self
                .from
                .is_none_or(|from| message.from.as_deref() == Some(from))
            && self.on.as_ref().is_none_or(|day| day.compare(sent).is_eq())
            && self
                .until
                .as_ref()
                .is_none_or(|day| day.compare(sent).is_le())
            && self
                .since
                .as_ref()
                .is_none_or(|day| day.compare(sent).is_ge())
    }
}

impl Day {
    fn read(text: &str) -> Result<Self, ()> {
        let day = text.parse().map(Self::Whole);
        day.or_else(|_| text.parse().map(Self::Time))
            .map_err(|_| ())
    }

    /// How a time lies to this day.
    fn compare(&self, time: Timestamp) -> std::cmp::Ordering {
        match self {
            Self::Whole(day) => time.to_zoned(TimeZone::UTC).date().cmp(day),
            Self::Time(at) => time.cmp(at),
        }
    }
}

fn uri(given: &Parameters, size: usize, page: usize, token: Option<&str>) -> String {
    let kept = FILTERS[..5]
        .iter()
        .filter_map(|name| given.filled(name).map(|value| (*name, value.to_owned())));
    let token = token.map(|sid| ("PageToken", format!("PA{sid}")));
    let own = [("PageSize", size.to_string()), ("Page", page.to_string())];
    let query = kept.chain(own).chain(token);
    // Only the query is wanted; the host is not ours to tell.
    let url = reqwest::Url::parse_with_params("http://localhost", query);
    let query = url.ok().and_then(|url| url.query().map(str::to_owned));
    format!(
        "/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{}",
        query.unwrap_or_default()
    )
}

fn number(given: &Parameters, name: &str) -> Result<Option<usize>, Refusal> {
    let parsed = given.filled(name).map(str::parse).transpose();
    parsed.map_err(|_| Refusal::bad(20001, format!("{name} is not a number")))
}
