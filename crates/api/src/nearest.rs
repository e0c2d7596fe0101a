//! The known name that was probably meant by an unknown one.

/// How many edits a misspelling may be away from what was meant.
const DISTANCE_MAX: usize = 2;

/// The first of the known names that is nearest to the given one, if any is
/// near enough to be worth suggesting.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        // A name far longer or shorter cannot be near, and text from outside
        // may be long.
        if name.len().abs_diff(given.len()) > DISTANCE_MAX {
            continue;
        }
        let distance = edit_distance(given.as_bytes(), name.as_bytes());
        if distance <= DISTANCE_MAX && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// How many bytes to insert, delete or replace to turn one into the other.
fn edit_distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_name() {
        let known = ["target", "target_session", "state", "sort"];
        assert_eq!(nearest("targets", known), Some("target"));
        assert_eq!(nearest("stat", known), Some("state"));
        assert_eq!(nearest("srot", known), Some("sort"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(nearest("colour", ["target", "state"]), None);
        assert_eq!(nearest("", ["target"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), ["target"]), None);
    }
}
