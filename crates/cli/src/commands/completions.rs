//! `qd completions`: scripts that let a shell complete the command line.

use std::path::PathBuf;

use api::ExitCode;
use clap::{Args, CommandFactory, ValueEnum};

use crate::args::Cli;
use crate::commands::Outcome;
use crate::commands::install::{self, Installed};
use crate::console::Console;

/// Print the completion script of a shell, or install it
///
/// Without --install, put the output where your shell looks for completions.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
    /// Write it where that shell looks for it; `qd uninstall` takes it away
    #[arg(long)]
    install: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU bash
    Bash,
    /// Z shell
    Zsh,
    /// Friendly interactive shell
    Fish,
}

pub(crate) fn run(console: &Console, args: &CompletionsArgs) -> Outcome {
    let script = script(args.shell);
    if !args.install {
        console.terminal.generated(&script)?;
        return Ok(ExitCode::Ok);
    }
    let file = Installed::completions(args.shell)?;
    install::write(console, &file, &script)?;
    if args.shell == Shell::Zsh {
        let folder = file.path.parent().map(PathBuf::from).unwrap_or_default();
        let line = format!("fpath=({} $fpath)", folder.display());
        console.terminal.line(format!("In ~/.zshrc, before compinit: {line}"))?;
    }
    Ok(ExitCode::Ok)
}

fn script(shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "qd", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["watch", "explain", "target-session", "waiting_approval"] {
                assert!(script.contains(word), "{shell:?} does not know {word}");
            }
        }
    }
}
