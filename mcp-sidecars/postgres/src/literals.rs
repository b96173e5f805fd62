//! Postgres' text form of arrays (PostgreSQL: "Array Input and Output Syntax").

use serde_json::Value;

/// Deeper arrays do not exist in Postgres.
const DEEPEST: usize = 6;

/// JSON values as an array literal, nested as they are.
///
/// # Errors
/// An object, or arrays deeper than Postgres has.
pub(crate) fn array_literal(items: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    write(items, 1, &mut text)?;
    Ok(text)
}

fn write(items: &[Value], depth: usize, out: &mut String) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("arrays have at most {DEEPEST} dimensions"));
    }
    out.push('{');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match item {
            Value::Null => out.push_str("NULL"),
            Value::Bool(_) | Value::Number(_) => out.push_str(&item.to_string()),
            Value::String(text) => quote(text, out),
            Value::Array(inner) => write(inner, depth + 1, out)?,
            Value::Object(_) => {
                return Err("an array of objects: pass it as one jsonb parameter".to_owned());
            }
        }
    }
    out.push('}');
    Ok(())
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
}

/// Reads an array literal, each element by `element` (`None` is NULL). Nothing where the text is none.
pub(crate) fn array_value(text: &str, element: &dyn Fn(Option<&str>) -> Value) -> Option<Value> {
    // Bounds that do not begin at 1 stand in front: `[0:1]={…}`.
    let text = if text.starts_with('[') {
        text.split_once('=')?.1
    } else {
        text
    };
    let mut rest = text.strip_prefix('{')?;
    let value = items(&mut rest, element, 1)?;
    rest.is_empty().then_some(value)
}

/// The items up to the closing brace, which is taken too.
fn items(rest: &mut &str, element: &dyn Fn(Option<&str>) -> Value, depth: usize) -> Option<Value> {
    let mut found = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        *rest = after;
        return Some(Value::Array(found));
    }
    loop {
        if let Some(after) = rest.strip_prefix('{') {
            *rest = after;
            found.push((depth < DEEPEST).then(|| items(rest, element, depth + 1))??);
        } else if let Some(after) = rest.strip_prefix('"') {
            *rest = after;
            found.push(element(Some(&quoted(rest)?)));
        } else {
            let end = rest.find([',', '}'])?;
            let (word, after) = rest.split_at(end);
            *rest = after;
            found.push(element((word != "NULL").then_some(word)));
        }
        let mut chars = rest.chars();
        let next = chars.next()?;
        *rest = chars.as_str();
        match next {
            ',' => {}
            '}' => return Some(Value::Array(found)),
            _ => return None,
        }
    }
}

/// Text up to the closing quote, which is taken too.
fn quoted(rest: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => text.push(chars.next()?),
            char => text.push(char),
        }
    }
    *rest = chars.as_str();
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strings(text: &str) -> Option<Value> {
        array_value(text, &|item| item.map_or(Value::Null, Value::from))
    }

    #[test]
    fn what_is_written_is_read_again() {
        for value in [
            json!([]),
            json!(["a", "", "NULL", null, "a\"b\\c", "{,}", " ", "ü\n"]),
            json!([["a", "b"], ["c", null]]),
        ] {
            let literal = array_literal(value.as_array().unwrap()).unwrap();
            assert_eq!(strings(&literal), Some(value), "{literal}");
        }
        assert_eq!(
            array_literal(&[json!(1.5), json!(true)]).unwrap(),
            "{1.5,true}"
        );
        assert!(array_literal(&[json!({})]).is_err());
    }

    #[test]
    fn bounds_are_left_out_and_nonsense_is_no_array() {
        assert_eq!(strings("[0:1]={a,b}"), Some(json!(["a", "b"])));
        for text in [
            "",
            "{",
            "{a",
            "{a}}",
            "{\"a}",
            "{{{{{{{{a}}}}}}}}",
            "a",
            "[0:1]",
        ] {
            assert_eq!(strings(text), None, "{text}");
        }
    }
}
