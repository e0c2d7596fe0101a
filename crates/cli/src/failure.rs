//! How a command fails: one kind of error, whatever its cause, with one exit code.

use std::io;

use api::error::ErrorBody;
use api::{ErrorCode, ExitCode, Timestamp};
use client::ClientError;
use serde_json::Value;

use crate::output::approvals::revealed;
use crate::output::style;
use crate::output::text::Text;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell the user.
    Told(ClientError),
    /// Whoever read our output has gone; there is nobody left to tell anything.
    OutputClosed,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Told(ClientError::new(code, message))
    }

    /// The same with another hint.
    #[must_use]
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Told(error) => Self::Told(error.with_hint(hint)),
            Self::OutputClosed => self,
        }
    }

    /// The number that the shell sees. What a code means stands in the table of the API.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Told(error) => error.code.exit_code(),
            Self::OutputClosed => ExitCode::Ok,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Told(error)
    }
}

/// Writing to the terminal, or into the pipe that stands for it.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::new(ErrorCode::Internal, format!("cannot write the output: {error}"))
            .with_hint("Look at where the output goes: is there room, and is it still there?")
    }
}

/// The error as the API would answer it, for `--json`.
pub(crate) fn envelope(error: &ClientError, now: Timestamp) -> ErrorBody {
    let mut body = ErrorBody::new(error.code, error.message.clone(), now);
    body.error.hint.clone_from(&error.hint);
    body.error.details.clone_from(&error.details);
    body
}

/// The error for people: what happened, what it is about, what to do.
pub(crate) fn lines(error: &ClientError) -> Vec<Text> {
    let head = Text::styled("qd: ", style::ERROR).then(&error.message);
    let mut lines = vec![head.then_styled(format!(" [{}]", error.code), style::QUIET)];
    lines.extend(candidates(error));
    lines.extend(ending(error));
    lines.push(Text::styled("hint: ", style::TITLE).then(&error.hint));
    lines
}

/// What an ambiguous reference could have meant.
fn candidates(error: &ClientError) -> Vec<Text> {
    let found = error.details.get("candidates").and_then(Value::as_array);
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let line = |candidate: &Value| match candidate["approval_id"].as_str() {
        Some(approval) => {
            let asked = format!("  {}", revealed(&text(candidate, "request")));
            Text::plain("  ").then(approval).then_styled(asked, style::QUIET)
        }
        None => {
            let agent = Some(text(candidate, "agent_type")).filter(|agent| !agent.is_empty());
            let runs = agent.unwrap_or_else(|| text(candidate, "current_cmd"));
            let state = format!("  {runs} {}", text(candidate, "state"));
            Text::plain("  ").then(text(candidate, "ref")).then_styled(state, style::QUIET)
        }
    };
    found.into_iter().flatten().map(line).collect()
}

/// What became of an approval that cannot be answered any more, and by whom.
fn ending(error: &ClientError) -> Option<Text> {
    let text = |name: &str| error.details.get(name).and_then(Value::as_str);
    let (_, state) = (text("approval_id")?, text("state")?);
    let outcome = text("outcome").map_or_else(String::new, |it| format!(", {it}"));
    let by = text("answered_by").map_or_else(String::new, |it| format!(", by {it}"));
    Some(Text::plain(format!("  it is {state}{outcome}{by}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(error: &ClientError) -> String {
        lines(error).iter().map(|line| line.render(false) + "\n").collect()
    }

    #[test]
    fn tc_032_an_error_says_what_happened_what_to_do_and_its_code() {
        let error = ClientError::new(ErrorCode::TargetNotFound, "there is no target `build`");
        assert_eq!(
            shown(&error),
            "qd: there is no target `build` [E_TARGET_NOT_FOUND]\n\
             hint: See the targets with `qd target list`.\n"
        );
        let body = envelope(&error, Timestamp::from_millis(0));
        assert_eq!(ClientError::from(body.error), error, "the envelope says the same");
    }

    #[test]
    fn an_ambiguous_reference_lists_what_it_could_mean() {
        let error = ClientError::new(ErrorCode::RefAmbiguous, "`%1` fits 3 panes").with_detail(
            "candidates",
            json!([
                { "ref": "runtime:aaaa", "current_cmd": "vim", "state": "unknown" },
                { "ref": "runtime:bbbb", "current_cmd": "\u{1b}[2J", "state": "idle" },
                { "ref": "runtime:cccc", "current_cmd": "node", "agent_type": "codex", "state": "idle" },
            ]),
        );
        assert_eq!(
            shown(&error),
            "qd: `%1` fits 3 panes [E_REF_AMBIGUOUS]\n  runtime:aaaa  vim unknown\n  \
             runtime:bbbb   idle\n  runtime:cccc  codex idle\n\
             hint: Use the full reference of one of the candidates in the details.\n"
        );
    }

    #[test]
    fn who_was_first_is_told_and_which_approvals_it_could_be() {
        let answered = ClientError::new(ErrorCode::ApprovalAnswered, "somebody was first")
            .with_detail("approval_id", Value::from("ap-1"))
            .with_detail("state", Value::from("answered"))
            .with_detail("outcome", Value::from("deny"))
            .with_detail("answered_by", Value::from("client:uid=0,pid=1"));
        assert!(shown(&answered).contains("\n  it is answered, deny, by client:uid=0,pid=1\n"));
        let candidates = json!([{ "approval_id": "ap-1", "request": "Bash: touch x" }]);
        let several = ClientError::new(ErrorCode::RefAmbiguous, "2 approvals wait")
            .with_detail("candidates", candidates);
        assert!(shown(&several).contains("\n  ap-1  Bash: touch x\n"));
    }

    #[test]
    fn tc_053_every_code_of_the_api_has_its_exit_code() {
        for code in ErrorCode::ALL {
            let failure = Failure::new(*code, "x");
            assert_eq!(failure.exit_code(), code.exit_code());
            assert_ne!(failure.exit_code(), ExitCode::Ok, "{code}");
        }
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.exit_code(), ExitCode::Ok);
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit_code(), ExitCode::Failure);
    }
}
