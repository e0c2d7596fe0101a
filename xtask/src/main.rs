//! The workspace's own tools: what is generated from the code, and what is
//! checked about it. `./x` calls them; nothing here ships.

mod codegen;
mod compat;
mod planted;
mod tidy;
mod tree;

use std::io::Write as _;

use anyhow::{Context as _, bail};

const USAGE: &str = "\
usage: cargo run -p xtask -- COMMAND

  codegen           write schemas/ and docs/reference/ from the code
  codegen --check   fail if one of them is not what the code says
  bless             promise the schemas as they are: copy them to schemas/blessed/
  planted           plant bugs into a copy of the tree and let the simulator find them
  tidy              check what neither compiler nor clippy checks
";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = tree::workspace_root()?;
    let report = match words[..] {
        ["codegen"] => codegen::write(&root)?,
        ["codegen", "--check"] => codegen::check(&root)?,
        ["bless"] => compat::bless(&root)?,
        ["planted"] => planted::run(&root)?,
        ["tidy"] => tidy::run(&root)?,
        [] | ["help" | "--help" | "-h"] => USAGE.to_owned(),
        _ => bail!("unknown command `{}`\n\n{USAGE}", words.join(" ")),
    };
    std::io::stdout().write_all(report.as_bytes()).context("the report could not be written")
}
