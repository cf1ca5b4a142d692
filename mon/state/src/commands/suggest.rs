//! The word that somebody probably meant.

/// The candidate with the fewest edits to `wanted`, if they are few beside its length; among equals the first.
pub(crate) fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(wanted, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= (candidate.len() / 3).clamp(1, 4))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance between what was typed and the candidate, or the beginning of what was typed that has as many
/// words: arguments may follow a misspelt command.
fn distance(wanted: &str, candidate: &str) -> usize {
    let words = candidate.split(' ').count();
    let head: Vec<&str> = wanted.split(' ').take(words).collect();
    edits(&head.join(" "), candidate)
}

fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_noise_finds_none() {
        let words = ["status", "osd tree", "osd pool create", "osd pool ls"];
        assert_eq!(nearest("stauts", words.into_iter()), Some("status"));
        assert_eq!(nearest("osd tre", words.into_iter()), Some("osd tree"));
        assert_eq!(nearest("osd pol create demo", words.into_iter()), Some("osd pool create"));
        assert_eq!(nearest("make me a sandwich", words.into_iter()), None);
    }
}
