//! Times and series from arguments, checked before Google sees them.

use jiff::{Timestamp, civil, tz::TimeZone};
use mcp_kit::ToolError;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};

const LINES: usize = 10;
const LONGEST_LINE: usize = 500;

/// Start and end as Google takes them: both days, or both wall times in the zone.
pub(crate) fn span(
    start: &str,
    end: &str,
    zone: Option<&str>,
) -> Result<(Value, Value), ToolError> {
    if let (Some(first), Some(last)) = (day(start), day(end)) {
        if last <= first {
            let words = "must be a later day than start: an event of one day ends on the next";
            return Err(ToolError::field("/end", "range", words));
        }
        return Ok((
            json!({ "date": start, "dateTime": null, "timeZone": null }),
            json!({ "date": end, "dateTime": null, "timeZone": null }),
        ));
    }
    let words = "is needed with times: an IANA name such as Europe/Zurich";
    let name = zone.ok_or_else(|| ToolError::field("/time_zone", "required", words))?;
    let zone = zone_named(name)?;
    let begins = instant("/start", start, &zone)?;
    let ends = instant("/end", end, &zone)?;
    if ends < begins {
        return Err(ToolError::field(
            "/end",
            "range",
            "must not be before start",
        ));
    }
    let written = |zoned: &jiff::Zoned| {
        let text = zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        json!({ "date": null, "dateTime": text, "timeZone": name })
    };
    Ok((written(&begins), written(&ends)))
}

/// A point in time of RFC 3339, in our words where it is none: for `#[serde(deserialize_with = "…")]`.
pub(crate) fn point<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom("must be a time of RFC 3339 with an offset, such as 2027-06-12T00:00:00Z")
    })
}

/// As [`point`], where it may be left out.
pub(crate) fn some_point<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Point(#[serde(deserialize_with = "point")] Timestamp);
    let point = Option::<Point>::deserialize(deserializer)?;
    Ok(point.map(|point| point.0))
}

/// A zone by its IANA name.
pub(crate) fn zone_named(name: &str) -> Result<TimeZone, ToolError> {
    TimeZone::get(name).map_err(|_| {
        let words = "is not a zone that we know: give an IANA name such as Europe/Zurich";
        ToolError::field("/time_zone", "time_zone", words)
    })
}

fn day(text: &str) -> Option<civil::Date> {
    civil::Date::strptime("%Y-%m-%d", text).ok()
}

/// A wall time in a zone. One that happens twice means the earlier (RFC 5545), one that a clock change leaves out is refused.
fn instant(pointer: &str, text: &str, zone: &TimeZone) -> Result<jiff::Zoned, ToolError> {
    let read = |format| civil::DateTime::strptime(format, text).ok();
    let local = read("%Y-%m-%dT%H:%M:%S").or_else(|| read("%Y-%m-%dT%H:%M"));
    let local = local.ok_or_else(|| {
        let words = "must be a wall time such as 2027-06-12T18:00 without an offset, or a day such as 2027-06-12 where the other is one, too";
        ToolError::field(pointer, "time", words)
    })?;
    let place = zone.to_ambiguous_zoned(local);
    if matches!(place.offset(), jiff::tz::AmbiguousOffset::Gap { .. }) {
        let words = "does not exist in this zone: the clocks skip it";
        return Err(ToolError::field(pointer, "nonexistent_local_time", words));
    }
    place.earlier().map_err(ToolError::internal)
}

/// Refuses lines of a series that Google would not take, or that repeat more than once a day.
pub(crate) fn check_recurrence(lines: &[String]) -> Result<(), ToolError> {
    let wrong = |index: usize, words: &str| {
        Err(ToolError::field(
            &format!("/recurrence/{index}"),
            "recurrence",
            words,
        ))
    };
    if lines.len() > LINES {
        return wrong(LINES, "is one line too many: 10 at most");
    }
    for (index, line) in lines.iter().enumerate() {
        let (name, rule) = line.split_once([':', ';']).unwrap_or_default();
        if !matches!(name, "RRULE" | "RDATE" | "EXDATE") || line.chars().any(char::is_control) {
            return wrong(
                index,
                "must be an RRULE, RDATE or EXDATE line of RFC 5545; start and end have their own fields",
            );
        }
        if line.len() > LONGEST_LINE {
            return wrong(index, "is longer than 500 characters");
        }
        let mut parts = rule.split(';');
        let is_daily = parts.any(|part| {
            matches!(
                part,
                "FREQ=DAILY" | "FREQ=WEEKLY" | "FREQ=MONTHLY" | "FREQ=YEARLY"
            )
        });
        if name == "RRULE" && !is_daily {
            return wrong(
                index,
                "must repeat by FREQ=DAILY, WEEKLY, MONTHLY or YEARLY",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zurich(start: &str, end: &str) -> Result<(Value, Value), ToolError> {
        span(start, end, Some("Europe/Zurich"))
    }

    #[test]
    fn wall_times_get_the_offset_of_their_zone() {
        let (start, end) = zurich("2027-03-27T18:00", "2027-03-28T18:00:30").unwrap();
        assert_eq!(start["dateTime"], "2027-03-27T18:00:00+01:00");
        assert_eq!(end["dateTime"], "2027-03-28T18:00:30+02:00");
        let (twice, _) = zurich("2027-10-31T02:30", "2027-10-31T04:00").unwrap();
        assert_eq!(twice["dateTime"], "2027-10-31T02:30:00+02:00");
    }

    #[test]
    fn times_that_mean_nothing_are_refused_with_their_place() {
        let refused = |start, end, zone| span(start, end, zone).unwrap_err().message.into_owned();
        let zone = Some("Europe/Zurich");
        assert!(
            refused("2027-03-28T02:30", "2027-03-28T04:00", zone)
                .starts_with("/start: does not exist")
        );
        assert!(refused("2027-06-12T18:00+02:00", "2027-06-12T19:00", zone).starts_with("/start"));
        assert!(refused("2027-06-12T18:00Z", "2027-06-12T19:00", zone).starts_with("/start"));
        assert!(refused("2027-06-12", "2027-06-12T19:00", zone).starts_with("/start"));
        assert!(refused("2027-06-12T18:00", "2027-06-12T17:00", zone).starts_with("/end"));
        assert!(refused("2027-06-12", "2027-06-12", None).starts_with("/end"));
        assert!(refused("2027-06-12T18:00", "2027-06-12T19:00", None).starts_with("/time_zone"));
        assert!(
            refused("2027-06-12T18:00", "2027-06-12T19:00", Some("Mars/Base"))
                .starts_with("/time_zone")
        );
    }

    #[test]
    fn only_lines_of_a_series_are_taken() {
        let check = |line: &str| check_recurrence(&[line.to_owned()]);
        assert!(check("RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4").is_ok());
        assert!(check("EXDATE;VALUE=DATE:20270612").is_ok());
        for wrong in [
            "FREQ=WEEKLY",
            "DTSTART:20270612T000000Z",
            "RRULE:FREQ=HOURLY",
            "RRULE:COUNT=3",
            "RRULE:FREQ=DAILY\r\nATTENDEE:x",
            "",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        assert!(check_recurrence(&vec!["RRULE:FREQ=DAILY".to_owned(); 11]).is_err());
    }
}
