//! `qd`: the one binary. The daemon, the command line and everything that later joins them start
//! here.

mod args;
mod commands;
mod console;
mod failure;
mod hook;
mod output;
mod ssh_config;
mod starter;

use std::ffi::OsString;
use std::process;

use anstream::ColorChoice;
use api::{ErrorCode, ExitCode};
use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Cli, GlobalArgs};
use crate::commands::target::install;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::terminal::Terminal;
use crate::output::text::Text;

fn main() -> process::ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(call) = hook::Call::of(&arguments) {
        call.serve();
        return process::ExitCode::SUCCESS;
    }
    if let Some(call) = hook::HandedOn::of(&arguments) {
        return process::ExitCode::from(call.serve());
    }
    let code = match only_argument(&arguments) {
        // Asked often and by programs: it costs nothing but the start.
        Some("--version" | "-V") => said(plain().line(version())),
        // Asked by `xtask codegen` alone, so the help does not mention it.
        Some("__reference") => said(plain().generated(&commands::reference::page())),
        // Asked by a script on another machine of a copy that was just made of this.
        Some("__sha256") => said(install::hash_input().and_then(|hash| plain().line(hash))),
        Some(_) | None => match Cli::try_parse_from(&arguments) {
            Ok(cli) => commands::run(&Console::new(cli.global.clone()), cli),
            Err(error) => misunderstood(&error, &arguments),
        },
    };
    process::ExitCode::from(code.number())
}

fn only_argument(arguments: &[OsString]) -> Option<&str> {
    match arguments {
        [_, only] => only.to_str(),
        _ => None,
    }
}

fn plain() -> Terminal {
    Terminal::new(ColorChoice::Never)
}

fn version() -> &'static str {
    concat!("qd ", env!("CARGO_PKG_VERSION"))
}

fn said(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::Ok,
        Err(failure) => {
            Console::new(GlobalArgs { json: false, color: args::Color::Auto, socket: None })
                .fail(&failure);
            failure.exit_code()
        }
    }
}

/// Help and version were asked for; anything else is a mistake.
fn misunderstood(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let json = arguments.iter().any(|it| it == "--json");
    let global = GlobalArgs { json, color: args::Color::Auto, socket: None };
    let console = Console::new(global);
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return said(console.terminal.help(&error.render()));
    }
    let rendered = error.render().to_string();
    let mut lines = rendered.lines().filter(|line| !line.trim().is_empty());
    if json {
        let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
        let rest = lines.map(str::trim).collect::<Vec<_>>().join(" ");
        let failure = Failure::new(ErrorCode::BadRequest, first).with_hint(rest);
        console.fail(&failure);
        return failure.exit_code();
    }
    // It repeats what was typed, which may have come from anywhere.
    let lines: Vec<Text> = rendered.lines().map(Text::plain).collect();
    console.terminal.note(&lines);
    ExitCode::Usage
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_version_is_the_same_on_the_short_way_and_the_long_one() {
        let long = Cli::try_parse_from(["qd", "--version"]).unwrap_err();
        assert_eq!(long.render().to_string().trim(), version());
        assert_eq!(only_argument(&["qd".into(), "-V".into()]), Some("-V"));
        assert_eq!(only_argument(&["qd".into(), "ls".into(), "-V".into()]), None);
    }

    #[test]
    fn a_wrong_word_is_told_its_nearest_neighbour() {
        for (arguments, suggestion) in [
            (&["qd", "wacth"][..], "watch"),
            (&["qd", "list", "pane"], "panes"),
            (&["qd", "ls", "--state", "runing"], "running"),
            (&["qd", "ls", "--sesion", "x"], "--session"),
            (&["qd", "watch", "--format", "json"], "jsonl"),
            (&["qd", "event", "emit", "--source", "hok"], "hook"),
        ] {
            let error = Cli::try_parse_from(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let said = error.render().to_string();
            assert!(said.contains(suggestion), "{arguments:?}: {said}");
        }
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{argument} has no help");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
