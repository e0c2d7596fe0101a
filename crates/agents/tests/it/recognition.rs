//! Which processes are agents, and which only look like it.

use agents::program::Program;
use agents::registry::Registry;

/// The agent that is recognised in a process: its name, its program's path, its command line.
fn recognised(name: &str, path: &str, command: &str) -> String {
    let arguments: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let program = Program { name, path, arguments: &arguments };
    let registry = Registry::built_in();
    registry.recognise(&program).map_or("-".to_owned(), |adapter| adapter.agent().to_owned())
}

#[test]
fn agents_are_known_by_their_program_or_script() {
    let check = |agent: &str, name: &str, path: &str, command: &str| {
        assert_eq!(recognised(name, path, command), agent, "{command}");
    };
    let modules = "/usr/lib/node_modules";
    let claude = format!("{modules}/@anthropic-ai/claude-code/bin/claude.exe");
    check("claude", "claude", &claude, "claude");
    check("claude", "claude", &claude, "claude --resume 1a2b");
    check("claude", "2.1.197", "/home/a/.local/share/claude/versions/2.1.197", "claude");
    check("claude", "node", "/usr/bin/node", "node /usr/bin/claude -c");
    let cli = format!("node {modules}/@anthropic-ai/claude-code/cli.js");
    check("claude", "node", "/usr/bin/node", &cli);
    check("claude", "claude", "", "/opt/bin/claude");
    check("codex", "codex", "/opt/vendor/x86_64-unknown-linux-musl/codex/codex", "codex");
    check("codex", "node", "/usr/bin/node", "node /usr/bin/codex --no-daemon");
    check("gemini", "node", "/usr/bin/node", "node --no-warnings=DEP0040 /usr/bin/gemini");
    let bundle = format!("node {modules}/@google/gemini-cli/bundle/gemini.js");
    check("gemini", "node", "/usr/bin/node", &bundle);
    check("copilot", "MainThread", "/opt/copilot-linux-x64/copilot", "copilot");
    check(
        "copilot",
        "node",
        "/usr/bin/node",
        &format!("node {modules}/@github/copilot/npm-loader.js"),
    );
    let cursor = "/home/a/.local/share/cursor-agent/versions/1/node";
    let index = "node /home/a/.local/share/cursor-agent/versions/1/index.js";
    check("cursor", "node", cursor, index);
    check("opencode", "opencode", "/opt/opencode-linux-x64/bin/opencode", "opencode -s ses_1");
    let packaged = format!("{modules}/opencode-ai/bin/opencode.exe");
    check("opencode", "opencode", &packaged, "/usr/bin/opencode");
}

#[test]
fn what_only_mentions_an_agent_is_none() {
    for (name, path, command) in [
        ("vim", "/usr/bin/vim", "vim claude.md"),
        ("grep", "/usr/bin/grep", "grep codex -r ."),
        ("less", "/usr/bin/less", "less /opt/gemini"),
        ("node", "/usr/bin/node", "node server.js --name claude"),
        ("node", "/usr/bin/node", "node /srv/app.js /usr/bin/gemini"),
        ("node", "/usr/bin/node", "node -e claude"),
        ("node", "/usr/bin/node", "node"),
        ("python3", "/usr/bin/python3.11", "python3 -m claude"),
        ("claude", "/usr/bin/sleep", "claude"),
        ("cursor", "/usr/share/cursor/cursor", "/usr/share/cursor/cursor ."),
        ("node", "/usr/bin/node", "node /home/claude/project/server.js"),
        ("gemini-files", "/usr/bin/gemini-files", "gemini-files"),
        ("cat", "/usr/bin/cat", "cat"),
        ("", "", ""),
    ] {
        assert_eq!(recognised(name, path, command), "-", "{command}");
    }
}

#[test]
fn what_starts_an_agent_is_not_the_agent() {
    for (name, path, command) in [
        ("sh", "/usr/bin/dash", "sh -c claude"),
        ("bash", "/usr/bin/bash", "bash /home/a/bin/claude"),
        ("node", "/usr/bin/node", "node /usr/bin/npx @openai/codex"),
        ("npm exec @googl", "/usr/bin/node", "npm exec @google/gemini-cli"),
        ("script", "/usr/bin/script", "script -c claude"),
        ("env", "/usr/bin/env", "env -i claude"),
        ("sudo", "/usr/bin/sudo", "sudo -u a codex"),
        ("tmux: client", "/usr/bin/tmux", "tmux new claude"),
        ("timeout", "/usr/bin/timeout", "timeout 5 opencode"),
    ] {
        assert_eq!(recognised(name, path, command), "-", "{command}");
    }
}

#[test]
fn an_agents_program_that_holds_no_session_is_none() {
    let codex = "/opt/codex/codex";
    let server = "codex app-server --listen unix:// --managed-daemon";
    assert_eq!(recognised("codex", codex, server), "-", "the server of all panes");
    assert_eq!(recognised("codex", codex, "codex mcp-server"), "-");
    assert_eq!(recognised("claude", "/opt/bin/claude", "claude mcp serve"), "-");
    assert_eq!(recognised("claude", "/opt/bin/claude", "claude agents --json"), "-");
    assert_eq!(recognised("opencode", "/opt/bin/opencode", "opencode serve"), "-");
    assert_eq!(recognised("copilot", "/usr/local/bin/copilot", "copilot svc deploy"), "-");
}

#[test]
fn an_agent_survives_an_update_of_its_file() {
    assert_eq!(recognised("claude", "/opt/bin/claude (deleted)", "claude"), "claude");
}
