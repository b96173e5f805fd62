//! From what people agree on (wall time in a zone) to instants, DST included.

use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::NewEvent;
use crate::problem::Problem;

/// Which one is meant where a clock is set back and a wall time happens twice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum Fold {
    /// The first one, before the clock is set back (RFC 5545's rule).
    #[default]
    Earlier,
    /// The second one.
    Later,
}

/// The instants of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallTime {
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

impl WallTime {
    /// 422 when the zone is unknown, or when the wall time does not exist because a clock is set
    /// forward over it; the answer names the two times around the gap.
    pub fn resolve(event: &NewEvent) -> Result<Self, Problem> {
        let zone = TimeZone::get(&event.time_zone).map_err(|_| {
            Problem::field(
                "/time_zone",
                "time_zone",
                "must be an IANA time zone such as Europe/Lisbon",
            )
        })?;
        let local = event.local_start.to_jiff();
        let starts_at = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local),
            AmbiguousOffset::Fold { before, after } => match event.fold {
                Fold::Earlier => before.to_timestamp(local),
                Fold::Later => after.to_timestamp(local),
            },
            AmbiguousOffset::Gap { before, after } => {
                // Read with the offset of the other side, the time lands just before or after.
                let around = [after, before]
                    .map(|offset| offset.to_timestamp(local).map(|t| zone.to_datetime(t)));
                let [Ok(earlier), Ok(later)] = around else {
                    return Err(out_of_range());
                };
                let detail = format!(
                    "does not exist in {}: the clock is set forward over it; {earlier} and {later} do",
                    event.time_zone
                );
                return Err(Problem::field(
                    "/local_start",
                    "nonexistent_local_time",
                    detail,
                ));
            }
        };
        let starts_at = starts_at.map_err(|_| out_of_range())?;
        let duration = SignedDuration::from_mins(i64::from(event.duration_minutes));
        let ends_at = starts_at
            .checked_add(duration)
            .map_err(|_| out_of_range())?;
        let years = 2000..=2200;
        if !years.contains(&local.year()) {
            return Err(out_of_range());
        }
        Ok(Self { starts_at, ends_at })
    }
}

/// An instant as wall time in a zone, and which one it is where that happens twice. 422 for parts of seconds.
pub fn local(starts_at: Timestamp, time_zone: &str) -> Result<(DateTime, Fold), Problem> {
    if starts_at.subsec_nanosecond() != 0 {
        let detail = "must be whole seconds";
        return Err(Problem::field("/starts_at", "precision", detail));
    }
    let zone = TimeZone::get(time_zone).map_err(anyhow::Error::from)?;
    let local = zone.to_datetime(starts_at);
    let fold = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Fold { after, .. }
            if after.to_timestamp(local).ok() == Some(starts_at) =>
        {
            Fold::Later
        }
        _ => Fold::Earlier,
    };
    Ok((local, fold))
}

fn out_of_range() -> Problem {
    Problem::field("/local_start", "range", "must be in the years 2000 to 2200")
}
