//! What people would see: channels with their messages and threads, what is scheduled, and files.

use askama::Template;
use jiff::{Timestamp, tz::TimeZone};

use super::things::{Message, State};

#[derive(Template)]
#[template(path = "slack.html")]
struct View<'a> {
    channels: Vec<Shown<'a>>,
    scheduled: Vec<(String, &'a str, String)>,
}

struct Shown<'a> {
    name: &'a str,
    topic: &'a str,
    is_private: bool,
    is_archived: bool,
    posts: Vec<Post<'a>>,
}

struct Post<'a> {
    who: &'a str,
    time: String,
    text: String,
    is_reply: bool,
    is_edited: bool,
    files: Vec<(&'a str, u64)>,
    reactions: Vec<(&'a str, usize)>,
}

impl State {
    /// What a person would see there: HTML for the page.
    pub(crate) fn view(&self) -> Result<String, askama::Error> {
        let channels = self.channels.iter().map(|channel| {
            let messages = self.messages.iter().filter(|one| one.channel == channel.id);
            let tops = messages.clone().filter(|one| one.thread_ts.is_none());
            let posts = tops.flat_map(|top| {
                let replies = messages
                    .clone()
                    .filter(|one| one.thread_ts.as_ref() == Some(&top.ts));
                std::iter::once(top).chain(replies)
            });
            Shown {
                name: &channel.name,
                topic: &channel.topic,
                is_private: channel.is_private,
                is_archived: channel.is_archived,
                posts: posts.map(|post| self.post(post)).collect(),
            }
        });
        let scheduled = self.scheduled.iter().map(|one| {
            let mut channels = self.channels.iter();
            let channel = channels.find(|channel| channel.id == one.message.channel);
            let name = channel.map_or("", |channel| channel.name.as_str());
            (time(one.post_at), name, read(&one.message.text))
        });
        let view = View {
            channels: channels.collect(),
            scheduled: scheduled.collect(),
        };
        view.render()
    }

    fn post<'a>(&'a self, message: &'a Message) -> Post<'a> {
        let files = self
            .files
            .iter()
            .filter(|file| message.files.contains(&file.id));
        let reactions = message.reactions.iter();
        let second = message
            .ts
            .split('.')
            .next()
            .and_then(|second| second.parse().ok());
        Post {
            who: self
                .user(&message.user)
                .map_or("?", |user| user.real_name.as_str()),
            time: time(second.unwrap_or_default()),
            text: read(&message.text),
            is_reply: message.thread_ts.is_some(),
            is_edited: message.edited.is_some(),
            files: files.map(|file| (file.title.as_str(), file.size)).collect(),
            reactions: reactions
                .map(|(name, users)| (name.as_str(), users.len()))
                .collect(),
        }
    }
}

fn time(second: i64) -> String {
    let at = Timestamp::from_second(second).unwrap_or_default();
    at.to_zoned(TimeZone::UTC)
        .strftime("%e %b %H:%M UTC")
        .to_string()
}

/// Slack's text as people read it: `<address|words>` is shown as its words. The template escapes it anew.
fn read(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('<') {
        shown.push_str(before);
        let Some((link, after)) = link.split_once('>') else {
            shown.push('<');
            rest = link;
            continue;
        };
        shown.push_str(link.split_once('|').map_or(link, |(_, words)| words));
        rest = after;
    }
    shown.push_str(rest);
    shown
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_link_is_shown_once_and_other_brackets_as_they_were_written() {
        let shown = [
            ("see <https://a.example|the plan>, ok", "see the plan, ok"),
            ("<https://a.example> &amp; more", "https://a.example & more"),
            ("1 &lt; 2 &gt; 0", "1 < 2 > 0"),
            ("open < bracket", "open < bracket"),
        ];
        for (text, expected) in shown {
            assert_eq!(read(text), expected);
        }
    }
}
