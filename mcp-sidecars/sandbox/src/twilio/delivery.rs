//! The way of a message: queued → sending → sent → delivered, or how else its number ends.

use std::{sync::Arc, time::Duration};

use super::{
    callback::{self, Callback},
    message::{Message, Status},
    numbers::{self, Ending},
};
use crate::world::World;

/// Between two steps: slow enough to be seen, quick enough for tests.
const STEP: Duration = Duration::from_millis(100);

/// Moves the message on until it has ended, the message is gone, or the sandbox stops.
pub(super) fn begin(world: &Arc<World>, sid: String) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        while let Some(wait) = wait(&world, &sid) {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = world.stopped() => return,
            }
            if let Some(callback) = step(&world, &sid) {
                tokio::spawn(callback::send(Arc::clone(&world), callback));
            }
            world.journal.tell();
        }
    });
}

/// Goes on where the last process stopped.
pub(super) fn resume(world: &Arc<World>) {
    let unfinished = |message: &&Message| !message.is_inbound;
    let sids: Vec<String> = world
        .things()
        .twilio
        .messages
        .iter()
        .filter(unfinished)
        .map(|message| message.sid.clone())
        .collect();
    for sid in sids {
        begin(world, sid);
    }
}

/// How long until the next step; `None` when there is none.
fn wait(world: &World, sid: &str) -> Option<Duration> {
    let now = world.now();
    let things = world.things();
    let message = things.twilio.messages.iter().find(|it| it.sid == sid)?;
    next(message)?;
    let until = message
        .send_at
        .filter(|_| message.status == Status::Scheduled);
    let left = until.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
    Some(left.unwrap_or(STEP))
}

/// One step, and the callback that tells of it.
fn step(world: &World, sid: &str) -> Option<Callback> {
    let now = world.now();
    let mut things = world.things();
    let twilio = &mut things.twilio;
    let message = twilio.messages.iter_mut().find(|it| it.sid == sid)?;
    let (status, error) = next(message)?;
    message.status = status;
    message.error = error;
    message.updated = now;
    if status == Status::Queued {
        message.from.get_or_insert_with(|| numbers::OURS.to_owned());
    }
    if status == Status::Sent {
        message.sent = Some(now);
    }
    Callback::about(message)
}

/// The status after this one.
fn next(message: &Message) -> Option<(Status, Option<u32>)> {
    let ending = numbers::ending(&message.to);
    match (message.status, ending) {
        (Status::Scheduled | Status::Accepted, _) => Some((Status::Queued, None)),
        (Status::Queued, _) => Some((Status::Sending, None)),
        (Status::Sending, Ending::Failed(code)) => Some((Status::Failed, Some(code))),
        (Status::Sending, _) => Some((Status::Sent, None)),
        (Status::Sent, Ending::Delivered) => Some((Status::Delivered, None)),
        (Status::Sent, Ending::Undelivered(code)) => Some((Status::Undelivered, Some(code))),
        _ => None,
    }
}
