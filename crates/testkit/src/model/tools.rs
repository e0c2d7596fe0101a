//! Which of the offered tools does what a script wants, and how it is called.

use serde_json::{Value, json};

use super::asked::{Asked, Tool};
use super::script::Marker;

/// What the model says and calls in one turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) call: Option<Call>,
}

impl Reply {
    pub(super) fn saying(text: impl Into<String>) -> Self {
        Self { text: text.into(), call: None }
    }
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) input: Input,
}

/// Most tools take an object, some of them free text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    Object(Value),
    Free(String),
}

impl Call {
    fn of(tool: &Tool, input: Input) -> Self {
        Self { name: tool.name.clone(), namespace: tool.namespace.clone(), input }
    }
}

/// How long a command may take that a script runs.
const TIMEOUT_MS: u32 = 600_000;

/// What is answered to a step of a script.
pub(super) fn reply(asked: &Asked, marker: &Marker<'_>) -> Reply {
    let Marker { verb, arguments } = *marker;
    if verb == "say" {
        return Reply::saying(if arguments.is_empty() { "All right." } else { arguments });
    }
    match call(asked, verb, arguments) {
        Some(call) => Reply { text: format!("Calling {} now.", call.name), call: Some(call) },
        None => {
            let offered: Vec<_> = asked.tools.iter().map(|tool| tool.name.as_str()).collect();
            Reply::saying(format!("No tool for {verb} among {}", offered.join(", ")))
        }
    }
}

fn call(asked: &Asked, verb: &str, arguments: &str) -> Option<Call> {
    match verb {
        "run" => shell(asked, arguments, false),
        "escalate" => shell(asked, arguments, true),
        "edit" => edit(asked, arguments),
        "write" => write(asked, arguments),
        "ask" => ask(asked, arguments),
        "plan" => plan(asked, arguments),
        "delegate" => delegate(asked, arguments),
        "call" => {
            let (name, input) = arguments.split_once(' ').unwrap_or((arguments, "{}"));
            let input = serde_json::from_str(input).unwrap_or_else(|_| json!({}));
            let names: Vec<&str> = name.split('|').collect();
            Some(Call::of(asked.tool(&names)?, Input::Object(input)))
        }
        _ => None,
    }
}

const SHELLS: &[&str] =
    &["Bash", "run_shell_command", "exec_command", "shell_command", "shell", "bash"];

fn shell(asked: &Asked, command: &str, leaving_sandbox: bool) -> Option<Call> {
    if let Some(tool) = interpreter(asked) {
        let mut input = json!({ "cmd": command, "yield_time_ms": 30_000 });
        if leaving_sandbox {
            escalate(&mut input);
        }
        let script = format!("const out = await tools.exec_command({input});\ntext(out);\n");
        return Some(Call::of(tool, Input::Free(script)));
    }
    let tool = asked.tool(SHELLS)?;
    let mut input = match tool.name.as_str() {
        "exec_command" => json!({ "cmd": command }),
        "shell" => json!({ "command": ["sh", "-c", command] }),
        _ => json!({ "command": command }),
    };
    let optional = [
        ("description", json!("A step of the script")),
        ("timeout", json!(TIMEOUT_MS)),
        ("timeout_ms", json!(TIMEOUT_MS)),
        ("yield_time_ms", json!(30_000)),
        ("initial_wait", json!(TIMEOUT_MS / 1_000)),
        ("mode", json!("sync")),
    ];
    for (name, value) in optional {
        if tool.takes(name) {
            input[name] = value;
        }
    }
    if leaving_sandbox && tool.takes("sandbox_permissions") {
        escalate(&mut input);
    }
    Some(Call::of(tool, Input::Object(input)))
}

fn escalate(input: &mut Value) {
    input["sandbox_permissions"] = json!("require_escalated");
    input["justification"] = json!("May this step of the script leave the sandbox?");
}

/// A tool that runs a program in which the other tools are functions, offered alone.
fn interpreter(asked: &Asked) -> Option<&Tool> {
    let alone = asked.tool(&["exec_command"]).is_none();
    asked.tool(&["exec"]).filter(|tool| tool.free && alone)
}

fn patch(asked: &Asked, patch: String) -> Option<Call> {
    if let Some(tool) = interpreter(asked) {
        let script =
            format!("const out = await tools.apply_patch({});\ntext(out);\n", json!(patch));
        return Some(Call::of(tool, Input::Free(script)));
    }
    let tool = asked.tool(&["apply_patch"])?;
    let input =
        if tool.free { Input::Free(patch) } else { Input::Object(json!({ "input": patch })) };
    Some(Call::of(tool, input))
}

fn edit(asked: &Asked, arguments: &str) -> Option<Call> {
    let mut parts = arguments.split('|');
    let mut part = || parts.next().unwrap_or_default();
    let (file, old, new) = (part(), part(), part());
    let Some(tool) = asked.tool(&["Edit", "replace", "edit", "str_replace_editor"]) else {
        let text = format!(
            "*** Begin Patch\n*** Update File: {file}\n@@\n-{old}\n+{new}\n*** End Patch\n"
        );
        return patch(asked, text);
    };
    let input = if tool.takes("filePath") {
        json!({ "filePath": file, "oldString": old, "newString": new })
    } else if tool.takes("old_str") {
        json!({ "command": "str_replace", "path": file, "old_str": old, "new_str": new })
    } else {
        let mut input = json!({ "file_path": file, "old_string": old, "new_string": new });
        if tool.takes("instruction") {
            input["instruction"] = json!("A step of the script");
        }
        input
    };
    Some(Call::of(tool, Input::Object(input)))
}

fn write(asked: &Asked, arguments: &str) -> Option<Call> {
    let (file, text) = arguments.split_once('|').unwrap_or((arguments, ""));
    let Some(tool) = asked.tool(&["Write", "write_file", "write", "create"]) else {
        let added: String = text.lines().map(|line| format!("+{line}\n")).collect();
        return patch(
            asked,
            format!("*** Begin Patch\n*** Add File: {file}\n{added}*** End Patch\n"),
        );
    };
    let input = if tool.takes("filePath") {
        json!({ "filePath": file, "content": text })
    } else if tool.takes("file_text") {
        json!({ "path": file, "file_text": text })
    } else {
        json!({ "file_path": file, "content": text })
    };
    Some(Call::of(tool, Input::Object(input)))
}

fn ask(asked: &Asked, question: &str) -> Option<Call> {
    let tool = asked.tool(&["AskUserQuestion", "ask_user", "request_user_input", "question"])?;
    let options = json!([
        { "label": "Left", "description": "The one side" },
        { "label": "Right", "description": "The other side" },
    ]);
    let input = if tool.takes("questions") {
        json!({ "questions": [{
            "id": "side", "question": question, "header": "Side", "type": "choice",
            "multiSelect": false, "options": options,
        }] })
    } else {
        json!({ "question": question, "choices": ["Left", "Right"] })
    };
    Some(Call::of(tool, Input::Object(input)))
}

fn plan(asked: &Asked, text: &str) -> Option<Call> {
    let tool = asked.tool(&["ExitPlanMode", "exit_plan_mode"])?;
    let mut input = json!({ "plan": text });
    if tool.takes("plan_filename") {
        input = json!({ "plan_filename": text });
    } else if tool.takes("summary") {
        input["summary"] = json!(text);
    }
    Some(Call::of(tool, Input::Object(input)))
}

fn delegate(asked: &Asked, prompt: &str) -> Option<Call> {
    let tool = asked.tool(&["Agent", "Task", "task", "spawn_agent", "generalist"])?;
    let input = match tool.name.as_str() {
        "spawn_agent" => json!({ "message": prompt, "task_name": "part" }),
        "generalist" => json!({ "request": prompt }),
        "task" => json!({
            "description": "A part", "prompt": prompt, "subagent_type": "general",
            "agent_type": "general-purpose", "name": "part", "mode": "sync",
        }),
        _ => json!({
            "description": "A part", "prompt": prompt, "subagent_type": "general-purpose",
        }),
    };
    Some(Call::of(tool, Input::Object(input)))
}

/// Any value that fits a schema, for requests that ask for a shape and not for words.
pub(super) fn fitting(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind.to_ascii_lowercase().as_str() {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), fitting(schema))).collect()
        }
        "array" => json!([]),
        "boolean" => json!(false),
        "integer" | "number" => json!(1),
        _ => json!("A scripted task"),
    }
}
