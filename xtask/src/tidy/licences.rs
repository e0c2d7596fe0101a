//! Licences: what everything we build from lets us do.

use super::Finding;
use super::metadata::{Metadata, Package};

/// Licences that ask for no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    metadata.packages.iter().filter(|it| it.source.is_some()).filter_map(check_package).collect()
}

fn check_package(package: &Package) -> Option<Finding> {
    let path = format!("package {} {}", package.name, package.version);
    let Some(licence) = &package.license else {
        return Some(Finding::whole(&path, "names no licence"));
    };
    let fine = Expression::new(licence).allows();
    (!fine).then(|| Finding::whole(&path, format!("has the licence `{licence}`")))
}

/// An SPDX expression, read word by word: `AND` binds closer than `OR`.
struct Expression<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
}

impl<'a> Expression<'a> {
    fn new(text: &'a str) -> Self {
        let mut words = Vec::new();
        for part in text.split_inclusive(['(', ')', '/', ' ']) {
            let (word, separator) = part.split_at(part.len() - 1);
            match separator {
                "(" | ")" | "/" => words.extend([word, separator]),
                " " => words.push(word),
                _ => words.push(part),
            }
        }
        words.retain(|word| !word.is_empty());
        Self { words: words.into_iter().peekable() }
    }

    /// Whether some choice it leaves consists of allowed licences only. What
    /// cannot be read is not allowed.
    fn allows(mut self) -> bool {
        let allowed = self.alternatives() == Some(true);
        allowed && self.words.next().is_none()
    }

    fn alternatives(&mut self) -> Option<bool> {
        let mut allowed = self.all()?;
        while self.words.next_if(|word| matches!(*word, "OR" | "/")).is_some() {
            allowed |= self.all()?;
        }
        Some(allowed)
    }

    fn all(&mut self) -> Option<bool> {
        let mut allowed = self.one()?;
        while self.words.next_if(|word| *word == "AND").is_some() {
            allowed &= self.one()?;
        }
        Some(allowed)
    }

    fn one(&mut self) -> Option<bool> {
        let licence = self.words.next()?;
        if licence == "(" {
            let allowed = self.alternatives()?;
            return (self.words.next() == Some(")")).then_some(allowed);
        }
        if self.words.next_if(|word| *word == "WITH").is_none() {
            return Some(ALLOWED.contains(&licence));
        }
        let exception = self.words.next()?;
        Some(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(text: &str) -> bool {
        Expression::new(text).allows()
    }

    #[test]
    fn a_choice_is_fine_if_one_side_is() {
        for text in [
            "MIT",
            "MIT/Apache-2.0",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "GPL-2.0 OR MIT AND BSD-3-Clause",
        ] {
            assert!(allows(text), "{text}");
        }
    }

    #[test]
    fn what_asks_for_more_or_cannot_be_read_is_not() {
        for text in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
            "GPL-3.0 WITH Classpath-exception-2.0",
            "MIT OR",
            "MIT Apache-2.0",
            "(MIT",
        ] {
            assert!(!allows(text), "{text}");
        }
    }
}
