//! What a description asks for: which playbook, how many people, where, when. Rules and words, no guessing: what is not
//! understood stays empty. The rules are in docs/orchestrations.md.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    plans::brief::EventType,
    playbooks::{Definition, Playbook},
};

/// The playbook for descriptions that no other one recognises.
pub const GENERAL: &str = "general";
/// What the type of the event weighs.
const EVENT_TYPE_WEIGHT: u32 = 2;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const PEOPLE: &[&str] = &[
    "people",
    "persons",
    "guests",
    "attendees",
    "participants",
    "colleagues",
    "employees",
    "pax",
    "visitors",
    "delegates",
];
const SPANS: &[&str] = &[
    "minute", "minutes", "hour", "hours", "day", "days", "night", "nights", "week", "weeks",
    "month", "months", "year", "years",
];

/// What was understood of a description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// People who are expected.
    pub guests: Option<u32>,
    pub city: Option<String>,
    /// Its English name, e.g. `May`.
    pub month: Option<String>,
    /// Only where day, month and year are said.
    #[schema(value_type = Option<String>, format = Date)]
    pub date: Option<Date>,
    /// The words that spoke for the playbook.
    #[serde(default)]
    pub keywords: Vec<String>,
}

/// The playbook whose keywords weigh most, and those keywords. Of equals the one with more of them, then the first by name;
/// `general` if there is none.
pub fn choose<'a>(
    playbooks: &'a [Playbook],
    description: &str,
    event_type: Option<EventType>,
) -> Option<(&'a Playbook, Vec<String>)> {
    let text = format!(" {} ", words(description).join(" "));
    let scored = playbooks.iter().filter_map(|playbook| {
        let (weight, found) = score(&playbook.definition, &text, event_type);
        (weight > 0).then_some((weight, found, playbook))
    });
    let best = scored.reduce(|best, next| {
        let is_better = (next.0, next.1.len()) > (best.0, best.1.len());
        if is_better { next } else { best }
    });
    let chosen = best.map(|(_, found, playbook)| (playbook, found));
    chosen.or_else(|| {
        let general = playbooks
            .iter()
            .find(|playbook| playbook.definition.name == GENERAL);
        general.map(|playbook| (playbook, Vec::new()))
    })
}

fn score(definition: &Definition, text: &str, event_type: Option<EventType>) -> (u32, Vec<String>) {
    let keywords = definition.matching.keywords.iter();
    let found: Vec<_> = keywords
        .filter(|(keyword, _)| text.contains(&format!(" {} ", words(keyword).join(" "))))
        .collect();
    let mut weight: u32 = found.iter().map(|(_, weight)| u32::from(**weight)).sum();
    if event_type.is_some_and(|kind| definition.matching.event_types.contains(&kind)) {
        weight += EVENT_TYPE_WEIGHT;
    }
    let found = found.into_iter().map(|(keyword, _)| keyword.clone());
    (weight, found.collect())
}

/// Lower-case words without what surrounds them.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|char: char| !char.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// A word, and whether the sentence pauses after it.
struct Token<'a> {
    text: &'a str,
    ends: bool,
}

impl Facts {
    /// Reads them from a description in English.
    pub fn of(description: &str) -> Self {
        let tokens: Vec<Token> = description
            .split_whitespace()
            .map(|word| Token {
                text: word.trim_matches(|char: char| !char.is_alphanumeric()),
                ends: word.ends_with([',', '.', ';', ':', '!', '?', ')']),
            })
            .filter(|token| !token.text.is_empty())
            .collect();
        let (month, date) = time(&tokens);
        Self {
            guests: guests(&tokens),
            city: city(&tokens),
            month,
            date,
            keywords: Vec::new(),
        }
    }
}

/// `40 people`, or `for 40` where no span of time and no month follows.
fn guests(tokens: &[Token]) -> Option<u32> {
    let number = |text: &str| {
        let number = text.replace([',', '\''], "").parse().ok();
        number.filter(|number| (1..=100_000).contains(number))
    };
    let follows = |index: usize, among: &[&str]| {
        let next = tokens.get(index + 1).map(|token| token.text.to_lowercase());
        next.is_some_and(|next| among.contains(&next.as_str()))
    };
    let counted = (0..tokens.len()).find(|index| {
        number(tokens[*index].text).is_some() && !tokens[*index].ends && follows(*index, PEOPLE)
    });
    let meant = || {
        (1..tokens.len()).find(|index| {
            let is_for = ["for", "of"].contains(&tokens[index - 1].text.to_lowercase().as_str());
            let is_time = follows(*index, SPANS)
                || tokens
                    .get(index + 1)
                    .is_some_and(|next| month(next.text).is_some());
            is_for && number(tokens[*index].text).is_some() && !is_time
        })
    };
    number(tokens[counted.or_else(meant)?].text)
}

/// Up to three capitalised words after `in`, `at` or `near` that are no month.
fn city(tokens: &[Token]) -> Option<String> {
    let is_name = |token: &&Token| {
        let is_capital = token.text.chars().next().is_some_and(char::is_uppercase);
        is_capital && month(token.text).is_none()
    };
    for (index, token) in tokens.iter().enumerate() {
        if !["in", "at", "near"].contains(&token.text.to_lowercase().as_str()) {
            continue;
        }
        let mut name = Vec::new();
        for token in tokens[index + 1..].iter().take(3).take_while(is_name) {
            name.push(token.text);
            if token.ends {
                break;
            }
        }
        if !name.is_empty() {
            return Some(name.join(" "));
        }
    }
    None
}

/// A date in full (`2027-05-12`, `12 May 2027`, `May 12, 2027`), or just a month.
fn time(tokens: &[Token]) -> (Option<String>, Option<Date>) {
    for token in tokens {
        let is_iso = token.text.len() == 10;
        if let Some(date) = token.text.parse::<Date>().ok().filter(|_| is_iso) {
            return (name_of(date.month()), Some(date));
        }
    }
    let Some((index, number)) = tokens
        .iter()
        .enumerate()
        .find_map(|(index, token)| Some((index, month(token.text)?)))
    else {
        return (None, None);
    };
    let at = |index: usize| tokens.get(index).map_or("", |token| token.text);
    let day = |text: &str| {
        let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
        digits
            .parse::<i8>()
            .ok()
            .filter(|day| (1..=31).contains(day))
    };
    let before = index.checked_sub(1).and_then(|before| day(at(before)));
    let (day, year) = match before {
        Some(day) => (Some(day), at(index + 1)),
        None => (day(at(index + 1)), at(index + 2)),
    };
    let year = year
        .parse::<i16>()
        .ok()
        .filter(|year| (1900..=2999).contains(year));
    let date = day
        .zip(year)
        .and_then(|(day, year)| Date::new(year, number, day).ok());
    (name_of(number), date)
}

fn name_of(month: i8) -> Option<String> {
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    Some((*MONTHS.get(index)?).to_owned())
}

/// A month by its name with a capital, so that `may` stays a verb.
fn month(text: &str) -> Option<i8> {
    let index = MONTHS.iter().position(|name| *name == text)?;
    i8::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbooks::SHIPPED;

    fn facts(text: &str) -> (Option<u32>, Option<String>, Option<String>, Option<String>) {
        let facts = Facts::of(text);
        let date = facts.date.map(|date| date.to_string());
        (facts.guests, facts.city, facts.month, date)
    }

    #[test]
    fn people_place_and_time_are_understood() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            (
                "Offsite for 40 in Lisbon in May",
                (Some(40), some("Lisbon"), some("May"), None),
            ),
            (
                "A conference in San Francisco, 1,200 attendees, 12 June 2027",
                (
                    Some(1200),
                    some("San Francisco"),
                    some("June"),
                    some("2027-06-12"),
                ),
            ),
            (
                "Wedding on June 5th 2027 of 80",
                (Some(80), None, some("June"), some("2027-06-05")),
            ),
            (
                "We may meet for 2 days at 2027-05-03",
                (None, None, some("May"), some("2027-05-03")),
            ),
            ("Party for 12 June", (None, None, some("June"), None)),
            (
                "Deploy new API endpoint with authentication",
                (None, None, None, None),
            ),
            ("", (None, None, None, None)),
            (
                "in In IN , , 31 February 2027",
                (None, some("In IN"), some("February"), None),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(facts(text), expected, "{text}");
        }
    }

    #[test]
    fn the_heaviest_words_choose_the_playbook() {
        let playbooks: Vec<_> = SHIPPED.values().map(Playbook::from).collect();
        let chosen = |text, kind| {
            let (playbook, _) = choose(&playbooks, text, kind).unwrap();
            playbook.definition.name.clone()
        };
        for (text, expected) in [
            (
                "Deploy new API endpoint with authentication",
                "software_release",
            ),
            ("Offsite for 40 in Lisbon in May", "offsite"),
            ("Team retreat in the mountains", "offsite"),
            ("Annual developer CONFERENCE", "conference"),
            ("Ana and Rui's wedding", "wedding"),
            ("Rust meetup on Tuesday", "meetup"),
            ("Launch of our new product", "product_launch"),
            ("Something else altogether", "general"),
            ("Weddingplanner", "general"),
        ] {
            assert_eq!(chosen(text, None), expected, "{text}");
        }
        assert_eq!(chosen("Our evening", Some(EventType::Wedding)), "wedding");
    }
}
