//! What to try first: from a brief to a confirmed event in three lines for a shell.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

/// The earliest day of the demo event, counted from today.
const DAYS_AHEAD: i64 = 60;

/// Three lines for bash or zsh that need only curl and sed, to be pasted one after the other: plan,
/// book the plan's first option, confirm the event.
pub(crate) fn curl_lines(api: &str, key: &str) -> [String; 3] {
    let date = saturday_ahead();
    let brief = format!(
        r#"{{"event_date":"{date}","start_time":"18:00","duration_minutes":240,"location":{{"city":"San Francisco"}},"number_of_guests":120,"cuisine_preferences":["italian","indian"],"budget_per_guest":{{"amount":11000,"currency":"USD"}},"event_type":"OFFSITE"}}"#
    );
    let json = "-H 'Content-Type: application/json'";
    let auth = r#"-H "Authorization: Bearer $KEY""#;
    [
        format!(
            r#"KEY={key}; PLAN=$(curl -sS {api}/v1/plans {auth} {json} -d '{brief}' | sed -n 's/^{{"id":"\([^"]*\)".*/\1/p'); echo "plan: $PLAN""#
        ),
        format!(
            r#"EVENT=$(curl -sS {api}/v1/plans/$PLAN/options/1/book {auth} -H "Idempotency-Key: \"book-$PLAN\"" {json} -d '{{"title":"Team offsite"}}' | sed -n 's/^{{"event":{{"id":"\([^"]*\)".*/\1/p'); echo "event: $EVENT""#
        ),
        format!(
            r#"curl -sS -X POST {api}/v1/events/$EVENT/confirm {auth} -H "Idempotency-Key: \"confirm-$EVENT\""; echo"#
        ),
    ]
}

/// A line that asks for the venues of each city.
pub(crate) fn question(api: &str, key: &str) -> String {
    format!(
        r#"curl -sS {api}/v1/insights/query -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -H 'Accept: text/csv' -d '{{"sql":"select city, count(*) from venues group by city order by city"}}'"#
    )
}

/// A line that posts to a channel of the sandbox.
pub(crate) fn post(slack: &str, token_file: &str) -> String {
    format!(
        r##"curl -sS {slack}/mcp/tools/post_message -H "Authorization: Bearer $(cat {token_file})" -d '{{"channel":"#events","text":"The offsite is booked.","idempotency_key":"first-post"}}'; echo"##
    )
}

/// The first Saturday that is at least [`DAYS_AHEAD`] away.
#[expect(
    clippy::disallowed_methods,
    reason = "a developer command has no state to ask for a clock"
)]
fn saturday_ahead() -> Date {
    let earliest = jiff::Zoned::now().date().saturating_add(DAYS_AHEAD.days());
    let mut days = earliest.series(1.day());
    days.find(|day| day.weekday() == Weekday::Saturday)
        .unwrap_or(earliest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_on_a_saturday() {
        assert_eq!(saturday_ahead().weekday(), Weekday::Saturday);
    }

    #[test]
    fn the_lines_quote_their_idempotency_keys() {
        let [plan, book, confirm] = curl_lines("http://127.0.0.1:8000", "epk_x");
        assert!(
            plan.starts_with("KEY=epk_x; PLAN=$(curl -sS http://127.0.0.1:8000/v1/plans "),
            "{plan}"
        );
        assert!(
            book.contains(r#"-H "Idempotency-Key: \"book-$PLAN\"""#),
            "{book}"
        );
        assert!(confirm.contains("/v1/events/$EVENT/confirm"), "{confirm}");
    }
}
