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
    ///
    /// A question with several parts is answered at once, one number for each part in their order;
    /// where a part takes several options, their numbers with commas: `qd answer ID 2 1,3`. Its
    /// agent's hook has to wait for it; no dialog is walked through by keys.
    #[arg(value_name = "ANSWER", requires = "which", value_parser = word)]
    words: Vec<Word>,
    /// The name of this request; one is made if not given, and told
    #[arg(long, value_name = "NAME", requires = "words")]
    request_ref: Option<String>,
    /// Only if what is asked still has this fingerprint
    #[arg(long, value_name = "HASH", requires = "words")]
    fingerprint: Option<String>,
    /// Tell the agent why, with `deny`
    #[arg(long, value_name = "TEXT", requires = "words", allow_hyphen_values = true)]
    message: Option<String>,
}

/// One word of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Choice(Choice),
    /// Options of one part.
    Options(Vec<u32>),
}

const NO_ANSWER: &str = "it is approve, session, always, deny, or options' numbers";

fn word(text: &str) -> Result<Word, String> {
    let choice = |choice| Ok(Word::Choice(choice));
    match text {
        "approve" | "yes" | "y" => choice(Choice::Approve),
        "session" | "s" => choice(Choice::ApproveSession),
        "always" | "a" => choice(Choice::ApproveAlways),
        "deny" | "no" | "n" => choice(Choice::Deny),
        numbers => {
            let number = |text: &str| text.parse::<u32>().ok().filter(|nth| *nth > 0);
            let options: Option<Vec<u32>> = numbers.split(',').map(number).collect();
            options.map(Word::Options).ok_or_else(|| NO_ANSWER.to_owned())
        }
    }
}

/// What words say together: one choice, or the options of each part.
fn reply(words: &[Word]) -> Option<Reply> {
    if let [Word::Choice(choice)] = words {
        return Some(Reply::plain(*choice));
    }
    let options = words.iter().map(|word| match word {
        Word::Options(options) => Some(options.clone()),
        Word::Choice(_) => None,
    });
    let picks: Vec<Vec<u32>> = options.collect::<Option<_>>()?;
    (!picks.is_empty()).then(|| Reply::picking(picks))
}

pub(crate) fn run(console: &Console, args: &AnswerArgs) -> Outcome {
    match &args.which {
        Some(which) if !args.words.is_empty() => {
            let reply = reply(&args.words)
                .ok_or_else(|| Failure::new(ErrorCode::BadRequest, NO_ANSWER.to_owned()))?;
            let which = WhichArgs {
                which: which.clone(),
                request_ref: args.request_ref.clone(),
                fingerprint: args.fingerprint.clone(),
            };
            give(console, &which, Reply { message: args.message.clone(), ..reply })
        }
        which => walk(console, which.as_deref()),
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
            Some(_) | None => {
                let words: Option<Vec<Word>> =
                    text.split_whitespace().map(|it| word(it).ok()).collect();
                let reply = words.and_then(|words| reply(&words));
                reply.map_or(Typed::Unclear, Typed::Reply)
            }
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
            Typed::Reply(reply) if !shown::fits(asked, &reply) => is_new = false,
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
        let second = Reply { option: Some(2), ..Reply::plain(Choice::Option) };
        assert_eq!(typed("2"), Typed::Reply(second));
        let parts = vec![vec![2], vec![1, 3]];
        let parts = Reply { picks: parts, ..Reply::plain(Choice::Option) };
        assert_eq!(typed("2  1,3"), Typed::Reply(parts));
        assert_eq!([typed(""), typed("m"), typed("q")], [Typed::Skip, Typed::More, Typed::Quit]);
        for unclear in ["0", "yes please", "Y", "x", "1 y", "y y", "1,", "1 0", "1 2 x"] {
            assert_eq!(
                typed(unclear),
                Typed::Unclear,
                "{unclear}: nothing is ever taken for a yes"
            );
        }
    }
}
