//! The booking run: what is done because an event is booked, and undone when it no longer is.

use uuid::Uuid;

use super::{Facts, Locked, Orchestration, Priority, draft::Draft, load, queries};
use crate::{
    agents::{built_in, built_in_tool},
    events::{self, Event},
    organizations::{self, BookingRun},
    payments, playbooks,
    problem::Problem,
    work::Work,
};

/// The playbook that is followed: the organization's own of this name, or the shipped one.
const PLAYBOOK: &str = "booking";

/// Starts the run of an event that has just been booked. Once for each event: further bookings find the run that goes on.
/// None where the organization wants none.
pub async fn start(work: &mut Work, event: &Event) -> Result<Option<Orchestration>, Problem> {
    let organization_id = work.organization_id();
    if let Some(id) = queries::booking_run(work, organization_id, event.id).await? {
        return Ok(Some(load(work, organization_id, id).await?));
    }
    let wish = organizations::booking_run(work, organization_id).await?;
    let Some(playbook) = playbooks::by_name(work, organization_id, PLAYBOOK).await? else {
        return Ok(None);
    };
    // An agent of its own is there because the organization wants it.
    let is_there = |step: &playbooks::Step| {
        built_in(&step.agent_type).is_none()
            || built_in_tool(&step.agent_type, &step.tool)
                .is_some_and(|tool| !tool.lane.is_empty() && tool.missing(work.app()).is_none())
    };
    let is_wanted = match wish {
        BookingRun::On => true,
        BookingRun::Off => false,
        BookingRun::Auto => playbook.definition.steps.iter().any(is_there),
    };
    if !is_wanted {
        return Ok(None);
    }
    let draft = Draft {
        playbook: &playbook,
        event: Some(event),
        is_booking_run: true,
        description: format!("Booking of {}", event.title),
        facts: Facts::default(),
        priority: Priority::Normal,
        notes: Vec::new(),
        requested_by: work.member_id(),
    };
    Ok(Some(draft.start(work).await?))
}

/// Cancels what goes on for an event that is cancelled, and undoes its booking run even if that is done.
pub async fn cancel_all(work: &mut Work, event_id: Uuid) -> Result<(), Problem> {
    let organization_id = work.organization_id();
    for id in queries::of_event(work, organization_id, event_id).await? {
        cancel(work, organization_id, id).await?;
    }
    Ok(())
}

/// Undoes the booking run of an event whose last booking has gone. A hold that has ended while somebody pays may come back:
/// whatever becomes of that payment asks again.
pub async fn cancel_if_unbooked(work: &mut Work, event_id: Uuid) -> Result<(), Problem> {
    let organization_id = work.organization_id();
    if events::queries::has_live_bookings(work, organization_id, event_id).await?
        || payments::is_being_paid(work, organization_id, event_id).await?
    {
        return Ok(());
    }
    if let Some(id) = queries::booking_run(work, organization_id, event_id).await? {
        cancel(work, organization_id, id).await?;
    }
    Ok(())
}

async fn cancel(work: &mut Work, organization_id: Uuid, id: Uuid) -> Result<(), Problem> {
    let mut locked = Locked::lock(work, organization_id, id).await?;
    if locked.cancel() {
        locked.save(work).await?;
    }
    Ok(())
}
