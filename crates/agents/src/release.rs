//! Which version of an agent runs: what its path tells, and the file of the package that it came
//! in. A link is followed before its path is asked.

use serde_json::Value;

/// Characters of a version that is believed to be one.
const VERSION_CHARS_MAX: usize = 32;

/// The version that a path itself names, as in `.../versions/2.1.197/...`.
pub fn in_path(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    parts.find(|part| *part == "versions")?;
    parts.next().and_then(version)
}

/// The file of the package that a program or a script was installed with.
pub fn package_file(path: &str) -> Option<String> {
    const FOLDER: &str = "/node_modules/";
    let start = path.rfind(FOLDER)? + FOLDER.len();
    let mut parts = path[start..].split('/');
    let mut package = parts.next().filter(|part| !part.is_empty())?.to_owned();
    if package.starts_with('@') {
        package = format!("{package}/{}", parts.next()?);
    }
    // Without a part below it the path is the folder itself.
    parts.next()?;
    Some(format!("{}{package}/package.json", &path[..start]))
}

/// The version that the file of a package tells.
pub fn of_package(content: &[u8]) -> Option<String> {
    let file: Value = serde_json::from_slice(content).ok()?;
    file.get("version").and_then(Value::as_str).and_then(version).map(str::to_owned)
}

/// The numbers of a version. What follows them names the machine that a part was built for.
fn version(text: &str) -> Option<&str> {
    let numbers = text.split('-').next().unwrap_or(text);
    let plain = numbers.chars().all(|c| c.is_ascii_digit() || c == '.');
    let fits =
        numbers.len() <= VERSION_CHARS_MAX && numbers.starts_with(|c: char| c.is_ascii_digit());
    (plain && fits && numbers.contains('.')).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_name_the_version() {
        assert_eq!(in_path("/home/a/.local/share/claude/versions/2.1.197"), Some("2.1.197"));
        assert_eq!(in_path("/opt/versions/2026.1.2-abc/index.js"), Some("2026.1.2"));
        assert_eq!(in_path("/opt/versions/current/index.js"), None);
        assert_eq!(in_path("/usr/bin/claude"), None);
    }

    #[test]
    fn the_innermost_package_tells_the_version() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(package_file(path).as_deref(), expected, "{path}");
        };
        let scoped = "/usr/lib/node_modules/@openai/codex/bin/codex.js";
        check(scoped, Some("/usr/lib/node_modules/@openai/codex/package.json"));
        let inner = "/l/node_modules/opencode-ai/node_modules/opencode-linux-x64/bin/opencode";
        let file = "/l/node_modules/opencode-ai/node_modules/opencode-linux-x64/package.json";
        check(inner, Some(file));
        check("/usr/bin/codex", None);
        check("/l/node_modules/@openai", None);
        check("/l/node_modules/", None);
    }

    #[test]
    fn a_package_tells_a_version_or_nothing() {
        assert_eq!(of_package(b"{\"version\":\"0.169.0-linux-x64\"}").as_deref(), Some("0.169.0"));
        for content in ["{\"version\":\"latest\"}", "{\"version\":7}", "{}", "{\"version", ""] {
            assert_eq!(of_package(content.as_bytes()), None, "{content}");
        }
    }
}
