//! Text on its way to Slack and back.
//!
//! Slack reads `&`, `<` and `>` as markup, so they are escaped: what is written is what people see, and nobody can smuggle
//! in a mention or a link with another address under it. `*bold*` and the like still work, and so does `<@U…>`, which
//! names one person. A whole channel is notified only where setting and caller both say so.

use mcp_kit::ToolError;

use crate::settings::Settings;

const BROADCASTS: [&str; 4] = ["channel", "here", "everyone", "group"];
/// Between `@` and the word, so that no client takes it for a mention.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// The text as Slack takes it.
///
/// # Errors
/// Too long, nothing but space, or a broadcast that the settings do not allow.
pub(crate) fn outgoing(
    settings: &Settings,
    text: &str,
    broadcast: bool,
) -> Result<String, ToolError> {
    if broadcast && !settings.allow_broadcast {
        let detail = "notifying whole channels is switched off (ALLOW_BROADCAST)";
        return Err(ToolError::refused(detail));
    }
    if text.trim().is_empty() {
        return Err(ToolError::field("/text", "length", "say something"));
    }
    let text = escape(text, broadcast);
    let (length, most) = (text.chars().count(), settings.max_text_length);
    if u32::try_from(length).is_ok_and(|length| length <= most) {
        return Ok(text);
    }
    let detail =
        format!("{length} characters as Slack counts them (& < > count 4 or 5), more than {most}");
    Err(ToolError::field("/text", "length", &detail))
}

/// Slack's text as people read it, but for `<…>`, which stays.
pub(crate) fn incoming(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn escape(text: &str, broadcast: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if let Some((markup, after)) = mention(rest, broadcast) {
            escaped.push_str(markup);
            rest = after;
            continue;
        }
        rest = &rest[char.len_utf8()..];
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            // At the beginning of a line it makes a quotation, escaped or not.
            '>' => escaped.push_str("&gt;"),
            '@' if starts_broadcast(rest) => {
                if broadcast {
                    let word = BROADCASTS
                        .into_iter()
                        .find(|word| starts_with_word(rest, word));
                    let word = word.unwrap_or_default();
                    escaped.extend(["<!", &word.replace("group", "channel"), ">"]);
                    rest = &rest[word.len()..];
                } else {
                    escaped.extend(['@', ZERO_WIDTH_SPACE]);
                }
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// `<@U123>`, or where allowed `<!here>`, at the beginning of the text, and what follows it.
fn mention(text: &str, broadcast: bool) -> Option<(&str, &str)> {
    let end = text.strip_prefix('<')?.find('>')? + 2;
    let (markup, after) = text.split_at(end);
    let inner = &markup[1..end - 1];
    let is_person = inner.strip_prefix('@').is_some_and(is_user_id);
    let is_broadcast = inner
        .strip_prefix('!')
        .is_some_and(|word| BROADCASTS.contains(&word));
    (is_person || broadcast && is_broadcast).then_some((markup, after))
}

/// `U…` or `W…`, as Slack makes them.
pub(crate) fn is_user_id(text: &str) -> bool {
    text.starts_with(['U', 'W'])
        && (9..=21).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn starts_broadcast(text: &str) -> bool {
    BROADCASTS.iter().any(|word| starts_with_word(text, word))
}

fn starts_with_word(text: &str, word: &str) -> bool {
    let head = text.get(..word.len());
    let after = text.get(word.len()..).and_then(|rest| rest.chars().next());
    head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        && after.is_none_or(|char| !char.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is_written_and_only_people_are_named() {
        let text = "R&D <3 <@U0SANDBOX02> <!here> <https://evil.example|bank> @everyone a@heretic";
        let wanted = "R&amp;D &lt;3 <@U0SANDBOX02> &lt;!here&gt; &lt;https://evil.example|bank&gt; @\u{200b}everyone a@heretic";
        assert_eq!(escape(text, false), wanted);
        assert_eq!(incoming("R&amp;D &lt;3 &amp;lt;"), "R&D <3 &lt;");
    }

    #[test]
    fn a_whole_channel_is_named_only_where_that_is_allowed() {
        assert_eq!(
            escape("<!channel> @Here, now", true),
            "<!channel> <!here>, now"
        );
        for hidden in [
            "<!channel>",
            "<!channel|x>",
            "<!subteam^S1>",
            "<@u1>",
            "<@U1|x>",
            "<@U0SANDBOX02",
            "@CHANNEL",
        ] {
            let escaped = escape(hidden, false);
            assert!(!escaped.contains('<') && escaped != hidden, "{escaped}");
        }
    }
}
