//! `qd man`: manual pages.

use std::path::PathBuf;

use api::{ErrorCode, ExitCode};
use clap::{Args, Command, CommandFactory};

use crate::args::Cli;
use crate::commands::Outcome;
use crate::commands::install::{self, Installed};
use crate::console::Console;
use crate::failure::Failure;

/// Print the manual page of qd, or write all pages into a folder
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "install")]
    dir: Option<PathBuf>,
    /// Write them where man looks for them; `qd uninstall` takes them away
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(console: &Console, args: &ManArgs) -> Outcome {
    let pages = pages()?;
    if let Some(folder) = &args.dir {
        for page in &pages {
            install::write(console, &Installed::at(folder.join(&page.file)), &page.text)?;
        }
    } else if args.install {
        let folder = Installed::manual()?;
        for page in &pages {
            install::write(console, &Installed::at(folder.join(&page.file)), &page.text)?;
        }
    } else if let Some(first) = pages.first() {
        console.terminal.generated(&first.text)?;
    }
    Ok(ExitCode::Ok)
}

/// One manual page.
#[derive(Debug)]
struct Page {
    file: String,
    text: String,
}

/// A page for `qd`, and one for each command below it.
fn pages() -> Result<Vec<Page>, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, "qd", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<Page>) -> Result<(), Failure> {
    let mut text = Vec::new();
    let man = clap_mangen::Man::new(command.clone()).title(name);
    man.render(&mut text).map_err(|error| {
        Failure::new(ErrorCode::Internal, format!("cannot make the page of {name}: {error}"))
    })?;
    let text = String::from_utf8_lossy(&text).into_owned();
    pages.push(Page { file: format!("{name}.1"), text });
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
    for below in shown {
        collect(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_every_command() {
        let pages = pages().unwrap();
        let names: Vec<_> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(names.first(), Some(&"qd.1"));
        for name in ["qd-list-panes.1", "qd-daemon-status.1", "qd-watch.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("help") || name.contains("__")));
        for page in &pages {
            assert!(page.text.contains(".TH"), "{}", page.file);
        }
    }
}
