//! `qd hook` as people find it in the help. What agents call is taken before the command line is
//! read: see [`crate::hook`].

use std::ffi::OsString;

use api::ExitCode;
use clap::Args;

use crate::commands::Outcome;
use crate::hook::Call;

/// Record what an agent's hook reports (agents call this, people do not)
///
/// Appends one record to the spool and ends, whether or not a daemon runs. It prints nothing and
/// exits with 0 whatever happens, because an agent must never be disturbed by being watched. Any
/// agent and any event are recorded.
#[derive(Debug, Clone, Args)]
pub(crate) struct HookArgs {
    /// The agent that reports, such as claude; of nobody nothing is recorded
    agent: Option<OsString>,
    /// What happened, in the agent's own word, such as Stop
    event: Option<OsString>,
    /// What the agent hands over, where it does so as an argument; else standard input is read
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    payload: Vec<OsString>,
}

/// Comes here only with options before the verb, or without an agent.
pub(crate) fn run(args: &HookArgs) -> Outcome {
    if let Some(agent) = &args.agent {
        let event = args.event.as_deref();
        Call::new(agent, event, args.payload.last().map(|it| &**it)).serve();
    }
    Ok(ExitCode::Ok)
}
