//! `qd answer`: answers one approval, or walks through all that wait.

use std::collections::BTreeSet;

use api::approvals::{ApprovalItem, ApprovalsQuery, Choice};
use api::{ErrorCode, ExitCode};
use clap::Args;

use crate::commands::Outcome;
use crate::commands::acting::new_name;
use crate::commands::approvals::{Reply, WhichArgs, find, give, request};
use crate::console::{Console, wait};
use crate::failure::{self, Failure};
use crate::output::approvals::{self as shown, Extent};
use crate::output::text::Text;

/// Answer what agents ask
///
/// Without an id it shows all that wait one by one, oldest first, and asks. In a tmux popup:
/// `tmux display-popup -E qd answer`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AnswerArgs {
    /// The approval's id; or a pane or runtime in which exactly one waits
    #[arg(value_name = "ID|REF", allow_hyphen_values = true)]
    which: Option<String>,
    /// The answer: approve, session, always, deny, or the number of a question's option
    #[arg(value_name = "ANSWER", requires = "which", value_parser = reply)]
    reply: Option<Reply>,
    /// The name of this request; one is made if not given, and told
    #[arg(long, value_name = "NAME", requires = "reply")]
    request_ref: Option<String>,
    /// Only if what is asked still has this fingerprint
    #[arg(long, value_name = "HASH", requires = "reply")]
    fingerprint: Option<String>,
    /// Tell the agent why, with `deny`
    #[arg(long, value_name = "TEXT", requires = "reply", allow_hyphen_values = true)]
    message: Option<String>,
}

fn reply(text: &str) -> Result<Reply, String> {
    let plain = |choice| Ok(Reply::plain(choice));
    match text {
        "approve" | "yes" | "y" => plain(Choice::Approve),
        "session" | "s" => plain(Choice::ApproveSession),
        "always" | "a" => plain(Choice::ApproveAlways),
        "deny" | "no" | "n" => plain(Choice::Deny),
        number => match number.parse::<u32>() {
            Ok(option @ 1..) => {
                Ok(Reply { choice: Choice::Option, option: Some(option), message: None })
            }
            Ok(0) | Err(_) => {
                Err("it is approve, session, always, deny, or an option's number".to_owned())
            }
        },
    }
}

pub(crate) fn run(console: &Console, args: &AnswerArgs) -> Outcome {
    match (&args.which, &args.reply) {
        (Some(which), Some(reply)) => {
            let which = WhichArgs {
                which: which.clone(),
                request_ref: args.request_ref.clone(),
                fingerprint: args.fingerprint.clone(),
            };
            give(console, &which, Reply { message: args.message.clone(), ..reply.clone() })
        }
        (which, _) => walk(console, which.as_deref()),
    }
}

/// What somebody typed at an approval.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Reply(Reply),
    More,
    Skip,
    Quit,
    Unclear,
}

fn typed(line: &str) -> Typed {
    match line.trim() {
        "" => Typed::Skip,
        "m" => Typed::More,
        "q" => Typed::Quit,
        text => match text.split_once(' ') {
            // No, and why.
            Some(("n", why)) => {
                let message = Some(why.trim().to_owned());
                Typed::Reply(Reply { message, ..Reply::plain(Choice::Deny) })
            }
            Some(_) => Typed::Unclear,
            None => reply(text).map_or(Typed::Unclear, Typed::Reply),
        },
    }
}

/// Shows what waits, one screen each, until nothing is left that was not seen.
fn walk(console: &Console, which: Option<&str>) -> Outcome {
    if console.is_json() {
        let message = "to answer without a terminal, name the approval and the answer";
        return Err(Failure::new(ErrorCode::BadRequest, message));
    }
    let mut seen = BTreeSet::new();
    let mut left_out = false;
    let mut outcome = Vec::new();
    while let Some((asked, behind)) = next(console, which, &seen)? {
        seen.insert(asked.approval_id.clone());
        match ask(console, &asked, behind, &outcome)? {
            Some(Typed::Reply(reply)) => outcome = told(console, &asked, reply)?,
            Some(Typed::Quit) => return Ok(ExitCode::Ok),
            Some(Typed::Skip | Typed::More | Typed::Unclear) => {
                left_out = true;
                outcome = Vec::new();
            }
            None => {
                let message = "there is nobody to ask";
                return Err(Failure::new(ErrorCode::ConfirmationRequired, message)
                    .with_hint("Name the approval and the answer: `qd answer ID approve`."));
            }
        }
    }
    console.terminal.lines(&outcome)?;
    let end = if left_out { "Nothing else waits." } else { "Nothing waits." };
    console.terminal.line(Text::plain(end))?;
    Ok(ExitCode::Ok)
}

/// The oldest that was not seen, and how many are behind it.
fn next(
    console: &Console,
    which: Option<&str>,
    seen: &BTreeSet<String>,
) -> Result<Option<(ApprovalItem, usize)>, Failure> {
    let mut client = console.client()?;
    wait(async {
        if let Some(which) = which {
            let unseen = seen.is_empty();
            return if unseen { Ok(Some((find(&mut client, which).await?, 0))) } else { Ok(None) };
        }
        let waiting = client.approvals(&ApprovalsQuery::default()).await?.read()?.items;
        let mut waiting = waiting.into_iter().filter(|it| !seen.contains(&it.approval_id));
        let Some(oldest) = waiting.next() else { return Ok(None) };
        Ok(Some((oldest, waiting.count())))
    })
}

/// Shows one below what became of the last, and asks, until there is an answer; nothing where there
/// is nobody to ask.
fn ask(
    console: &Console,
    asked: &ApprovalItem,
    behind: usize,
    outcome: &[Text],
) -> Result<Option<Typed>, Failure> {
    let (mut is_whole, mut is_new) = (false, true);
    loop {
        let width = console.terminal.width();
        let above: Vec<Text> =
            outcome.iter().flat_map(|line| line.clone().wrapped(width)).collect();
        let height = console.terminal.height().map(|rows| rows.saturating_sub(above.len()));
        let extent = if is_whole { Extent::All } else { Extent::Screen(height) };
        let request = shown::screen(asked, behind, console.now(), width, extent);
        let screen = [above, request].concat();
        let keys = shown::keys(asked, width);
        let Some(line) = console.terminal.ask_below(&screen, &keys, is_new)? else {
            return Ok(None);
        };
        match typed(&line) {
            Typed::More => (is_whole, is_new) = (true, true),
            Typed::Unclear => is_new = false,
            answer @ (Typed::Reply(_) | Typed::Skip | Typed::Quit) => return Ok(Some(answer)),
        }
    }
}

/// Answers, and tells what became of it; the next one follows whatever it was.
fn told(console: &Console, asked: &ApprovalItem, reply: Reply) -> Result<Vec<Text>, Failure> {
    let mut client = console.client()?;
    let request = request(asked, new_name(), asked.fingerprint.clone(), reply);
    if let Err(error) = request.check() {
        return Ok(vec![Text::plain(error.to_string())]);
    }
    let answered = wait(async { Ok(client.respond(&request).await) })?;
    Ok(match answered {
        Ok(answer) => vec![crate::output::actions::told(&answer.read()?)],
        Err(error) => failure::lines(&error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_an_answer_a_wish_or_nothing() {
        assert_eq!(typed("y"), Typed::Reply(Reply::plain(Choice::Approve)));
        assert_eq!(typed(" n\n"), Typed::Reply(Reply::plain(Choice::Deny)));
        let denied = Reply { message: Some("use git mv".into()), ..Reply::plain(Choice::Deny) };
        assert_eq!(typed("n use git mv"), Typed::Reply(denied));
        let second = Reply { choice: Choice::Option, option: Some(2), message: None };
        assert_eq!(typed("2"), Typed::Reply(second));
        assert_eq!([typed(""), typed("m"), typed("q")], [Typed::Skip, Typed::More, Typed::Quit]);
        for unclear in ["0", "yes please", "Y", "x"] {
            assert_eq!(
                typed(unclear),
                Typed::Unclear,
                "{unclear}: nothing is ever taken for a yes"
            );
        }
    }
}
