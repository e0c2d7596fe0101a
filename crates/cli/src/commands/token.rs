//! `qd token`: who is served over TCP.

use api::tokens::{TokenCreate, TokenScope};
use api::{ErrorCode, ExitCode};
use clap::{Args, Subcommand};

use crate::args::word;
use crate::commands::Outcome;
use crate::console::{Console, wait};
use crate::failure::Failure;
use crate::output;
use crate::output::text::Text;
use crate::output::time::parse_life;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    Create(CreateArgs),
    /// List the tokens, without their secrets
    List,
    Revoke(RevokeArgs),
}

/// Make a token and show it, this once
///
/// A client over TCP shows it as its bearer token. `qd` itself takes it from the file that
/// QD_TOKEN_FILE names, or from QD_TOKEN, and the address from QD_URL. The daemon listens where
/// `api.listen` in its settings says, and nowhere by default.
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateArgs {
    /// How to call it: letters, digits, `.`, `_` and `-`; acts are recorded under this name
    name: String,
    /// What it is good for; each has what the one before has
    #[arg(
        long,
        value_name = "SCOPE",
        default_value = "read",
        value_parser = word::<TokenScope>(TokenScope::WORDS)
    )]
    scope: TokenScope,
    /// How long it counts, such as 12h or 90d; 366d at most
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_life)]
    expires: u64,
}

/// Take a token back; what still reads with it is ended
#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeArgs {
    /// The token's name, or its id
    token: String,
}

pub(crate) fn run(console: &Console, command: &TokenCommand) -> Outcome {
    match command {
        TokenCommand::Create(args) => create(console, args),
        TokenCommand::List => list(console),
        TokenCommand::Revoke(args) => revoke(console, args),
    }
}

fn create(console: &Console, args: &CreateArgs) -> Outcome {
    let token = TokenCreate {
        name: args.name.clone(),
        scope: args.scope,
        expires_in_ms: Some(args.expires),
    };
    token.check().map_err(|error| Failure::new(ErrorCode::BadRequest, error.to_string()))?;
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.create_token(&token).await?) })?;
    let shown = console.answer(&answer, |answer, _| vec![Text::plain(&answer.secret)]);
    if let Err(failure) = shown {
        let token = answer.read()?.token.identity.token_id;
        let hint = format!("Nobody saw its secret: `qd token revoke {token}`, and make another.");
        return Err(failure.with_hint(hint));
    }
    if !console.is_json() {
        let answer = answer.read()?;
        let about = output::tokens::made(&answer, console.terminal.width());
        console.terminal.note(&about);
    }
    Ok(ExitCode::Ok)
}

fn list(console: &Console) -> Outcome {
    let mut client = console.client()?;
    let answer = wait(async { Ok(client.tokens().await?) })?;
    console.answer(&answer, output::tokens::lines)?;
    Ok(ExitCode::Ok)
}

fn revoke(console: &Console, args: &RevokeArgs) -> Outcome {
    let mut client = console.client()?;
    wait(async { Ok(client.revoke_token(&args.token).await?) })?;
    if !console.is_json() {
        let told = Text::plain(format!("{} counts no more.", args.token));
        console.done(console.terminal.lines(&[told]));
    }
    Ok(ExitCode::Ok)
}
