//! The OpenAPI document: what the handlers say, and what holds for all of them.

use std::collections::HashMap;

use axum::http::Method;
use utoipa::{
    OpenApi,
    openapi::{
        self, Content, HeaderBuilder, Ref, RefOr, ResponseBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::{http, problem::ProblemBody, state::App};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Event Planner API",
        description = "From a brief to a booked event. Errors are RFC 9457 problem details; POSTs may carry an \
            `Idempotency-Key`; changes need `If-Match`; lists are paged by `limit` and `cursor`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    security(("api_key" = [])),
    tags(
        (name = "plans", description = "A brief becomes ranked, priced options."),
        (name = "bookings", description = "Claims on venues and caterers that never collide."),
        (name = "events", description = "What is planned."),
        (name = "tasks", description = "Things to do for events, and checklists."),
        (name = "calendar", description = "Events in the organization's calendar."),
        (name = "documents", description = "Files of events, in Drive."),
        (name = "messages", description = "What is said about events, to whom, and how it fared."),
        (name = "reminders", description = "Messages that go out before an event starts."),
        (name = "venues", description = "Places, their capacity and prices."),
        (name = "caterers", description = "Kitchens, their cuisines and prices."),
        (name = "organizations", description = "The tenant."),
        (name = "members", description = "The people in it."),
        (name = "api_keys", description = "Their credentials."),
        (name = "orchestrations", description = "Durable runs of several steps, watched and undone."),
        (name = "playbooks", description = "What such a run does."),
        (name = "agents", description = "Who does it."),
        (name = "audit", description = "Who did what."),
        (name = "integrations", description = "The organization's own accounts at providers."),
        (name = "changes", description = "What changed since one last asked."),
        (name = "webhooks", description = "Who is called when something changes, and what became of the calls."),
    )
)]
struct Document;

/// An empty router with the general part of the document.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
}

/// The whole document, as committed in `api/openapi.json`.
pub fn document() -> openapi::OpenApi {
    let mut document = http::routes().into_openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    if let Some(components) = &mut document.components {
        let bearer = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, `epk_…`."))
            .build();
        components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
        // What an answer adds to it must not break the schema of what comes in.
        if let Some(RefOr::T(Schema::Object(playbook))) = components.schemas.get_mut("Definition") {
            playbook.additional_properties = None;
        }
    }
    for item in document.paths.paths.values_mut() {
        let methods = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for (method, operation) in ["get", "post", "put", "patch", "delete"]
            .into_iter()
            .zip(methods)
        {
            if let Some(operation) = operation {
                describe(method, operation);
            }
        }
    }
    add_patches(&mut document);
    document
}

/// The query parameters of every operation.
pub struct QueryParameters(HashMap<(Method, String), Vec<String>>);

impl QueryParameters {
    pub fn of(document: &openapi::OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                let parameters = operation
                    .parameters
                    .iter()
                    .flatten()
                    .filter_map(|parameter| match parameter {
                        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
                            Some(parameter.name.clone())
                        }
                        _ => None,
                    });
                known.insert((method, path.clone()), parameters.collect());
            }
        }
        Self(known)
    }

    /// Whether the operation has this parameter; `HEAD` is `GET`.
    pub fn contains(&self, method: &Method, route: &str, name: &str) -> bool {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let names = self.0.get(&(method.clone(), route.to_owned()));
        names.is_none_or(|names| names.iter().any(|known| known == name))
    }
}

/// Adds what every operation has in common, so that no handler repeats it.
fn describe(method: &str, operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let parameters = operation.parameters.get_or_insert_default();
    parameters.extend(common_parameters(method, &id).into_iter().map(RefOr::T));
    let has_if_match = parameters.iter().any(is_if_match);
    describe_headers(method, &id, operation);
    let mut statuses = vec![400, 401, 403, 404, 406, 422, 429, 500, 503, 504];
    match method {
        "post" if has_if_match => statuses.extend([409, 412, 428]),
        "post" => statuses.push(409),
        "patch" | "put" | "delete" => statuses.extend([409, 412, 428]),
        _ => {}
    }
    if operation.request_body.is_some() {
        statuses.extend([413, 415]);
    }
    let needs_setup = |tag: &String| {
        [
            "agents",
            "insights",
            "calendar",
            "documents",
            "integrations",
            "messages",
            "payments",
            "webhooks",
        ]
        .contains(&tag.as_str())
    };
    // A document that has no file yet.
    if id == "get_document_content" {
        statuses.push(409);
    }
    // A team of Linear needs its sidecar.
    if id == "update_organization" || operation.tags.iter().flatten().any(needs_setup) {
        statuses.push(501);
    }
    if operation.tags.iter().flatten().any(|tag| tag == "changes") {
        statuses.push(410);
    }
    let responses = &mut operation.responses.responses;
    for status in statuses {
        responses
            .entry(status.to_string())
            .or_insert_with(|| problem(status));
    }
    if method == "get" && !id.starts_with("list_") {
        let unchanged = ResponseBuilder::new().description("What one has is current.");
        responses.insert("304".to_owned(), RefOr::T(unchanged.build()));
    }
}

fn is_if_match(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "If-Match")
}

/// The parameters that the extractors of every such operation take.
fn common_parameters(method: &str, id: &str) -> Vec<Parameter> {
    let query = |name, text, schema| parameter(name, ParameterIn::Query, text, schema);
    let header = |name, text, schema| parameter(name, ParameterIn::Header, text, schema);
    match method {
        "get" if id.starts_with("list_") => vec![
            query("limit", "Items on a page.", integer(1, 200, 50)),
            query("cursor", "`next_cursor` of the page before.", string(2_000)),
        ],
        "get" => {
            let text = "The ETag that one has; 304 when it is still current.";
            vec![header("If-None-Match", text, any_string())]
        }
        "post" => {
            let text = "A key for this intention; a retry with the same key has one effect and the same answer.";
            vec![header("Idempotency-Key", text, string(255))]
        }
        _ => {
            let tag = ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .pattern(Some(r#"^(\*|"[!-~]{1,64}")$"#));
            let mut if_match = header(
                "If-Match",
                "The ETag that was read, or `*`.",
                tag.build().into(),
            );
            if_match.required = utoipa::openapi::Required::True;
            vec![if_match]
        }
    }
}

/// The headers of successful answers.
fn describe_headers(method: &str, id: &str, operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if !status.starts_with('2') {
            continue;
        }
        let mut add = |name: &str, text: &str| {
            let header = HeaderBuilder::new()
                .description(Some(text))
                .schema(Some(string(4_000)));
            response
                .headers
                .insert(name.to_owned(), RefOr::T(header.build()));
        };
        add("X-Request-Id", "The id of the request, as in our log.");
        add(
            "RateLimit-Policy",
            "The quota (draft-ietf-httpapi-ratelimit-headers-11).",
        );
        add("RateLimit", "What is left of it.");
        if id.starts_with("list_") {
            add("Link", "The next page, `rel=\"next\"`, if there is one.");
        } else if method != "delete" {
            add(
                "ETag",
                "The version, for `If-None-Match` and `If-Match`, where it has one.",
            );
        }
        if method == "post" {
            add(
                "Location",
                "Where the new thing is, if it can be read by itself.",
            );
            add(
                "Idempotent-Replayed",
                "`true` when this is the stored answer to an earlier request.",
            );
        }
    }
}

fn problem(status: u16) -> RefOr<openapi::Response> {
    let status = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut response = ResponseBuilder::new()
        .description(status.canonical_reason().unwrap_or("Error"))
        .content("application/problem+json", content);
    if matches!(status.as_u16(), 429 | 503) {
        let seconds = HeaderBuilder::new()
            .description(Some("Seconds to wait."))
            .schema(Some(integer(0, 86_400, 1)));
        response = response.header("Retry-After", seconds.build());
    }
    RefOr::T(response.build())
}

fn parameter(name: &str, place: ParameterIn, text: &str, schema: Schema) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(utoipa::openapi::Required::False)
        .description(Some(text))
        .schema(Some(schema))
        .build()
}

fn integer(minimum: i64, maximum: i64, default: i64) -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Integer))
        .minimum(Some(minimum))
        .maximum(Some(maximum))
        .default(Some(default.into()))
        .build()
        .into()
}

fn string(max_length: usize) -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(Some(1))
        .max_length(Some(max_length))
        .build()
        .into()
}

fn any_string() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .build()
        .into()
}

/// What has a default can be cleared.
fn allow_null(property: &mut RefOr<Schema>) {
    let kind = match property {
        RefOr::T(Schema::Object(object)) => &mut object.schema_type,
        RefOr::T(Schema::Array(array)) => &mut array.schema_type,
        RefOr::Ref(reference) => {
            let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
            let either = OneOfBuilder::new()
                .item(null)
                .item(reference.clone())
                .build();
            *property = RefOr::T(Schema::OneOf(either));
            return;
        }
        RefOr::T(_) => return,
    };
    if let SchemaType::Type(single) = kind {
        *kind = SchemaType::Array(vec![single.clone(), Type::Null]);
    }
}

/// A merge patch has the fields of the new thing, each optional: `VenuePatch` from `NewVenue`.
fn add_patches(document: &mut openapi::OpenApi) {
    let Some(components) = &mut document.components else {
        return;
    };
    for item in document.paths.paths.values_mut() {
        let Some(body) = item
            .patch
            .as_mut()
            .and_then(|operation| operation.request_body.as_mut())
        else {
            continue;
        };
        let RefOr::T(body) = body else { continue };
        let Some(RefOr::T(content)) = body.content.get_mut("application/merge-patch+json") else {
            continue;
        };
        let Some(RefOr::Ref(reference)) = &content.schema else {
            continue;
        };
        let Some(name) = reference
            .ref_location
            .rsplit("/New")
            .next()
            .map(str::to_owned)
        else {
            continue;
        };
        let Some(RefOr::T(Schema::Object(new))) = components.schemas.get(&format!("New{name}"))
        else {
            continue;
        };
        let mut patch = new.clone();
        for (name, property) in &mut patch.properties {
            if !new.required.contains(name) {
                allow_null(property);
            }
        }
        patch.required.clear();
        patch.example = None;
        patch.description =
            Some("A merge patch (RFC 7396): fields left out stay, null clears.".to_owned());
        components
            .schemas
            .insert(format!("{name}Patch"), RefOr::T(Schema::Object(patch)));
        content.schema = Some(RefOr::Ref(Ref::from_schema_name(format!("{name}Patch"))));
    }
}
