//! What one account keeps in one mode, and the work of one request on it.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{API_VERSION, error::ApiError, idempotency::Record};

pub(super) type Params = Map<String, Value>;
pub(super) type Answer = Result<Value, ApiError>;

/// The objects of one account, live or test: the two never see each other.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    pub(super) livemode: bool,
    /// By id. Ids grow with time, so within one kind this is the order of creation.
    objects: BTreeMap<String, Value>,
    /// The lines of sessions, links and invoices, by their owner's id.
    lines: BTreeMap<String, Vec<Value>>,
    pub(super) answered: BTreeMap<String, Record>,
}

impl Ledger {
    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.objects.get(id)
    }

    pub(super) fn lines(&self, owner: &str) -> &[Value] {
        self.lines.get(owner).map_or(&[], Vec::as_slice)
    }

    /// All of that kind, oldest first.
    pub(super) fn of<'a>(&'a self, object: &'a str) -> impl DoubleEndedIterator<Item = &'a Value> {
        self.objects
            .values()
            .filter(move |value| text(value, "object") == object)
    }

    /// Those whose id begins so, oldest first; others are not looked at.
    pub(super) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Value> {
        let begin = prefix.to_owned();
        let named = self.objects.range(begin..);
        named
            .take_while(move |(id, _)| id.starts_with(prefix))
            .map(|(_, value)| value)
    }

    /// What is done outside a request: a delivery that arrived.
    pub(super) fn edit(&mut self, id: &str, change: impl FnOnce(&mut Value)) {
        if let Some(value) = self.objects.get_mut(id) {
            change(value);
        }
    }
}

/// One request's work: what it changes is seen by itself, and by others when it is committed.
pub(super) struct Work<'a> {
    ledger: &'a mut Ledger,
    count: &'a mut u64,
    micros: i64,
    pub(super) base_url: &'a str,
    /// The id and the idempotency key of the request, for its events.
    pub(super) request: Value,
    changed: BTreeMap<String, Value>,
    changed_lines: BTreeMap<String, Vec<Value>>,
    events: Vec<String>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        ledger: &'a mut Ledger,
        count: &'a mut u64,
        micros: i64,
        base_url: &'a str,
    ) -> Self {
        Self {
            ledger,
            count,
            micros,
            base_url,
            request: json!({ "id": null, "idempotency_key": null }),
            changed: BTreeMap::new(),
            changed_lines: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.micros / 1_000_000
    }

    pub(super) fn livemode(&self) -> bool {
        self.ledger.livemode
    }

    /// A new id; ids of one kind sort by age, and differ also from those before a reset.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        *self.count += 1;
        format!("{prefix}{:014x}{:04x}", self.micros, *self.count % 0x1_0000)
    }

    /// An object that a parameter names.
    pub(super) fn named(&self, object: &str, id: &str, param: &str) -> Answer {
        self.get(object, id)
            .ok_or_else(|| ApiError::missing(object, id, param, StatusCode::BAD_REQUEST))
    }

    /// The object of the path.
    pub(super) fn find(&self, object: &str, id: &str) -> Answer {
        let param = match object {
            "payment_intent" => "intent",
            "price" => "price",
            _ => "id",
        };
        self.get(object, id)
            .ok_or_else(|| ApiError::missing(object, id, param, StatusCode::NOT_FOUND))
    }

    pub(super) fn get(&self, object: &str, id: &str) -> Option<Value> {
        let found = self.any(id)?;
        (text(&found, "object") == object).then_some(found)
    }

    pub(super) fn any(&self, id: &str) -> Option<Value> {
        self.changed
            .get(id)
            .or_else(|| self.ledger.get(id))
            .cloned()
    }

    pub(super) fn put(&mut self, value: &Value) {
        self.changed
            .insert(text(value, "id").to_owned(), value.clone());
    }

    pub(super) fn lines(&self, owner: &str) -> Vec<Value> {
        let lines = self.changed_lines.get(owner).map(Vec::as_slice);
        lines.unwrap_or_else(|| self.ledger.lines(owner)).to_vec()
    }

    pub(super) fn put_lines(&mut self, owner: &str, lines: Vec<Value>) {
        self.changed_lines.insert(owner.to_owned(), lines);
    }

    /// All of that kind, newest first.
    pub(super) fn of(&self, object: &str) -> Vec<Value> {
        let kept = self
            .ledger
            .of(object)
            .filter(|value| !self.changed.contains_key(text(value, "id")));
        let changed = self
            .changed
            .values()
            .filter(|value| text(value, "object") == object);
        let mut all: Vec<Value> = kept.chain(changed).cloned().collect();
        all.sort_by(|a, b| text(b, "id").cmp(text(a, "id")));
        all
    }

    /// As the ledger has them, before this work: those whose id begins so.
    pub(super) fn before(&self, prefix: &str) -> Vec<Value> {
        self.ledger.named(prefix).cloned().collect()
    }

    /// Writes down that something happened; it is told to the webhooks after the commit.
    pub(super) fn emit(&mut self, kind: &str, object: &Value) {
        self.emit_change(kind, object, None);
    }

    /// The same, with the members that changed as they were before.
    pub(super) fn emit_change(&mut self, kind: &str, object: &Value, before: Option<Value>) {
        let id = self.id("evt_");
        let mut data = json!({ "object": object });
        if let Some(before) = before {
            data["previous_attributes"] = before;
        }
        let event = json!({
            "id": id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "data": data,
            "livemode": self.livemode(),
            "pending_webhooks": 0,
            "request": self.request,
            "type": kind,
        });
        self.put(&event);
        self.events.push(id);
    }

    /// Makes the changes those of the ledger; gives the ids of the new events.
    pub(super) fn commit(self) -> Vec<String> {
        self.ledger.objects.extend(self.changed);
        self.ledger.lines.extend(self.changed_lines);
        self.events
    }
}

/// A member that is a text; empty if it is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A member that is a whole number; 0 if it is none.
pub(super) fn int(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

/// A parameter that is a text.
pub(super) fn given<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params.get(name).and_then(Value::as_str)
}

/// A parameter that is a whole number.
pub(super) fn given_int(params: &Params, name: &str) -> Option<i64> {
    params.get(name).and_then(Value::as_i64)
}

/// The parameter itself, `null` without it.
pub(super) fn or_null(params: &Params, name: &str) -> Value {
    params.get(name).cloned().unwrap_or(Value::Null)
}

/// The metadata among the parameters, without those that are empty.
pub(super) fn metadata(params: &Params) -> Value {
    let mut metadata = json!({});
    merge_metadata(&mut metadata, params);
    metadata
}

/// Adds and replaces; an empty value removes one, an empty parameter all.
pub(super) fn merge_metadata(metadata: &mut Value, params: &Params) {
    match params.get("metadata") {
        Some(Value::Object(given)) => {
            let Some(metadata) = metadata.as_object_mut() else {
                return;
            };
            metadata.extend(given.clone());
            metadata.retain(|_, value| value.as_str() != Some(""));
        }
        Some(_) => *metadata = json!({}),
        None => {}
    }
}

/// Sets the members that parameters of the same name give; returns those that changed, as they were.
pub(super) fn update(object: &mut Value, params: &Params) -> Value {
    let mut before = Map::new();
    let mut wanted = params.clone();
    if wanted.remove("metadata").is_some() {
        let mut metadata = object["metadata"].clone();
        merge_metadata(&mut metadata, params);
        wanted.insert("metadata".to_owned(), metadata);
    }
    for (name, value) in wanted {
        if object[&name] != value {
            before.insert(name.clone(), object[&name].clone());
            object[&name] = value;
        }
    }
    Value::Object(before)
}
