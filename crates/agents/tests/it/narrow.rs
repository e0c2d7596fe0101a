//! Panes of thirty columns, where the interface breaks its lines. Made by hand from the recorded
//! ones, each agent breaking, cutting and framing as it does.

use agents::registry::Registry;
use agents::screen::Screen;
use engine::words::Source;

use crate::corpus::read;

fn said(agent: &str, text: &str) -> String {
    let screen = Screen::from_capture(text.trim_start_matches('\n').as_bytes(), 30, 24);
    let reading = read(&Registry::built_in(), agent, None, ("", &screen), Source::Screen);
    let claim = reading.unwrap().claim;
    claim.map_or("-".to_owned(), |claim| format!("{}/{}", claim.state, claim.reason))
}

const APPROVAL: &str = "waiting_approval/approval_requested";

#[test]
fn a_dialog_in_a_narrow_pane_is_a_dialog() {
    let claude = "
● Bash(touch created.txt &&
      echo made-it)
  ⎿  Waiting…

──────────────────────────────
 Bash command

   touch created.txt && echo
   made-it
   Run a scripted command

 Do you want to proceed?
 ❯ 1. Yes
   2. Yes, and always allow
      access to project/ from
      this project
   3. No

 Esc to cancel · Tab to amend
 · ctrl+e to explain
";
    assert_eq!(said("claude", claude), APPROVAL);
    let codex = "
• Running touch made-outside

  Would you like to run the
  following command?

  $ touch made-outside

› 1. Yes, proceed (y)
  2. Yes, and don't ask again
     for commands that start
     with `touch` (p)
  3. No, and tell Codex what
     to do differently (esc)

  Press enter to confirm or
  esc to cancel
";
    assert_eq!(said("codex", codex), APPROVAL);
    let gemini = "
╭────────────────────────────╮
│ ? Shell  touch made1 &&    │
│ echo made-it               │
│ Allow execution of         │
│ [Shell]?                   │
│                            │
│ ● 1. Allow once            │
│   2. Allow for this        │
│      session               │
│   3. No, suggest changes   │
│      (esc)                 │
╰────────────────────────────╯
";
    assert_eq!(said("gemini", gemini), APPROVAL);
    let copilot = "
╭────────────────────────────╮
│ Run a scripted command     │
│ ────────────────────────── │
│ Do you want to run this    │
│ command?                   │
│                            │
│ ❯ 1. Yes                   │
│   2. Yes, and don't ask    │
│      again                 │
│   3. No (Esc to stop)      │
│                            │
│ ↑/↓ to navigate · enter to │
│ select · esc to cancel     │
╰────────────────────────────╯
";
    assert_eq!(said("copilot", copilot), APPROVAL);
    let opencode = "
  ┃
  ┃  △ Permission required
  ┃    # Shell command
  ┃
  ┃  $ touch made5
  ┃
  ┃   Allow once   Allow
  ┃   always   Reject
  ┃   ⇆ select  enter confirm
  ┃
";
    assert_eq!(said("opencode", opencode), APPROVAL);
}

#[test]
fn a_broken_question_is_the_same_question() {
    let gemini = said(
        "gemini",
        "
╭────────────────────────────╮
│ Do you trust the files in  │
│ this folder?               │
│                            │
│ ● 1. Trust folder          │
│   2. Don't trust           │
╰────────────────────────────╯
",
    );
    assert_eq!(gemini, "waiting_input/startup_dialog");
}

#[test]
fn work_in_a_narrow_pane_is_work() {
    let claude = "
✻ Pontificating… (1s · ↓ 1
  tokens)

──────────────────────────────
❯
──────────────────────────────
  esc to interrupt · ← for a…
";
    assert_eq!(said("claude", claude), "running/active");
    let retry = "
✻ API error · Retrying in 2s ·
  attempt 2/10

──────────────────────────────
❯
──────────────────────────────
  esc to interrupt
";
    assert_eq!(said("claude", retry), "running/api_retry");
    let codex = |work: &str| {
        let text =
            format!("\n{work}\n\n\n› Ask Codex to do anything\n\n  fake-model default · ~/pro…\n");
        said("codex", &text)
    };
    assert_eq!(codex("• Working (3s • esc to inter…"), "running/active");
    assert_eq!(codex("• Working (1m 03s • esc to i…"), "running/active");
    assert_eq!(codex("• Reconnecting... 5/5 (36s •…"), "running/api_retry");
    let gemini = "
 ⠦ Thinking... (esc to
 cancel, 3s)
 ? for shortcuts
──────────────────────────────
 Shift+Tab to accept edits

 >   Type your message or
     @path/to/file

 ~/project
";
    assert_eq!(said("gemini", gemini), "running/active");
    let copilot = "
 ~/project
──────────────────────────────
❯
──────────────────────────────
 ◉ Working · 35 B esc esc int…
";
    assert_eq!(said("copilot", copilot), "running/active");
    let opencode = "
  ┃
  ┃  Build · Fake Model
  ╹▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
   ■■■■⬝⬝⬝⬝  esc interrupt
";
    assert_eq!(said("opencode", opencode), "running/active");
}

#[test]
fn rest_in_a_narrow_pane_is_rest() {
    let claude = "
● Bash(sleep 300)
  ⎿  Interrupted · What
     should Claude do instead?

──────────────────────────────
❯
──────────────────────────────
  ? for shortcuts · ← for ag…
";
    assert_eq!(said("claude", claude), "idle/interrupted");
    let codex = "
■ {\"error\":{\"message\":\"Error
429 Too Many Requests\",\"type\":
\"invalid_request_error\"}}


› Ask Codex to do anything

  fake-model default · ~/pro…
";
    assert_eq!(said("codex", codex), "error/rate_limited");
    let gemini = "
✕ [API Error: {\"error\":{
  \"code\":400}}]

 ? for shortcuts
──────────────────────────────
 >   Type your message or
     @path/to/file
";
    assert_eq!(said("gemini", gemini), "error/api_error");
}

#[test]
fn a_composer_before_the_model_is_known_is_a_start() {
    let codex =
        "\n  >_ OpenAI Codex (v0.169.0)\n\n\n› Ask Codex to do anything\n\n  ? for shortcuts\n";
    assert_eq!(said("codex", codex), "unknown/starting");
}

#[test]
fn a_draft_is_neither_a_dialog_nor_work() {
    let claude = |draft: &str, footer: &str| {
        let rule = "─".repeat(30);
        said("claude", &format!("\n✻ Worked for 5s\n\n{rule}\n❯ {draft}\n{rule}\n  {footer}\n"))
    };
    let list = "1. Yes\n  2. No\n\n  Esc to cancel";
    assert_eq!(claude(list, "? for shortcuts"), "idle/idle");
    assert_eq!(claude("restored prompt", "← for agents"), "idle/idle", "no hint beside a draft");
    assert_eq!(claude("", "← for agents"), "-", "no mark is no rest");
    assert_eq!(claude("", "⏵⏵ accept edits on (shift+tab to cycle)"), "idle/idle");
    let busy = "⏵⏵ accept edits on (shift+tab to cycle) · esc to interrupt";
    assert_eq!(claude("", busy), "running/active");
    assert_eq!(claude("", "⏵⏵ accept edits on (shift+ta…"), "-", "the mark may be cut off");
    assert_eq!(claude("draft", "paste again to expand"), "-", "the hint hides what stood there");
    assert_eq!(claude("esc to interrupt", "? for shortcuts"), "idle/idle");
    let codex = "\n  Worked for 1s\n\n\n› 1. Yes\n  2. No\n\n  Press enter to confirm or esc to cancel\n\n  fake · ~/p\n";
    assert_eq!(said("codex", codex), "completed/task_completed");
}

#[test]
fn a_dialog_left_above_the_prompt_of_a_shell_is_over() {
    let claude = "
──────────────────────────────
 Do you want to proceed?
 ❯ 1. Yes
   2. No

 Esc to cancel · Tab to amend

[1]+  Stopped                 claude
user@host:~$
";
    assert_eq!(said("claude", claude), "-");
}
