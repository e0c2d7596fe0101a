//! Cargo.lock: where everything comes from, how much of it there is, and that
//! nothing is there twice without a reason.

use std::collections::BTreeMap;

use super::Finding;

/// The only place packages come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// The most packages in the lock.
const PACKAGES_MAX: usize = 250;

/// Packages that may be there in two versions, since when, and why.
const TWICE: &[(&str, &str, &str)] = &[(
    "syn",
    "2026-11-21",
    "serde and thiserror have moved to 3, clap and schemars not yet; build time only",
)];

const PATH: &str = "Cargo.lock";

pub(super) fn check(lock: &str) -> Vec<Finding> {
    let packages: Vec<Locked> = lock.split("\n[[package]]").skip(1).map(Locked::read).collect();
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        versions.entry(package.name).or_default().push(package.version);
        if package.source.is_some_and(|source| source != REGISTRY) {
            let problem = format!("`{}` comes from somewhere else than crates.io", package.name);
            findings.push(Finding::whole(PATH, problem));
        }
    }
    for (name, versions) in &versions {
        let listed = TWICE.iter().any(|(twice, _, _)| twice == name);
        if versions.len() > 1 && !listed {
            let problem = format!("`{name}` is there as {}", versions.join(" and "));
            findings.push(Finding::whole(PATH, problem));
        }
    }
    for (name, since, _) in TWICE {
        if versions.get(name).is_none_or(|it| it.len() < 2) {
            let problem = format!("`{name}` is there once: take it off the list of {since}");
            findings.push(Finding::whole(PATH, problem));
        }
    }
    if packages.len() > PACKAGES_MAX {
        let problem = format!("{} packages, at most {PACKAGES_MAX}", packages.len());
        findings.push(Finding::whole(PATH, problem));
    }
    findings
}

struct Locked<'a> {
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
}

impl<'a> Locked<'a> {
    fn read(block: &'a str) -> Self {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.strip_prefix(" = ")).map(|value| value.trim_matches('"'))
        };
        Self {
            name: field("name").unwrap_or_default(),
            version: field("version").unwrap_or_default(),
            source: field("source"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str, Option<&str>)]) -> String {
        let block = |(name, version, source): &(&str, &str, Option<&str>)| {
            let source = source.map(|it| format!("source = \"{it}\"\n")).unwrap_or_default();
            format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}")
        };
        "version = 4\n".to_owned() + &packages.iter().map(block).collect::<String>()
    }

    fn problems(packages: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let listed = [("syn", "2.0.0", Some(REGISTRY)), ("syn", "3.0.0", Some(REGISTRY))];
        let found = check(&lock(&[&listed, packages].concat()));
        found.into_iter().map(|it| it.problem).collect()
    }

    #[test]
    fn one_version_of_each_from_the_registry_is_fine() {
        assert_eq!(
            problems(&[("api", "0.1.0", None), ("serde", "1.0.0", Some(REGISTRY))]),
            [""; 0]
        );
    }

    #[test]
    fn two_versions_and_other_sources_are_found() {
        assert_eq!(
            problems(&[
                ("serde", "1.0.0", Some(REGISTRY)),
                ("serde", "2.0.0", Some(REGISTRY)),
                ("own", "0.1.0", Some("git+https://example.org/own")),
            ]),
            [
                "`own` comes from somewhere else than crates.io",
                "`serde` is there as 1.0.0 and 2.0.0",
            ]
        );
    }

    #[test]
    fn an_exception_that_is_no_longer_needed_is_found() {
        let found = check(&lock(&[("syn", "3.0.0", Some(REGISTRY))]));
        assert_eq!(found.len(), 1);
        assert!(found[0].problem.starts_with("`syn` is there once"));
    }

    #[test]
    fn a_lock_that_grows_beyond_its_budget_is_found() {
        let names: Vec<String> = (0..PACKAGES_MAX).map(|it| format!("p{it}")).collect();
        let many: Vec<_> = names.iter().map(|it| (it.as_str(), "1.0.0", None)).collect();
        assert_eq!(
            problems(&many),
            [format!("{} packages, at most {PACKAGES_MAX}", many.len() + 2)]
        );
    }
}
