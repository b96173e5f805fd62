//! What references in a step's inputs can name: the event as it is now, what was asked for, and what earlier steps gave.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Locked, queries};
use crate::{
    events::{self, Event},
    money::Money,
    problem::Problem,
    work::Work,
};

/// For a step: `event`, `request`, `run`, `steps`.
pub async fn of_step(work: &mut Work, locked: &Locked) -> Result<Value, Problem> {
    let run = &locked.run;
    let organization_id = work.organization_id();
    let event = match run.event_id {
        Some(id) => event(work, organization_id, id).await?,
        None => Value::Null,
    };
    let mut request = json!(run.facts.0);
    request["description"] = json!(run.description);
    request["priority"] = json!(run.priority);
    request["title"] = match &event["title"] {
        Value::String(title) => json!(title),
        _ => json!(run.description.chars().take(100).collect::<String>()),
    };
    if request["guests"].is_null() {
        request["guests"] = event["guests"].clone();
    }
    let steps = locked.rows.iter().map(|row| {
        let given = json!({ "input": row.input, "output": row.output });
        (run.step(row).id.clone(), given)
    });
    Ok(json!({
        "event": event,
        "request": request,
        "run": { "id": run.id, "playbook": run.playbook },
        "organization": { "id": organization_id },
        "steps": steps.collect::<Map<_, _>>(),
    }))
}

/// For undoing a step, also `input` and `output` of the step itself.
pub async fn of_undoing(work: &mut Work, locked: &Locked, place: usize) -> Result<Value, Problem> {
    let mut context = of_step(work, locked).await?;
    let row = &locked.rows[place];
    context["input"] = json!(row.input);
    context["output"] = json!(row.output);
    Ok(context)
}

/// The event's own fields, and what its bookings come to. Null if it is gone.
async fn event(work: &mut Work, organization_id: Uuid, id: Uuid) -> Result<Value, Problem> {
    let event = match events::queries::get_in(work, organization_id, id).await {
        Err(sqlx::Error::RowNotFound) => return Ok(Value::Null),
        event => event?,
    };
    let booked = queries::booked(work, organization_id, id).await?;
    let mut value = serde_json::to_value(&event).map_err(anyhow::Error::from)?;
    let zone = TimeZone::get(&event.time_zone).map_err(anyhow::Error::from)?;
    let local_end = zone.to_datetime(event.ends_at.to_jiff());
    value["date"] = json!(event.local_start.to_jiff().date().to_string());
    value["local_end"] = json!(local_end.to_string());
    value["guests"] = json!(booked.guests.or(event.capacity));
    value["venue"] = json!(booked.venue);
    value["caterer"] = json!(booked.caterer);
    value["city"] = json!(booked.city);
    value["place"] = json!(place(&booked));
    let money = |amount: Option<i64>| {
        let currency = booked.currency.as_deref()?.parse().ok()?;
        let money = Money::new(amount.filter(|amount| *amount > 0)?, currency);
        let text = money.to_string();
        Some(json!({ "amount": money.amount, "currency": money.currency, "text": text }))
    };
    value["total"] = json!(money(booked.total));
    value["deposit"] = json!(money(booked.deposit_due));
    Ok(value)
}

fn place(booked: &queries::Booked) -> Option<String> {
    let venue = booked.venue.as_ref()?;
    Some(match &booked.city {
        Some(city) => format!("{venue}, {city}"),
        None => venue.clone(),
    })
}

/// When a step with a deadline should be done.
pub fn due_at(event: &Event, deadline: jiff::Span) -> Option<jiff::Timestamp> {
    let zone = TimeZone::get(&event.time_zone).ok()?;
    let start = event.starts_at.to_jiff().to_zoned(zone);
    Some(start.checked_add(deadline).ok()?.timestamp())
}
