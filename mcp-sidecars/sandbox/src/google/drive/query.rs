//! The search language of `q`: `name contains 'plan' and not trashed = true`.

use jiff::Timestamp;

use super::{State, access::resolved, file::File};
use crate::google::error::Refusal;

/// Conditions within conditions.
const DEEPEST: usize = 32;

/// What a file must be.
#[derive(Debug)]
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Is(Term),
}

/// One comparison.
#[derive(Debug)]
pub(super) enum Term {
    Name(Text, String),
    MimeType(Text, String),
    FullText(String),
    Parent(String),
    Owner(String),
    Trashed(bool),
    Starred(bool),
    Time(Clock, Order, Timestamp),
    AppProperty(String, String),
    Property(String, String),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    Is,
    IsNot,
    Contains,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    Created,
    Modified,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Less,
    AtMost,
    Equal,
    NotEqual,
    AtLeast,
    Greater,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(&'static str),
}

impl Condition {
    /// # Errors
    /// Google's 400 for anything that is not understood.
    pub(super) fn read(q: &str) -> Result<Self, Refusal> {
        let invalid = || Refusal::invalid("Invalid Value").at("parameter", "q");
        let tokens = tokens(q).ok_or_else(invalid)?;
        let mut parser = Parser {
            tokens: &tokens,
            depth: 0,
        };
        let condition = parser.either().filter(|_| parser.tokens.is_empty());
        condition.ok_or_else(invalid)
    }

    pub(super) fn has_full_text(&self) -> bool {
        match self {
            Self::And(one, other) | Self::Or(one, other) => {
                one.has_full_text() || other.has_full_text()
            }
            Self::Not(inner) => inner.has_full_text(),
            Self::Is(term) => matches!(term, Term::FullText(_)),
        }
    }

    pub(super) fn holds(&self, state: &State, file: &File, account: &str) -> bool {
        match self {
            Self::And(one, other) => {
                one.holds(state, file, account) && other.holds(state, file, account)
            }
            Self::Or(one, other) => {
                one.holds(state, file, account) || other.holds(state, file, account)
            }
            Self::Not(inner) => !inner.holds(state, file, account),
            Self::Is(term) => term.holds(state, file, account),
        }
    }
}

impl Term {
    fn holds(&self, state: &State, file: &File, account: &str) -> bool {
        let has = |pairs: &std::collections::BTreeMap<String, String>, key: &str, value: &str| {
            pairs.get(key).is_some_and(|held| held == value)
        };
        match self {
            Self::Name(Text::Is, value) => file.name.eq_ignore_ascii_case(value),
            Self::Name(Text::IsNot, value) => !file.name.eq_ignore_ascii_case(value),
            Self::Name(Text::Contains, value) => begins_a_word(&file.name, value),
            Self::MimeType(Text::Is, value) => file.mime_type == *value,
            Self::MimeType(Text::IsNot, value) => file.mime_type != *value,
            Self::MimeType(Text::Contains, value) => file.mime_type.starts_with(value.as_str()),
            Self::FullText(value) => has_words(file, value),
            Self::Parent(id) => file.parents.contains(&resolved(id, account)),
            Self::Owner(address) => {
                let address = if address == "me" { account } else { address };
                file.owner.as_deref() == Some(address)
            }
            Self::Trashed(value) => state.is_trashed(file) == *value,
            Self::Starred(value) => file.starred == *value,
            Self::Time(Clock::Created, order, at) => order.holds(file.created, *at),
            Self::Time(Clock::Modified, order, at) => order.holds(file.modified, *at),
            Self::AppProperty(key, value) => has(&file.app_properties, key, value),
            Self::Property(key, value) => has(&file.properties, key, value),
        }
    }
}

impl Order {
    fn holds(self, one: Timestamp, other: Timestamp) -> bool {
        match self {
            Self::Less => one < other,
            Self::AtMost => one <= other,
            Self::Equal => one == other,
            Self::NotEqual => one != other,
            Self::AtLeast => one >= other,
            Self::Greater => one > other,
        }
    }
}

/// `contains` looks at the beginnings of words only.
fn begins_a_word(name: &str, sought: &str) -> bool {
    let (name, sought) = (name.to_lowercase(), sought.to_lowercase());
    let mut before = ' ';
    name.char_indices().any(|(at, char)| {
        let begins = !before.is_alphanumeric();
        before = char;
        begins && name[at..].starts_with(&sought)
    })
}

/// Whole words, all of them; in double quotes, one after the other.
fn has_words(file: &File, sought: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|char: char| !char.is_alphanumeric());
        words
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let text = file
        .content
        .as_ref()
        .and_then(|content| content.text.as_deref());
    let texts = [Some(file.name.as_str()), file.description.as_deref(), text];
    let texts: Vec<Vec<String>> = texts.into_iter().flatten().map(words).collect();
    let phrase = sought
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let wanted = words(phrase.unwrap_or(sought));
    if wanted.is_empty() {
        return false;
    }
    if phrase.is_some() {
        return texts
            .iter()
            .any(|text| text.windows(wanted.len()).any(|run| run == wanted));
    }
    wanted
        .iter()
        .all(|word| texts.iter().any(|text| text.contains(word)))
}

fn tokens(q: &str) -> Option<Vec<Token>> {
    const MARKS: [&str; 10] = ["<=", ">=", "!=", "=", "<", ">", "(", ")", "{", "}"];
    let mut tokens = Vec::new();
    let mut rest = q.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, after) = quoted(&rest[1..])?;
            tokens.push(Token::Text(text));
            rest = after;
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            tokens.push(Token::Mark(mark));
            rest = &rest[mark.len()..];
        } else {
            let end = rest.find(|char: char| !char.is_ascii_alphanumeric());
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            if word.is_empty() {
                return None;
            }
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// Up to the next quote; `\'` and `\\` stand for themselves.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' => return Some((value, &text[at + 1..])),
            '\\' => value.push(
                chars
                    .next()
                    .map(|(_, next)| next)
                    .filter(|next| matches!(next, '\'' | '\\'))?,
            ),
            other => value.push(other),
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Option<Condition> {
        let mut one = self.both()?;
        while self.word("or") {
            one = Condition::Or(Box::new(one), Box::new(self.both()?));
        }
        Some(one)
    }

    fn both(&mut self) -> Option<Condition> {
        let mut one = self.single()?;
        while self.word("and") {
            one = Condition::And(Box::new(one), Box::new(self.single()?));
        }
        Some(one)
    }

    fn single(&mut self) -> Option<Condition> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let condition = if self.word("not") {
            Condition::Not(Box::new(self.single()?))
        } else if self.mark("(") {
            let inner = self.either()?;
            self.mark(")").then_some(inner)?
        } else {
            Condition::Is(self.term()?)
        };
        self.depth -= 1;
        Some(condition)
    }

    fn term(&mut self) -> Option<Term> {
        if let Some(Token::Text(value)) = self.tokens.first() {
            let value = value.clone();
            self.tokens = &self.tokens[1..];
            if !self.word("in") {
                return None;
            }
            return match self.next_word()?.as_str() {
                "parents" => Some(Term::Parent(value)),
                "owners" => Some(Term::Owner(value)),
                _ => None,
            };
        }
        match self.next_word()?.as_str() {
            "name" => Some(Term::Name(self.text_operator()?, self.text()?)),
            "mimeType" => Some(Term::MimeType(self.text_operator()?, self.text()?)),
            "fullText" => self
                .word("contains")
                .then(|| self.text())?
                .map(Term::FullText),
            "trashed" => self.flag().map(Term::Trashed),
            "starred" => self.flag().map(Term::Starred),
            "createdTime" => self.time(Clock::Created),
            "modifiedTime" => self.time(Clock::Modified),
            "appProperties" => self
                .property()
                .map(|(key, value)| Term::AppProperty(key, value)),
            "properties" => self
                .property()
                .map(|(key, value)| Term::Property(key, value)),
            _ => None,
        }
    }

    fn text_operator(&mut self) -> Option<Text> {
        if self.word("contains") {
            return Some(Text::Contains);
        }
        if self.mark("=") {
            return Some(Text::Is);
        }
        self.mark("!=").then_some(Text::IsNot)
    }

    fn flag(&mut self) -> Option<bool> {
        let is_equal = self.mark("=");
        if !is_equal && !self.mark("!=") {
            return None;
        }
        let value: bool = self.next_word()?.parse().ok()?;
        Some(value == is_equal)
    }

    fn time(&mut self, clock: Clock) -> Option<Term> {
        let orders = [
            ("<=", Order::AtMost),
            (">=", Order::AtLeast),
            ("!=", Order::NotEqual),
            ("=", Order::Equal),
            ("<", Order::Less),
            (">", Order::Greater),
        ];
        let (_, order) = orders.into_iter().find(|(mark, _)| self.mark(mark))?;
        let text = self.text()?;
        // Without an offset the time is UTC.
        let at = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
        Some(Term::Time(clock, order, at))
    }

    /// `has { key='…' and value='…' }`.
    fn property(&mut self) -> Option<(String, String)> {
        let begins = self.word("has") && self.mark("{") && self.word("key") && self.mark("=");
        let key = begins.then(|| self.text())??;
        let goes_on = self.word("and") && self.word("value") && self.mark("=");
        let value = goes_on.then(|| self.text())??;
        self.mark("}").then_some((key, value))
    }

    fn text(&mut self) -> Option<String> {
        let (first, rest) = self.tokens.split_first()?;
        let Token::Text(value) = first else {
            return None;
        };
        self.tokens = rest;
        Some(value.clone())
    }

    fn next_word(&mut self) -> Option<String> {
        let (first, rest) = self.tokens.split_first()?;
        let Token::Word(word) = first else {
            return None;
        };
        self.tokens = rest;
        Some(word.clone())
    }

    fn word(&mut self, word: &str) -> bool {
        self.skip(&Token::Word(word.to_owned()))
    }

    fn mark(&mut self, mark: &'static str) -> bool {
        self.skip(&Token::Mark(mark))
    }

    fn skip(&mut self, token: &Token) -> bool {
        let is_next = self.tokens.first() == Some(token);
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_google_understands_is_understood_and_nothing_else() {
        for q in [
            "name = 'it\\'s'",
            "name contains 'a' and (mimeType != 'b' or not trashed = true)",
            "'root' in parents and trashed=false",
            "fullText contains '\"a b\"'",
            "modifiedTime > '2026-01-01T00:00:00'",
            "appProperties has { key='a' and value='b' }",
            "not 'me' in owners",
        ] {
            assert!(Condition::read(q).is_ok(), "{q}");
        }
        for q in [
            "",
            "name",
            "name = x",
            "title = 'a'",
            "name = 'a",
            "name = 'a' and",
            "(name = 'a'",
            "trashed",
            "a = 'b'",
            "name ~ 'a'",
            "parents in 'a'",
            "name = 'a\\n'",
        ] {
            assert!(Condition::read(q).is_err(), "{q}");
        }
        assert!(Condition::read(&format!("{}trashed=true", "not ".repeat(1000))).is_err());
    }

    #[test]
    fn contains_finds_beginnings_of_words() {
        assert!(
            begins_a_word("HelloWorld plan.pdf", "hello") && begins_a_word("a plan.pdf", "plan")
        );
        assert!(!begins_a_word("HelloWorld", "world"));
    }
}
