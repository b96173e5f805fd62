//! Recurring events (RFC 5545): checked when written, expanded when read, both within bounds.

use jiff::Timestamp;
use rrule::RRuleSet;

use super::content::When;
use crate::google::error::Refusal;

/// So many instances of one series are looked at; Google, too, stops after about two years of days.
const MOST: usize = 730;
const LONGEST_LINE: usize = 2000;

/// Refuses lines that are no recurrence, that never happen, or that happen more than once a day.
pub(super) fn check(start: &When, lines: &[String]) -> Result<(), Refusal> {
    let invalid = || Refusal::invalid("Invalid recurrence rule.");
    let is_known = |line: &String| {
        let name = line.split([':', ';']).next().unwrap_or_default();
        let is_plain = line.len() <= LONGEST_LINE && !line.contains(char::is_control);
        let is_daily = !["FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY"]
            .iter()
            .any(|often| line.contains(often));
        is_plain && is_daily && matches!(name, "RRULE" | "RDATE" | "EXDATE")
    };
    if lines.is_empty() {
        return Ok(());
    }
    let set = set(start, lines).filter(|_| lines.iter().all(is_known));
    let happens = set.is_some_and(|set| !set.all(1).dates.is_empty());
    if happens { Ok(()) } else { Err(invalid()) }
}

/// When the instances begin, in order, up to `until` and not more than some hundreds.
pub(super) fn starts(start: &When, lines: &[String], until: Option<Timestamp>) -> Vec<Timestamp> {
    let Some(set) = set(start, lines) else {
        return Vec::new();
    };
    let most = u16::try_from(MOST).unwrap_or(u16::MAX);
    let dates = set.all(most).dates.into_iter();
    dates
        .filter_map(|date| Timestamp::from_second(date.timestamp()).ok())
        .take_while(|instant| until.is_none_or(|until| *instant < until))
        .collect()
}

fn set(start: &When, lines: &[String]) -> Option<RRuleSet> {
    let text = if let Some(date) = start.date {
        // The library knows times only: days are midnights in UTC.
        let lines = lines.iter().map(|line| days_as_midnights(line));
        let first = format!("DTSTART:{}T000000Z", date.strftime("%Y%m%d"));
        std::iter::once(first)
            .chain(lines)
            .collect::<Vec<_>>()
            .join("\n")
    } else {
        let zone = start.time_zone.as_deref()?;
        let local = start
            .instant()
            .to_zoned(start.zone())
            .strftime("%Y%m%dT%H%M%S");
        format!("DTSTART;TZID={zone}:{local}\n{}", lines.join("\n"))
    };
    text.parse().ok()
}

fn days_as_midnights(line: &str) -> String {
    let midnight = |day: &str| {
        let is_day = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        if is_day {
            format!("{day}T000000Z")
        } else {
            day.to_owned()
        }
    };
    if let Some((before, rest)) = line.split_once("UNTIL=") {
        let (day, after) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        return format!("{before}UNTIL={}{after}", midnight(day));
    }
    let Some((name, days)) = line.split_once(':').filter(|_| !line.starts_with("RRULE")) else {
        return line.to_owned();
    };
    let days: Vec<_> = days.split(',').map(midnight).collect();
    format!("{}:{}", name.replace(";VALUE=DATE", ""), days.join(","))
}
