//! Lists in pages, the same way in every sidecar.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DEFAULT_LIMIT: u32 = 20;
const LARGEST_LIMIT: u32 = 100;

/// One page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins: pass it on as `cursor`. Without it this was the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How many items a page has, from 1 to 100; a larger wish is cut, so that an assistant still gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "u32")]
#[schemars(extend("minimum" = 1, "maximum" = 100))]
pub struct Limit(u32);

impl Limit {
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl From<u32> for Limit {
    fn from(wished: u32) -> Self {
        Self(wished.clamp(1, LARGEST_LIMIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_stays_within_its_bounds_and_the_last_page_has_no_cursor() {
        let read = |text| serde_json::from_str::<Limit>(text).map(Limit::get).ok();
        assert_eq!(
            (read("0"), read("7"), read("5000")),
            (Some(1), Some(7), Some(100))
        );
        assert_eq!((read("-1"), read("\"7\"")), (None, None));
        let schema = schemars::schema_for!(Limit).to_value();
        assert_eq!(
            (&schema["type"], &schema["maximum"]),
            (&"integer".into(), &100.into())
        );
        let page = Page {
            items: vec![1],
            next_cursor: None,
        };
        assert_eq!(
            serde_json::to_string(&page).ok().as_deref(),
            Some(r#"{"items":[1]}"#)
        );
    }
}
