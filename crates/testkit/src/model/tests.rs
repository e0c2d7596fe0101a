//! The shapes on the wire, as a client of each format reads them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ModelServer, What};
use crate::wait;

/// Asks once and reads the answer to its end.
fn ask(server: &ModelServer, path: &str, body: &Value) -> (u16, String) {
    let mut socket = connect(server, path, body);
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn connect(server: &ModelServer, path: &str, body: &Value) -> TcpStream {
    let address = server.url().replace("http://", "");
    let mut socket = TcpStream::connect(&address).unwrap();
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    socket
}

/// The data of all events of a stream.
fn data(answer: &str) -> Vec<Value> {
    let lines = answer.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn joined(texts: impl Iterator<Item = Value>) -> String {
    texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}

fn whats(server: &ModelServer) -> Vec<What> {
    server.moments(0).into_iter().map(|moment| moment.what).collect()
}

const SHELL_THEN_SAY: &str = "{{run ls -l}} {{say all is done}}";

fn anthropic(turns: &Value) -> Value {
    let schema = json!({ "properties": { "command": {}, "timeout": {} } });
    let tools = json!([{ "name": "Bash", "input_schema": schema }]);
    json!({ "model": "m", "stream": true, "messages": turns, "tools": tools })
}

#[test]
fn messages_are_streamed_as_blocks_and_a_result_leads_to_the_next_step() {
    let server = ModelServer::start().unwrap();
    let first = json!([{ "role": "user", "content": SHELL_THEN_SAY }]);
    let (status, answer) = ask(&server, "/v1/messages?beta=true", &anthropic(&first));
    let events = data(&answer);
    let kinds: Vec<_> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(status, 200);
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("message_start", "message_stop"));
    let block = events.iter().find(|event| event["content_block"]["type"] == "tool_use").unwrap();
    assert_eq!(block["content_block"]["name"], "Bash");
    let input = joined(events.iter().map(|event| event["delta"]["partial_json"].clone()));
    let input: Value = serde_json::from_str(&input).unwrap();
    assert_eq!((&input["command"], &input["timeout"]), (&json!("ls -l"), &json!(600_000)));
    assert!(events.iter().any(|event| event["delta"]["stop_reason"] == "tool_use"));

    let result = json!([{ "type": "tool_result", "tool_use_id": "t", "content": "files" }]);
    let second = json!([first[0], { "role": "assistant", "content": [] },
        { "role": "user", "content": result }]);
    let (_, answer) = ask(&server, "/v1/messages", &anthropic(&second));
    let said = joined(data(&answer).iter().map(|event| event["delta"]["text"].clone()));
    assert_eq!(said, "all is done");
    let called = What::Called("Bash".into());
    let turn =
        [What::Asked, What::Begun, called, What::Ended, What::Asked, What::Begun, What::Ended];
    assert_eq!(whats(&server), turn);
}

#[test]
fn responses_carry_the_call_whole_and_end_with_all_that_was_put_out() {
    let server = ModelServer::start().unwrap();
    let schema = json!({ "properties": { "cmd": {}, "sandbox_permissions": {} } });
    let tool = json!({ "type": "function", "name": "exec_command", "parameters": schema });
    let input = json!([{ "role": "user", "content": [{ "type": "input_text",
        "text": "{{escalate touch a}}" }] }]);
    let body = json!({ "model": "m", "stream": true, "input": input, "tools": [tool] });
    let (_, answer) = ask(&server, "/v1/responses", &body);
    let events = data(&answer);
    let numbers: Vec<_> = events.iter().filter_map(|it| it["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let last = &events[events.len() - 1];
    assert_eq!(last["type"], "response.completed");
    let call = &last["response"]["output"][1];
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["cmd"], "touch a");
    assert_eq!(arguments["sandbox_permissions"], "require_escalated");
}

#[test]
fn an_interpreter_that_is_offered_alone_is_given_a_program() {
    let server = ModelServer::start().unwrap();
    let tools = json!([{ "type": "custom", "name": "exec" }]);
    let input = json!([{ "type": "additional_tools", "tools": tools },
        { "role": "user", "content": "{{write a.txt|one}}" }]);
    let body = json!({ "model": "m", "stream": true, "input": input });
    let (_, answer) = ask(&server, "/v1/responses", &body);
    let events = data(&answer);
    let call = &events[events.len() - 1]["response"]["output"][1];
    assert_eq!(call["type"], "custom_tool_call");
    assert!(call["input"].as_str().unwrap().contains("tools.apply_patch(\"*** Begin Patch"));
}

#[test]
fn completions_are_chunks_that_close_with_a_reason_and_a_mark() {
    let server = ModelServer::start().unwrap();
    let tool = json!({ "function": { "name": "bash", "parameters": {} } });
    let body = json!({ "model": "m", "stream": true, "tools": [tool],
        "messages": [{ "role": "user", "content": "{{run true}}" }] });
    let (_, answer) = ask(&server, "/v1/chat/completions", &body);
    let reasons: Vec<_> = data(&answer)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(reasons, ["tool_calls"]);
    assert!(answer.contains("data: [DONE]"));
}

#[test]
fn generated_content_names_its_model_by_the_path_and_can_be_whole() {
    let server = ModelServer::start().unwrap();
    let declared = json!([{ "functionDeclarations": [{ "name": "run_shell_command" }] }]);
    let contents = json!([{ "role": "user", "parts": [{ "text": "{{run pwd}}" }] }]);
    let body = json!({ "contents": contents, "tools": declared });
    let (_, answer) = ask(&server, "/v1beta/models/g-1:streamGenerateContent?alt=sse", &body);
    let events = data(&answer);
    let last = &events[events.len() - 1];
    assert_eq!(last["modelVersion"], "g-1");
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    let call = &last["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call["args"]["command"], "pwd");
    let (_, answer) = ask(&server, "/v1beta/models/g-1:generateContent", &body);
    assert!(data(&answer).is_empty() && answer.contains("\"functionCall\""));
}

#[test]
fn requests_beside_the_conversation_play_no_script() {
    let server = ModelServer::start().unwrap();
    let schema = json!({ "type": "object", "properties": {
        "title": { "type": "string" }, "kind": { "enum": ["chore", "task"] } } });
    let body = json!({ "model": "m", "input": "{{fail 500}}", "tools": [{ "name": "x" }],
        "text": { "format": { "type": "json_schema", "schema": schema } } });
    let (status, answer) = ask(&server, "/v1/responses", &body);
    assert_eq!(status, 200);
    assert!(answer.contains(r#"\"kind\":\"chore\""#), "{answer}");
    assert!(server.moments(0).iter().all(|moment| moment.beside));
}

#[test]
fn a_step_is_refused_as_often_as_the_script_says() {
    let server = ModelServer::start().unwrap();
    let turns = json!([{ "role": "user", "content": "{{fail 529 2}} {{say at last}}" }]);
    let statuses = [(); 3].map(|()| ask(&server, "/v1/messages", &anthropic(&turns)).0);
    assert_eq!(statuses, [529, 529, 200]);
    let always = json!([{ "role": "user", "content": "{{fail 429}} {{say never}}" }]);
    let (status, answer) = ask(&server, "/v1/messages", &anthropic(&always));
    assert_eq!(status, 429);
    assert!(answer.contains("retry-after: 3") && answer.contains("rate_limit_error"));
}

#[test]
fn who_goes_away_is_noticed_while_the_model_is_silent() {
    let server = ModelServer::start().unwrap();
    for silence in ["{{mute 600000}} {{say x}}", "{{think 600000}} {{say x}}"] {
        let before = server.moments(0).len();
        let turns = json!([{ "role": "user", "content": silence }]);
        let socket = connect(&server, "/v1/messages", &anthropic(&turns));
        wait::until("the request is in", || (server.moments(0).len() > before).then_some(()));
        drop(socket);
        let gone = || whats(&server).last().filter(|what| **what == What::Abandoned).map(drop);
        wait::until("its end is noticed", gone);
    }
}

#[test]
fn a_script_can_hang_up_and_slow_down() {
    let server = ModelServer::start().unwrap();
    let cut = json!([{ "role": "user", "content": "{{cut}} {{say x}}" }]);
    assert_eq!(ask(&server, "/v1/messages", &anthropic(&cut)), (0, String::new()));
    let begun = wait::now();
    let slow = json!([{ "role": "user", "content": "{{pace 20}} {{say a b c}}" }]);
    assert_eq!(ask(&server, "/v1/messages", &anthropic(&slow)).0, 200);
    assert!(wait::now() - begun >= Duration::from_millis(60));
}
