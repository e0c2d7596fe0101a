//! Google's `generateContent` and `streamGenerateContent`.

use serde_json::{Value, json};

use super::asked::{Asked, Tool, Turn, list};
use super::tools::{Call, Input, Reply};
use super::wire::{Part, Parts, TOKENS_IN, TOKENS_OUT, failure_text, words};

/// The model and whether to stream stand in the path.
pub(super) fn read(body: &Value, model: &str, streaming: bool) -> Asked {
    let mut turns = Vec::new();
    for content in list(&body["contents"]) {
        for part in list(&content["parts"]) {
            if let Some(given) = part.get("functionResponse") {
                turns.push(Turn::Result(given["response"].to_string()));
            } else if let (Some(text), false) = (part["text"].as_str(), content["role"] == "model")
            {
                turns.push(Turn::User(text.to_owned()));
            } else {
                turns.push(Turn::Model);
            }
        }
    }
    let declared = list(&body["tools"]).iter().flat_map(|it| list(&it["functionDeclarations"]));
    let tool = |it: &Value| {
        let schema = it.get("parametersJsonSchema").unwrap_or(&it["parameters"]);
        Tool::new(&it["name"], schema)
    };
    let config = &body["generationConfig"];
    let schema = config.get("responseJsonSchema").or_else(|| config.get("responseSchema"));
    Asked {
        model: model.to_owned(),
        streaming,
        turns,
        tools: declared.map(tool).collect(),
        schema: schema.cloned(),
    }
}

fn called(call: &Call, id: &str) -> Value {
    let arguments = match &call.input {
        Input::Object(object) => object.clone(),
        Input::Free(text) => json!({ "input": text }),
    };
    let function = json!({ "id": format!("fc_{id}"), "name": call.name, "args": arguments });
    json!({ "functionCall": function, "thoughtSignature": "c2NyaXB0" })
}

fn answer(parts: &Value, finished: bool, model: &str, id: &str) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if finished {
        candidate["finishReason"] = json!("STOP");
    }
    json!({
        "candidates": [candidate], "modelVersion": model, "responseId": id,
        "usageMetadata": {
            "promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT,
            "totalTokenCount": TOKENS_IN + TOKENS_OUT,
        },
    })
}

pub(super) fn whole(reply: &Reply, model: &str, id: &str) -> Value {
    let mut parts = vec![json!({ "text": reply.text })];
    parts.extend(reply.call.as_ref().map(|call| called(call, id)));
    answer(&Value::Array(parts), true, model, id)
}

pub(super) fn stream(reply: &Reply, model: &str, id: &str) -> Vec<Part> {
    let mut parts = Parts::default();
    for word in words(&reply.text) {
        parts.data(&answer(&json!([{ "text": word }]), false, model, id));
        parts.paced();
    }
    let last = reply.call.as_ref().map_or_else(|| json!({ "text": "" }), |call| called(call, id));
    parts.data(&answer(&json!([last]), true, model, id));
    parts.done()
}

pub(super) fn refusal(code: u16) -> Value {
    let status = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({ "error": { "code": code, "message": failure_text(code), "status": status } })
}
