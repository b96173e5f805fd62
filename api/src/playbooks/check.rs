//! Whether a playbook can be followed: every name that it uses is known, and its steps have an order.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    definition::{Compensation, Definition, Step},
    references::{self, Reference},
};
use crate::{
    agents::{Directory, Found, Unknown, tools::Tool},
    problem::FieldError,
    strict::escape,
};

/// What a step's inputs may begin with.
const ROOTS: &str = "event, request, run, organization or steps";
/// Longest inputs of one step, in bytes of JSON.
const LONGEST_INPUTS: usize = 32 * 1024;

/// What does not hold, by pointers into the playbook.
pub fn check(definition: &Definition, directory: &Directory) -> Vec<FieldError> {
    let mut check = Check {
        definition,
        directory,
        places: BTreeMap::new(),
        faults: Vec::new(),
    };
    check.names();
    check.dependencies();
    let order = layers(&definition.steps);
    match order {
        Ok(_) => {}
        Err(position) => check.fault(
            &format!("/steps/{position}/depends_on"),
            "cycle",
            "the steps wait for each other in a circle",
        ),
    }
    for (position, step) in definition.steps.iter().enumerate() {
        check.step(position, step);
    }
    check.faults
}

/// The first step that cannot be done, or undone, in a run without an event; what is optional is left out there.
pub fn in_need_of_event<'a>(definition: &'a Definition, directory: &Directory) -> Option<&'a Step> {
    let needs_event = |agent_type: &str, tool: &String| {
        let found = directory.find(agent_type, tool);
        matches!(found, Ok(Found::BuiltIn(tool)) if tool.needs_event)
    };
    let mut steps = definition.steps.iter().filter(|step| !step.optional);
    steps.find(|step| {
        let undo = step.compensate.as_ref().and_then(|undo| undo.tool.as_ref());
        let mut tools = std::iter::once(&step.tool).chain(undo);
        tools.any(|tool| needs_event(&step.agent_type, tool))
    })
}

/// The steps in groups: each group needs only those before it. The position of a step in a circle if there is one;
/// names that are no step's do not count.
pub fn layers(steps: &[Step]) -> Result<Vec<Vec<usize>>, usize> {
    let mut layers: Vec<Vec<usize>> = Vec::new();
    let mut done = vec![false; steps.len()];
    while let Some(open) = done.iter().position(|is_done| !is_done) {
        let is_done = |name: &String| {
            let place = steps.iter().position(|step| step.id == *name);
            place.is_none_or(|place| done[place])
        };
        let next: Vec<usize> = (0..steps.len())
            .filter(|position| !done[*position] && steps[*position].depends_on.iter().all(is_done))
            .collect();
        if next.is_empty() {
            return Err(open);
        }
        for position in &next {
            done[*position] = true;
        }
        layers.push(next);
    }
    Ok(layers)
}

struct Check<'a> {
    definition: &'a Definition,
    directory: &'a Directory,
    /// The first step of each id.
    places: BTreeMap<&'a str, usize>,
    faults: Vec<FieldError>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(FieldError::new(pointer, code, detail));
    }

    fn names(&mut self) {
        for (position, step) in self.definition.steps.iter().enumerate() {
            if self.places.contains_key(step.id.as_str()) {
                let pointer = format!("/steps/{position}/id");
                self.fault(&pointer, "repeated", "another step has this id");
            } else {
                self.places.insert(&step.id, position);
            }
        }
    }

    fn dependencies(&mut self) {
        for (position, step) in self.definition.steps.iter().enumerate() {
            for (index, name) in step.depends_on.iter().enumerate() {
                let pointer = format!("/steps/{position}/depends_on/{index}");
                if !self.places.contains_key(name.as_str()) {
                    self.fault(&pointer, "unknown", "there is no such step");
                } else if step.depends_on[..index].contains(name) {
                    self.fault(&pointer, "repeated", "is named twice");
                }
            }
        }
    }

    fn step(&mut self, position: usize, step: &'a Step) {
        let place = format!("/steps/{position}");
        self.inputs(&place, position, &step.inputs, false);
        match self.directory.find(&step.agent_type, &step.tool) {
            Ok(Found::BuiltIn(tool)) => self.arguments(&place, tool, &step.inputs),
            Ok(Found::Registered(_)) => {}
            Err(Unknown::Agent(detail)) => {
                self.fault(&format!("{place}/agent_type"), "unknown", detail);
            }
            Err(Unknown::Tool(detail)) => self.fault(&format!("{place}/tool"), "unknown", detail),
        }
        if let Some(compensation) = &step.compensate {
            self.compensation(&format!("{place}/compensate"), position, step, compensation);
        }
    }

    fn compensation(
        &mut self,
        place: &str,
        position: usize,
        step: &Step,
        compensation: &'a Compensation,
    ) {
        self.inputs(place, position, &compensation.inputs, true);
        if let Some(person) = &compensation.person {
            let text = Value::String(person.clone());
            self.references(&format!("{place}/person"), position, &text, true);
        }
        let Some(tool) = &compensation.tool else {
            return;
        };
        match self.directory.find(&step.agent_type, tool) {
            Ok(Found::BuiltIn(tool)) => self.arguments(place, tool, &compensation.inputs),
            Ok(Found::Registered(_)) | Err(Unknown::Agent(_)) => {}
            Err(Unknown::Tool(detail)) => self.fault(&format!("{place}/tool"), "unknown", detail),
        }
    }

    /// The arguments have names that the tool knows, and all that it needs.
    fn arguments(&mut self, place: &str, tool: &Tool, inputs: &Map<String, Value>) {
        let (known, required) = tool.arguments();
        for name in inputs.keys().filter(|name| !known.contains(&name.as_str())) {
            let pointer = format!("{place}/inputs/{}", escape(name));
            let detail = format!("{} takes no such argument", tool.name);
            self.fault(&pointer, "unknown_field", detail);
        }
        for name in required.iter().filter(|name| !inputs.contains_key(**name)) {
            let pointer = format!("{place}/inputs/{name}");
            self.fault(&pointer, "required", format!("{} needs it", tool.name));
        }
    }

    fn inputs(
        &mut self,
        place: &str,
        position: usize,
        inputs: &Map<String, Value>,
        is_undoing: bool,
    ) {
        let inputs = Value::Object(inputs.clone());
        let pointer = format!("{place}/inputs");
        if inputs.to_string().len() > LONGEST_INPUTS {
            let detail = format!("must be at most {LONGEST_INPUTS} bytes");
            self.fault(&pointer, "length", detail);
        }
        self.references(&pointer, position, &inputs, is_undoing);
    }

    fn references(&mut self, pointer: &str, position: usize, value: &Value, is_undoing: bool) {
        let mut faults = Vec::new();
        references::visit(value, pointer, &mut |pointer, found| {
            let wrong = found.map_or_else(Some, |reference| {
                self.wrong_with(position, &reference, is_undoing)
            });
            if let Some(detail) = wrong {
                faults.push(FieldError::new(pointer, "reference", detail));
            }
        });
        self.faults.extend(faults);
    }

    fn wrong_with(
        &self,
        position: usize,
        reference: &Reference,
        is_undoing: bool,
    ) -> Option<String> {
        match reference.path.first().map(String::as_str) {
            Some("event" | "request" | "run" | "organization") if reference.path.len() > 1 => None,
            Some("output" | "input") if is_undoing => None,
            Some("steps") => {
                let name = reference.path.get(1).map_or("", String::as_str);
                let part = reference.path.get(2).map(String::as_str);
                if !self.comes_before(name, position) {
                    let detail = format!("`{name}` is no step that this one depends on");
                    return Some(detail);
                }
                let is_part = matches!(part, Some("output" | "input"));
                (!is_part).then(|| format!("name `steps.{name}.output` or `.input`"))
            }
            _ if is_undoing => Some(format!("a reference begins with {ROOTS}, output or input")),
            _ => Some(format!("a reference begins with {ROOTS}, and goes on")),
        }
    }

    /// Whether the step of that name is among those that come before, however far.
    fn comes_before(&self, name: &str, position: usize) -> bool {
        let steps = &self.definition.steps;
        let mut seen = vec![false; steps.len()];
        let mut open = vec![position];
        while let Some(current) = open.pop() {
            for before in &steps[current].depends_on {
                let Some(place) = self.places.get(before.as_str()) else {
                    continue;
                };
                if before == name {
                    return true;
                }
                if !std::mem::replace(&mut seen[*place], true) {
                    open.push(*place);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::strict;

    fn faults(steps: &Value) -> Vec<(String, String)> {
        let playbook = json!({ "name": "p", "title": "P", "steps": steps });
        let definition: Definition = strict::from_value(playbook).unwrap();
        let faults = check(&definition, &Directory::default());
        let mut found: Vec<_> = faults
            .into_iter()
            .map(|fault| (fault.pointer.unwrap(), fault.code.into_owned()))
            .collect();
        found.sort();
        found
    }

    fn confirm(id: &str, what: &str, depends_on: &[&str]) -> Value {
        json!({
            "id": id, "agent_type": "people", "tool": "people.confirm", "description": "x", "inputs": { "what": what },
            "depends_on": depends_on,
        })
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        let found = faults(&json!([
            confirm("a", "${steps.b.output.confirmed}", &["c", "x"]),
            confirm("b", "${nothing.at}", &["a", "a"]),
            confirm("b", "${steps.a.status}", &["b"]),
            { "id": "c", "agent_type": "people", "tool": "slack.post_message", "description": "x", "depends_on": ["b"] },
            { "id": "d", "agent_type": "nobody", "tool": "t", "description": "x" },
            { "id": "e", "agent_type": "messages", "tool": "slack.post_message", "description": "x",
              "inputs": { "channel": "#a", "txt": "${event.title" },
              "compensate": { "tool": "slack.delete_message", "inputs": { "ts": "${output.ts} ${steps.a.output}" } } },
        ]));
        let expected = [
            ("#/steps/0/depends_on", "cycle"),
            ("#/steps/0/depends_on/1", "unknown"),
            ("#/steps/1/depends_on/1", "repeated"),
            ("#/steps/1/inputs/what", "reference"),
            ("#/steps/2/id", "repeated"),
            ("#/steps/2/inputs/what", "reference"),
            ("#/steps/3/tool", "unknown"),
            ("#/steps/4/agent_type", "unknown"),
            ("#/steps/5/compensate/inputs/channel", "required"),
            ("#/steps/5/compensate/inputs/ts", "reference"),
            ("#/steps/5/inputs/text", "required"),
            ("#/steps/5/inputs/txt", "reference"),
            ("#/steps/5/inputs/txt", "unknown_field"),
        ];
        let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_about_an_event_is_not_done_without_one() {
        let drop = json!({ "tool": "tasks.drop_open" });
        let steps = json!([
            confirm("a", "x", &[]),
            { "id": "b", "agent_type": "tasks", "tool": "tasks.create_checklist", "description": "x", "optional": true,
              "compensate": drop },
            { "id": "c", "agent_type": "tasks", "tool": "people.confirm", "description": "x", "inputs": { "what": "x" },
              "compensate": drop },
        ]);
        let needs = |steps: &Value| {
            assert_eq!(faults(steps), []);
            let playbook = json!({ "name": "p", "title": "P", "steps": steps });
            let definition: Definition = strict::from_value(playbook).unwrap();
            in_need_of_event(&definition, &Directory::default()).map(|step| step.id.clone())
        };
        assert_eq!(needs(&steps).as_deref(), Some("c"));
        let mut without = steps;
        without.as_array_mut().unwrap().pop();
        assert_eq!(needs(&without), None);
    }

    #[test]
    fn steps_are_grouped_by_what_they_wait_for() {
        let steps = json!([
            confirm("a", "x", &[]),
            confirm("b", "x", &["a"]),
            confirm("c", "x", &[]),
            confirm("d", "${steps.a.output.confirmed}", &["b", "c"]),
        ]);
        assert_eq!(faults(&steps), []);
        let playbook = json!({ "name": "p", "title": "P", "steps": steps });
        let definition: Definition = strict::from_value(playbook).unwrap();
        let expected = vec![vec![0, 2], vec![1], vec![3]];
        assert_eq!(layers(&definition.steps), Ok(expected));
    }
}
