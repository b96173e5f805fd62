//! What Slack makes of a message's text and blocks before it keeps them.

use serde_json::{Value, json};

use super::{arguments::Arguments, call::Refusal};

/// Longer text is cut off.
const LONGEST: usize = 40_000;
const LONGEST_UPDATE: usize = 4_000;
const MOST_BLOCKS: usize = 50;
const LARGEST_METADATA: usize = 16_000;
const BLOCKS: [&str; 13] = [
    "actions",
    "alert",
    "context",
    "divider",
    "file",
    "header",
    "image",
    "input",
    "markdown",
    "rich_text",
    "section",
    "table",
    "video",
];

/// The body of a message to be.
pub(super) struct Draft {
    pub text: String,
    pub blocks: Option<Value>,
    pub metadata: Option<Value>,
}

impl Draft {
    pub fn read(arguments: &Arguments) -> Result<Self, Refusal> {
        let blocks = blocks(arguments)?;
        let metadata = metadata(arguments)?;
        let text = arguments.text("text").unwrap_or_default();
        if text.trim().is_empty() && blocks.is_none() {
            return Err(Refusal::new("no_text"));
        }
        let text = text.chars().take(LONGEST).collect::<String>();
        let links_names = arguments.flag("link_names") == Some(true);
        let is_full = arguments.text("parse").as_deref() == Some("full");
        Ok(Self {
            text: kept(&text, links_names || is_full),
            blocks,
            metadata,
        })
    }

    pub fn read_update(arguments: &Arguments) -> Result<Self, Refusal> {
        let length = arguments
            .text("text")
            .map_or(0, |text| text.chars().count());
        if length > LONGEST_UPDATE {
            return Err(Refusal::new("msg_too_long"));
        }
        Self::read(arguments)
    }
}

/// Bare addresses become links, stray angle brackets and ampersands are escaped, and names are linked if so wished.
fn kept(text: &str, links_names: bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let markup = rest
            .strip_prefix('<')
            .and_then(|inner| inner.split_once('>'))
            .filter(|(inner, _)| {
                inner.starts_with(['@', '#', '!'])
                    || inner.starts_with("http")
                    || inner.starts_with("mailto:")
            });
        if let Some((inner, after)) = markup {
            kept.extend(["<", inner, ">"]);
            rest = after;
            continue;
        }
        if rest.starts_with("http://") || rest.starts_with("https://") {
            let end = rest
                .find([' ', '\n', '<', '>', '|', ')'])
                .unwrap_or(rest.len());
            kept.extend(["<", &rest[..end], ">"]);
            rest = &rest[end..];
            continue;
        }
        let is_entity = ["&amp;", "&lt;", "&gt;"]
            .iter()
            .any(|entity| rest.starts_with(entity));
        match char {
            '&' if !is_entity => kept.push_str("&amp;"),
            '<' => kept.push_str("&lt;"),
            '>' => kept.push_str("&gt;"),
            other => kept.push(other),
        }
        rest = &rest[char.len_utf8()..];
    }
    if links_names {
        for name in ["channel", "here", "everyone"] {
            kept = kept.replace(&format!("@{name}"), &format!("<!{name}>"));
        }
    }
    kept
}

fn blocks(arguments: &Arguments) -> Result<Option<Value>, Refusal> {
    let Some(blocks) = arguments.json("blocks") else {
        return Ok(None);
    };
    let blocks = blocks.map_err(|_| Refusal::new("invalid_blocks_format"))?;
    let Value::Array(list) = &blocks else {
        return Err(Refusal::new("invalid_blocks_format"));
    };
    let mut faults = Vec::new();
    if list.len() > MOST_BLOCKS {
        faults.push(format!(
            "[ERROR] no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]"
        ));
    }
    for (index, block) in list.iter().enumerate() {
        faults.extend(
            block_fault(block)
                .map(|(fault, at)| format!("[ERROR] {fault} [json-pointer:/blocks/{index}{at}]")),
        );
    }
    if faults.is_empty() {
        return Ok((!list.is_empty()).then_some(blocks));
    }
    Err(Refusal::new("invalid_blocks").with("response_metadata", json!({ "messages": faults })))
}

/// What does not hold in a block, and where.
fn block_fault(block: &Value) -> Option<(String, &'static str)> {
    let Some(kind) = block["type"].as_str() else {
        return Some(("missing required field: type".to_owned(), ""));
    };
    if !BLOCKS.contains(&kind) {
        return Some((format!("unsupported type: {kind}"), "/type"));
    }
    match kind {
        "section" if block["fields"].is_array() && block["text"].is_null() => None,
        "section" => text_fault(&block["text"], 3_000, &["mrkdwn", "plain_text"]),
        "header" => text_fault(&block["text"], 150, &["plain_text"]),
        "context" | "actions" | "rich_text" if !block["elements"].is_array() => {
            Some(("missing required field: elements".to_owned(), ""))
        }
        _ => None,
    }
}

fn text_fault(text: &Value, longest: usize, kinds: &[&str]) -> Option<(String, &'static str)> {
    let kind = text["type"].as_str().unwrap_or_default();
    let Some(words) = text["text"].as_str() else {
        return Some(("missing required field: text".to_owned(), ""));
    };
    if !kinds.contains(&kind) {
        return Some((format!("unsupported type: {kind}"), "/text/type"));
    }
    if words.is_empty() {
        return Some(("must be more than 0 characters".to_owned(), "/text/text"));
    }
    let is_long = words.chars().count() > longest;
    is_long.then(|| {
        (
            format!("must be less than {} characters", longest + 1),
            "/text/text",
        )
    })
}

fn metadata(arguments: &Arguments) -> Result<Option<Value>, Refusal> {
    let Some(metadata) = arguments.json("metadata") else {
        return Ok(None);
    };
    let metadata = metadata.map_err(|_| Refusal::new("invalid_metadata_format"))?;
    if metadata.to_string().len() > LARGEST_METADATA {
        return Err(Refusal::new("metadata_too_large"));
    }
    let is_named = metadata["event_type"]
        .as_str()
        .is_some_and(|name| !name.is_empty());
    if !is_named || !metadata["event_payload"].is_object() {
        return Err(Refusal::new("invalid_metadata_schema"));
    }
    Ok(Some(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_links_and_stray_markup_is_escaped() {
        let text = "a & b <3 https://x.example/?a=1 <@U1> <!here> &lt;x&gt; @here";
        let wanted = "a &amp; b &lt;3 <https://x.example/?a=1> <@U1> <!here> &lt;x&gt; @here";
        assert_eq!(kept(text, false), wanted);
        assert_eq!(kept("@here now", true), "<!here> now");
    }
}
