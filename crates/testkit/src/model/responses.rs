//! OpenAI's Responses: `POST /v1/responses`.

use serde_json::{Value, json};

use super::asked::{Asked, Tool, Turn, list, text};
use super::tools::{Input, Reply};
use super::wire::{Part, Parts, TOKENS_IN, TOKENS_OUT, failure_kind, failure_text, words};

pub(super) fn read(body: &Value) -> Asked {
    let mut turns = Vec::new();
    let mut tools: Vec<Tool> = list(&body["tools"]).iter().flat_map(offered).collect();
    if let Some(text) = body["input"].as_str() {
        turns.push(Turn::User(text.to_owned()));
    }
    for item in list(&body["input"]) {
        let kind = item["type"].as_str().unwrap_or_default();
        if kind.ends_with("_call_output") {
            let output = &item["output"];
            let text = if output.is_object() { output.to_string() } else { text(output) };
            turns.push(Turn::Result(text));
        } else if kind == "additional_tools" {
            // Models that the agent knows are offered their tools within the conversation.
            tools.extend(list(&item["tools"]).iter().flat_map(offered));
        } else if item["role"] == "user" {
            turns.push(Turn::User(text(&item["content"])));
        } else if item["role"] == "assistant" || kind.ends_with("_call") {
            turns.push(Turn::Model);
        }
    }
    Asked {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        streaming: body["stream"] == true,
        turns,
        tools,
        schema: body["text"]["format"].get("schema").cloned(),
    }
}

/// A tool, or all those of a group.
fn offered(tool: &Value) -> Vec<Tool> {
    if tool["type"] == "namespace" {
        let named = |inner: &Value| {
            let group = tool["name"].as_str().filter(|name| *name != "functions");
            one(inner, group)
        };
        return list(&tool["tools"]).iter().map(named).collect();
    }
    vec![one(tool, None)]
}

fn one(tool: &Value, namespace: Option<&str>) -> Tool {
    let name = tool.get("name").unwrap_or(&tool["type"]);
    Tool {
        namespace: namespace.map(str::to_owned),
        free: tool["type"] == "custom",
        ..Tool::new(name, &tool["parameters"])
    }
}

fn message(reply: &Reply, id: &str) -> Value {
    let part = json!({ "type": "output_text", "text": reply.text, "annotations": [] });
    json!({
        "type": "message", "id": format!("msg_{id}"), "status": "completed", "role": "assistant",
        "content": [part],
    })
}

fn called(reply: &Reply, id: &str) -> Option<Value> {
    let call = reply.call.as_ref()?;
    let mut item = match &call.input {
        Input::Object(object) => json!({
            "type": "function_call", "id": format!("fc_{id}"), "arguments": object.to_string(),
        }),
        Input::Free(text) => {
            json!({ "type": "custom_tool_call", "id": format!("ctc_{id}"), "input": text })
        }
    };
    item["call_id"] = json!(format!("call_{id}"));
    item["name"] = json!(call.name);
    item["status"] = json!("completed");
    if let Some(namespace) = &call.namespace {
        item["namespace"] = json!(namespace);
    }
    Some(item)
}

pub(super) fn whole(reply: &Reply, model: &str, id: &str) -> Value {
    let mut output = vec![message(reply, id)];
    output.extend(called(reply, id));
    json!({
        "id": format!("resp_{id}"), "object": "response", "created_at": 0, "model": model,
        "status": "completed", "parallel_tool_calls": false, "tools": [], "output": output,
        "usage": {
            "input_tokens": TOKENS_IN, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": TOKENS_OUT, "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": TOKENS_IN + TOKENS_OUT,
        },
    })
}

pub(super) fn stream(reply: &Reply, model: &str, id: &str) -> Vec<Part> {
    let finished = whole(reply, model, id);
    let mut begun = finished.clone();
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let mut numbered = Numbered::default();
    numbered.event(json!({ "type": "response.created", "response": begun }));
    numbered.event(json!({ "type": "response.in_progress", "response": begun }));
    speak(&mut numbered, reply, id);
    if let Some(item) = called(reply, id) {
        hand_over(&mut numbered, &item);
    }
    numbered.event(json!({ "type": "response.completed", "response": finished }));
    numbered.parts.done()
}

/// Every event carries its number in the stream.
#[derive(Default)]
struct Numbered {
    parts: Parts,
    next: u32,
}

impl Numbered {
    fn event(&mut self, mut data: Value) {
        data["sequence_number"] = json!(self.next);
        self.next += 1;
        self.parts.event(&data);
    }
}

fn speak(numbered: &mut Numbered, reply: &Reply, id: &str) {
    let said = message(reply, id);
    let mut empty = said.clone();
    empty["status"] = json!("in_progress");
    empty["content"] = json!([]);
    let at = |kind: &str| {
        json!({
            "type": kind, "item_id": format!("msg_{id}"), "output_index": 0, "content_index": 0,
        })
    };
    let with = |kind: &str, field: &str, value: Value| {
        let mut event = at(kind);
        event[field] = value;
        event
    };
    numbered
        .event(json!({ "type": "response.output_item.added", "output_index": 0, "item": empty }));
    let blank = json!({ "type": "output_text", "text": "", "annotations": [] });
    numbered.event(with("response.content_part.added", "part", blank));
    for word in words(&reply.text) {
        numbered.event(with("response.output_text.delta", "delta", json!(word)));
        numbered.parts.paced();
    }
    numbered.event(with("response.output_text.done", "text", json!(reply.text)));
    numbered.event(with("response.content_part.done", "part", said["content"][0].clone()));
    numbered.event(json!({ "type": "response.output_item.done", "output_index": 0, "item": said }));
}

fn hand_over(numbered: &mut Numbered, item: &Value) {
    let (field, event) = if item["type"] == "function_call" {
        ("arguments", "response.function_call_arguments")
    } else {
        ("input", "response.custom_tool_call_input")
    };
    let mut empty = item.clone();
    empty[field] = json!("");
    empty["status"] = json!("in_progress");
    numbered
        .event(json!({ "type": "response.output_item.added", "output_index": 1, "item": empty }));
    let at = |kind: String| json!({ "type": kind, "item_id": item["id"], "output_index": 1 });
    let mut delta = at(format!("{event}.delta"));
    delta["delta"] = item[field].clone();
    numbered.event(delta);
    let mut done = at(format!("{event}.done"));
    done[field] = item[field].clone();
    numbered.event(done);
    numbered.event(json!({ "type": "response.output_item.done", "output_index": 1, "item": item }));
}

pub(super) fn refusal(code: u16) -> Value {
    let reason = if code == 429 { "rate_limit_exceeded" } else { "server_error" };
    let kind = failure_kind(code);
    json!({ "error": { "message": failure_text(code), "type": kind, "code": reason, "param": null } })
}
