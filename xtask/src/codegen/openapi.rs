//! The OpenAPI 3.1 document, from the table of routes.

use std::collections::BTreeMap;

use api::ErrorCode;
use api::error::ErrorBody;
use api::query::{Parameter, ParameterKind};
use api::rights::{Entrance, Right, Who};
use api::routes::{self, COMMON_ERRORS, ROUTES, Route, RouteId};
use api::shapes::{Answer, TypeRef};
use api::tokens::TokenScope;
use api::version::VERSION_HEADER;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::schemas::{DIALECT, Definitions, FRAMES, Side};

const DESCRIPTION: &str = "Quarterdeck's API: HTTP/1.1 and JSON over the daemon's Unix socket. \
    Conventions are in docs/design/api.md.";

/// The whole document.
pub(super) fn document() -> anyhow::Result<Value> {
    let mut definitions = Definitions::new("/components/schemas");
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(method, operation(route, &mut definitions));
    }
    add::<api::resolve::Candidates>(&mut definitions);
    Ok(json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Quarterdeck",
            "version": "v1",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "servers": [
            { "url": "http://localhost", "description": "The daemon's Unix socket." },
            {
                "url": "http://{address}",
                "description": "The daemon over TCP, where `api.listen` names an address.",
                "variables": { "address": { "default": "127.0.0.1:7433" } },
            },
        ],
        "paths": paths,
        "components": {
            "schemas": definitions.finish()?,
            "parameters": { "Version": version_parameter() },
            "securitySchemes": { BEARER: bearer() },
        },
    }))
}

/// The name of the one way to show who one is.
const BEARER: &str = "token";

fn bearer() -> Value {
    json!({
        "type": "http",
        "scheme": "bearer",
        "description": "Over TCP only: a token as `qd token create` shows it once. On the user's own \
            socket the process at its other end is what counts. The roles that an operation names are \
            the scopes of which the token needs one.",
    })
}

/// What has to be shown: nothing on the user's own socket, a token of these scopes elsewhere.
fn security(right: Right) -> Value {
    let has = |scope: &&TokenScope| {
        right.is_had_by(Who { entrance: Entrance::Token(**scope), below_agent: false })
    };
    let scopes: Vec<&str> = TokenScope::ALL.iter().filter(has).map(|it| it.as_str()).collect();
    match scopes.is_empty() {
        true => json!([{}]),
        false => json!([{}, { BEARER: scopes }]),
    }
}

/// Adds a type that no route refers to by itself.
fn add<T: JsonSchema>(definitions: &mut Definitions) {
    definitions.schema(TypeRef::of::<T>(), Side::Answer);
}

fn operation(route: &Route, definitions: &mut Definitions) -> Value {
    let mut parameters: Vec<Value> = route.variable().map(path_parameter).into_iter().collect();
    parameters.extend((route.query)().iter().map(query_parameter));
    parameters.push(json!({ "$ref": "#/components/parameters/Version" }));
    let mut responses = Map::new();
    responses.insert(route.status.to_string(), success(route, definitions));
    responses.extend(failures(route, definitions));
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.path.split('/').nth(2).unwrap_or_default()],
        "parameters": parameters,
        "responses": responses,
        "x-since": route.since,
        "security": security(route.right()),
        "x-right": route.right().as_str(),
        "x-own-socket-only": route.right().scope().is_none(),
    });
    if let Some(request) = route.id.shape().request {
        let schema = definitions.schema(request, Side::Request);
        operation["requestBody"] =
            json!({ "required": true, "content": { routes::JSON: { "schema": schema } } });
    }
    operation
}

fn success(route: &Route, definitions: &mut Definitions) -> Value {
    let header = json!({ "schema": { "type": "string" }, "description": "The daemon's version." });
    let headers = json!({ VERSION_HEADER: header });
    let content = match route.id.shape().answer {
        Answer::Empty => return json!({ "description": "Done.", "headers": headers }),
        Answer::Json(answer) => {
            let schema = definitions.schema(answer, Side::Answer);
            json!({ routes::JSON: { "schema": schema } })
        }
        Answer::Frames => {
            let frames: Vec<Value> =
                FRAMES.into_iter().map(|it| definitions.schema(it, Side::Answer)).collect();
            let schema = json!({ "anyOf": frames });
            json!({
                routes::JSON_LINES: { "schema": schema },
                routes::EVENT_STREAM: { "schema": schema },
            })
        }
    };
    let description = match route.id {
        RouteId::Watch => {
            "One frame a line; as server-sent events if `Accept` asks for `text/event-stream`, \
             each with its sequence as id."
        }
        RouteId::EmitEvent => "The event is durable.",
        RouteId::Shutdown => "The daemon has begun to end.",
        RouteId::AddTarget => "The target was added.",
        RouteId::CancelAction => "It was taken back, now or earlier; nothing of it was done.",
        RouteId::CreateToken => "The token was made. This is the only time that it is shown.",
        RouteId::Health
        | RouteId::ListTargets
        | RouteId::ConnectTarget
        | RouteId::HoldTarget
        | RouteId::DisconnectTarget
        | RouteId::RemoveTarget
        | RouteId::ListPanes
        | RouteId::ListWindows
        | RouteId::ListSessions
        | RouteId::ShowRuntime
        | RouteId::ExplainRuntime
        | RouteId::Resolve
        | RouteId::ReportHook
        | RouteId::ListActions
        | RouteId::ShowAction
        | RouteId::ShowActionEvents
        | RouteId::ListAdapters
        | RouteId::EnableAdapter
        | RouteId::DisableAdapter
        | RouteId::ListApprovals
        | RouteId::ShowApproval
        | RouteId::ListTokens
        | RouteId::RevokeToken
        | RouteId::AwaitReply
        | RouteId::ShowConfig => "The answer.",
        RouteId::Attach
        | RouteId::Send
        | RouteId::ViewOutput
        | RouteId::Kill
        | RouteId::Respond
        | RouteId::AnswerApproval => "It was done, now or when the same request came before.",
    };
    json!({ "description": description, "headers": headers, "content": content })
}

/// The errors of a route, those of one status together.
fn failures(route: &Route, definitions: &mut Definitions) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in COMMON_ERRORS.iter().chain(route.errors) {
        by_status.entry(code.http_status()).or_default().push(*code);
    }
    let body = definitions.schema(TypeRef::of::<ErrorBody>(), Side::Answer);
    let responses = by_status.into_iter().map(|(status, mut codes)| {
        codes.sort_by_key(|code| code.as_str());
        let lines: Vec<String> =
            codes.iter().map(|code| format!("- `{code}`: {}", code.meaning())).collect();
        let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let response = json!({
            "description": lines.join("\n"),
            "content": { routes::JSON: { "schema": body } },
            "x-error-codes": words,
        });
        (status.to_string(), response)
    });
    responses.collect()
}

fn path_parameter(name: &str) -> Value {
    let about = match name {
        "name" => "A name.",
        _ => "An id.",
    };
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": about,
        "schema": { "type": "string" },
    })
}

fn query_parameter(parameter: &Parameter) -> Value {
    let one = match parameter.kind {
        ParameterKind::Text => json!({ "type": "string" }),
        ParameterKind::Flag => json!({ "type": "boolean" }),
        ParameterKind::Number { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        ParameterKind::Words(words) => json!({ "type": "string", "enum": words }),
        ParameterKind::SortKeys(words) => {
            let both = words.iter().flat_map(|word| [(*word).to_owned(), format!("-{word}")]);
            json!({ "type": "string", "enum": both.collect::<Vec<_>>() })
        }
    };
    let schema = if parameter.repeated { json!({ "type": "array", "items": one }) } else { one };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.about,
        "schema": schema,
    })
}

fn version_parameter() -> Value {
    json!({
        "name": VERSION_HEADER,
        "in": "header",
        "required": false,
        "description": "The client's version. Every version is served; a `qd` that is older than the daemon refuses by itself.",
        "schema": { "type": "string" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` within a value.
    fn references(value: &Value) -> Vec<&str> {
        match value {
            Value::Object(fields) => {
                let own = fields.get("$ref").and_then(Value::as_str);
                own.into_iter().chain(fields.values().flat_map(references)).collect()
            }
            Value::Array(items) => items.iter().flat_map(references).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document().unwrap();
        let found = references(&document);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn tc_053_every_error_code_that_a_route_names_has_a_response() {
        let document = document().unwrap();
        for route in ROUTES {
            let method = route.method.as_str().to_ascii_lowercase();
            let operation = &document["paths"][route.path][&method];
            for code in COMMON_ERRORS.iter().chain(route.errors) {
                let response = &operation["responses"][code.http_status().to_string()];
                let codes = response["x-error-codes"].as_array().unwrap();
                assert!(codes.contains(&json!(code.as_str())), "{}: {code}", route.operation);
            }
        }
    }

    #[test]
    fn what_a_client_sends_is_closed_and_what_it_gets_is_complete() {
        let document = document().unwrap();
        let schemas = &document["components"]["schemas"];
        for name in ["EventEnvelope", "TargetCreate", "ShutdownRequest"] {
            assert_eq!(schemas[name]["additionalProperties"], json!(false), "{name}");
        }
        for name in ["PaneItem", "WindowItem", "SessionItem", "TargetItem", "RuntimeItem"] {
            let fields = schemas[name]["properties"].as_object().unwrap();
            let required = schemas[name]["required"].as_array().unwrap();
            assert_eq!(fields.len(), required.len(), "{name}: a null is written, not left out");
        }
    }

    #[test]
    fn tc_017_items_name_their_identity_as_the_origin_does() {
        let document = document().unwrap();
        let schemas = &document["components"]["schemas"];
        for (name, fields) in [
            ("PaneIdentity", &["target", "session_name", "window_id", "pane_id"][..]),
            ("WindowIdentity", &["target", "session_name", "window_id"]),
            ("SessionIdentity", &["target", "session_name"]),
        ] {
            for field in fields {
                assert!(!schemas[name]["properties"][field].is_null(), "{name}.{field}");
            }
        }
    }
}
