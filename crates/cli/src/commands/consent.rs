//! What has to be agreed to before something is changed or ended, in one way for every command.

use api::ErrorCode;
use clap::Args;

use crate::console::Console;
use crate::failure::Failure;
use crate::output::text::Text;

/// How a change is looked at beforehand, or agreed to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Consent {
    /// Only show what would be changed
    #[arg(long, short = 'n', conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Consent {
    /// Whether somebody agrees to `what`, which was shown. A program that reads the output saw
    /// nothing of it yet, so it has to have agreed before.
    pub(crate) fn given(
        &self,
        console: &Console,
        question: &Text,
        what: &str,
    ) -> Result<bool, Failure> {
        if self.yes {
            return Ok(true);
        }
        let answer = match console.is_json() {
            true => None,
            false => console.terminal.confirm(question)?,
        };
        answer.ok_or_else(|| nobody(what).with_hint("Look at it with --dry-run, then say --yes."))
    }
}

/// Asks whoever sits at the terminal for a yes to `what`; a failure where there is nobody.
pub(crate) fn asked(console: &Console, question: &Text, what: &str) -> Result<bool, Failure> {
    console.terminal.confirm(question)?.ok_or_else(|| nobody(what))
}

fn nobody(what: &str) -> Failure {
    let message = format!("{what} needs a yes, and there is nobody to ask; nothing was done");
    Failure::new(ErrorCode::ConfirmationRequired, message)
}
