//! When a reminder is due: calendar days back from the event's start in its own zone, clock changes included.

use jiff::{Span, Timestamp, civil::Time, tz::TimeZone};

use crate::events::Event;

pub const FORM: &str = "must be an ISO 8601 duration of weeks or days, hours and minutes, such as P7D or PT2H, and a year at most";
const LONGEST: i64 = 366 * 24 * 3600;

/// How long before the start, and at which wall time of that day.
#[derive(Debug, Clone, Copy)]
pub struct Lead {
    offset: Span,
    local_time: Option<Time>,
}

impl Lead {
    /// None unless both are of the form that we take.
    pub fn parse(offset: &str, local_time: Option<&str>) -> Option<Self> {
        // jiff also takes words, signs and fractions.
        let is_plain = offset.starts_with('P')
            && offset.len() <= 40
            && offset
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"PWDTHM".contains(&byte));
        let offset: Span = offset.parse().ok().filter(|_| is_plain)?;
        let has_only_ours = offset.get_years() == 0 && offset.get_months() == 0;
        let local_time = match local_time {
            Some(text) => Some(wall_time(text)?),
            None => None,
        };
        let lead = Self { offset, local_time };
        (has_only_ours && (0..=LONGEST).contains(&lead.seconds())).then_some(lead)
    }

    /// About how long it is, a day taken for 24 hours.
    pub fn seconds(&self) -> i64 {
        let days = i64::from(self.offset.get_weeks()) * 7 + i64::from(self.offset.get_days());
        let clock = i64::from(self.offset.get_hours()) * 3600 + self.offset.get_minutes() * 60;
        days.saturating_mul(86_400).saturating_add(clock)
    }

    /// Whether its hours and minutes would say another time than its wall time does.
    pub fn says_two_times(&self) -> bool {
        let has_clock = self.offset.get_hours() != 0 || self.offset.get_minutes() != 0;
        self.local_time.is_some() && has_clock
    }

    /// The instant before this event's start. A wall time that a clock change leaves out is the one as far after the gap;
    /// of two the earlier (RFC 5545).
    pub fn before(&self, event: &Event) -> Option<Timestamp> {
        self.before_start(event.starts_at.to_jiff(), &event.time_zone)
    }

    /// The same, of an event that starts then and there.
    pub fn before_start(&self, start: Timestamp, time_zone: &str) -> Option<Timestamp> {
        let zone = TimeZone::get(time_zone).ok()?;
        let start = start.to_zoned(zone.clone());
        let moment = start.checked_sub(self.offset).ok()?;
        let Some(time) = self.local_time else {
            return Some(moment.timestamp());
        };
        let there = moment.date().to_datetime(time).to_zoned(zone).ok()?;
        Some(there.timestamp())
    }
}

fn wall_time(text: &str) -> Option<Time> {
    let is_plain = matches!(text.len(), 5 | 8)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':');
    // jiff takes a leap second for the one before.
    text.parse()
        .ok()
        .filter(|_| is_plain && !text.ends_with(":60"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_durations_of_a_year_at_most_are_taken() {
        for (text, seconds) in [
            ("P7D", 604_800),
            ("PT2H", 7_200),
            ("P1W", 604_800),
            ("P1DT90M", 91_800),
            ("P366D", LONGEST),
        ] {
            assert_eq!(
                Lead::parse(text, None).map(|lead| lead.seconds()),
                Some(seconds),
                "{text}"
            );
        }
        for wrong in [
            "",
            "P",
            "PT",
            "7D",
            "P7",
            "-P7D",
            "P1M",
            "P1Y",
            "P367D",
            "PT1.5H",
            "1 day",
            "P1D ",
            "p1d",
            "PT99999999999H",
        ] {
            assert!(Lead::parse(wrong, None).is_none(), "{wrong}");
        }
        for wrong in ["9:00", "25:00", "09:00:60", "09:00Z", "", "09"] {
            assert!(Lead::parse("P1D", Some(wrong)).is_none(), "{wrong}");
        }
    }
}
