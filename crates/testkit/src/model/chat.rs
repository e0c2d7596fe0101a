//! OpenAI's Chat Completions: `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::asked::{Asked, Tool, Turn, list, text};
use super::tools::{Call, Input, Reply};
use super::wire::{Part, Parts, TOKENS_IN, TOKENS_OUT, failure_kind, failure_text, words};

pub(super) fn read(body: &Value) -> Asked {
    let turn = |message: &Value| match message["role"].as_str() {
        Some("user") => Turn::User(text(&message["content"])),
        Some("tool") => Turn::Result(text(&message["content"])),
        Some(_) | None => Turn::Model,
    };
    Asked {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        streaming: body["stream"] == true,
        turns: list(&body["messages"]).iter().map(turn).collect(),
        tools: list(&body["tools"])
            .iter()
            .map(|tool| Tool::new(&tool["function"]["name"], &tool["function"]["parameters"]))
            .collect(),
        schema: body["response_format"]["json_schema"].get("schema").cloned(),
    }
}

fn called(call: &Call, id: &str) -> Value {
    let arguments = match &call.input {
        Input::Object(object) => object.to_string(),
        Input::Free(text) => json!({ "input": text }).to_string(),
    };
    let function = json!({ "name": call.name, "arguments": arguments });
    json!([{ "index": 0, "id": format!("call_{id}"), "type": "function", "function": function }])
}

fn finish(reply: &Reply) -> &'static str {
    if reply.call.is_some() { "tool_calls" } else { "stop" }
}

fn usage() -> Value {
    json!({
        "prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    })
}

pub(super) fn whole(reply: &Reply, model: &str, id: &str) -> Value {
    let mut message = json!({ "role": "assistant", "content": reply.text });
    if let Some(call) = &reply.call {
        message["tool_calls"] = called(call, id);
    }
    json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": 0, "model": model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish(reply) }],
        "usage": usage(),
    })
}

pub(super) fn stream(reply: &Reply, model: &str, id: &str) -> Vec<Part> {
    let chunk = |choices: Value| {
        json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 0,
            "model": model, "choices": choices,
        })
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]))
    };
    let mut parts = Parts::default();
    parts.data(&delta(json!({ "role": "assistant", "content": "" }), Value::Null));
    for word in words(&reply.text) {
        parts.data(&delta(json!({ "content": word }), Value::Null));
        parts.paced();
    }
    if let Some(call) = &reply.call {
        parts.data(&delta(json!({ "tool_calls": called(call, id) }), Value::Null));
    }
    parts.data(&delta(json!({}), json!(finish(reply))));
    let mut last = chunk(json!([]));
    last["usage"] = usage();
    parts.data(&last);
    parts.raw("data: [DONE]\n\n");
    parts.done()
}

pub(super) fn refusal(code: u16) -> Value {
    let kind = failure_kind(code);
    json!({ "error": { "message": failure_text(code), "type": kind, "code": kind, "param": null } })
}
