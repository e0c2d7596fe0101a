//! Links between the pages of the documentation: each leads to a file that is
//! there, and to a heading that is in it.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::tree::{SourceFile, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let headings: BTreeMap<&str, BTreeSet<String>> =
        tree.with_extension("md").map(|page| (page.path.as_str(), anchors(page))).collect();
    let mut findings = Vec::new();
    for page in tree.with_extension("md") {
        for (line, link) in links(page) {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if target.is_empty() { page.path.clone() } else { join(page, target) };
            let folder = format!("{path}/");
            let known = headings.get(path.as_str());
            if !tree.paths.contains(&path) && !tree.paths.iter().any(|it| it.starts_with(&folder)) {
                findings.push(Finding::at(&page.path, line, format!("`{link}` leads nowhere")));
            } else if !anchor.is_empty() && known.is_some_and(|it| !it.contains(anchor)) {
                let problem = format!("`{link}` leads to no heading of that page");
                findings.push(Finding::at(&page.path, line, problem));
            }
        }
    }
    findings
}

/// The lines of a page that are not within a code block, with their numbers.
fn prose(page: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    page.text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

/// Where the page's links lead, as far as it is within the workspace.
fn links(page: &SourceFile) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (number, line) in prose(page) {
        // Within backquotes a link is an example of one.
        for text in line.split('`').step_by(2) {
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            for (target, _) in targets {
                let target = target.split(' ').next().unwrap_or_default();
                let outside = target.contains("://") || target.starts_with("mailto:");
                if !outside && !target.is_empty() {
                    links.push((number, target));
                }
            }
        }
    }
    links
}

/// The anchors of a page's headings, as code hosts make them.
fn anchors(page: &SourceFile) -> BTreeSet<String> {
    let headings = prose(page).filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| anchor(line.trim_start_matches('#'))).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The path that a relative link of the page means.
fn join(page: &SourceFile, target: &str) -> String {
    let mut parts: Vec<&str> = page.path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(page: &str) -> Vec<String> {
        let tree = Tree::planted(&[
            ("docs/design/a.md", page),
            ("docs/guide/b.md", "# B\n\n## GET /v1/panes: all\n"),
            ("schemas/openapi.json", ""),
        ]);
        check(&tree).into_iter().map(|it| it.problem).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let page = "# A\n[b](../guide/b.md) [c](../guide/b.md#get-v1panes-all) [a](#a)\n\
            [folder](../guide) [json](../../schemas/openapi.json) [out](https://example.org/x)\n\
            `[no](link.md)`\n```\n[no](link.md)\n```\n";
        assert_eq!(problems(page), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(
            problems("[x](x.md) [b](../guide/b.md#c)\n[y](#y)\n"),
            [
                "`x.md` leads nowhere",
                "`../guide/b.md#c` leads to no heading of that page",
                "`#y` leads to no heading of that page",
            ]
        );
    }
}
