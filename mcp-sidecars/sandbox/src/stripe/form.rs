//! Form fields with brackets, as Stripe takes them: `line_items[0][price_data][currency]=usd`, `expand[]=customer`.

use serde_json::{Map, Value};

use super::{error::ApiError, ledger::Params};

const MOST_FIELDS: usize = 1000;
const DEEPEST: usize = 6;

/// The tree of a form. Lists are objects with the keys `0`, `1`…, until a parameter's kind makes lists of them.
pub(super) fn tree(encoded: &[u8]) -> Result<Params, ApiError> {
    let mut root = Map::new();
    for (count, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
        if count >= MOST_FIELDS {
            return Err(ApiError::invalid("Too many parameters."));
        }
        let path = path(&name)?;
        insert(&mut root, &path, value.into_owned())
            .map_err(|()| ApiError::invalid(format!("Invalid {name}")).param(&name))?;
    }
    Ok(root)
}

/// `a[b][]` as `a`, `b` and nothing.
fn path(name: &str) -> Result<Vec<&str>, ApiError> {
    let malformed = || ApiError::invalid(format!("Invalid parameter name: {name}"));
    let (first, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    let mut path = vec![first];
    let mut rest = rest;
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').ok_or_else(malformed)?;
        let (part, after) = inner.split_once(']').ok_or_else(malformed)?;
        path.push(part);
        rest = after;
    }
    if first.is_empty() || path.len() > DEEPEST {
        return Err(malformed());
    }
    Ok(path)
}

fn insert(node: &mut Params, path: &[&str], value: String) -> Result<(), ()> {
    let (first, rest) = path.split_first().ok_or(())?;
    let key = if first.is_empty() {
        node.len().to_string()
    } else {
        (*first).to_owned()
    };
    if rest.is_empty() {
        let taken = node.insert(key, Value::String(value));
        return if taken.is_none() { Ok(()) } else { Err(()) };
    }
    let child = node.entry(key).or_insert_with(|| Value::Object(Map::new()));
    insert(child.as_object_mut().ok_or(())?, rest, value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn brackets_make_a_tree_and_nonsense_is_refused() {
        let tree_of = |form: &str| tree(form.as_bytes()).map(Value::Object).ok();
        assert_eq!(
            tree_of("a=1&b[c][0][d]=x%26y&e[]=p&e[]=q"),
            Some(
                json!({ "a": "1", "b": { "c": { "0": { "d": "x&y" } } }, "e": { "0": "p", "1": "q" } })
            )
        );
        for bad in [
            "a=1&a=2",
            "a=1&a[b]=2",
            "a[b=1",
            "[a]=1",
            "a[b]c=1",
            "a[b][c][d][e][f][g]=1",
        ] {
            assert_eq!(tree_of(bad), None, "{bad}");
        }
    }
}
