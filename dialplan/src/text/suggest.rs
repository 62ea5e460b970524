//! "Did you mean": the known name that is nearest to what was written.

/// The nearest of `known` to `written`, when it is near enough to be a slip of the finger.
pub fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let limit = (written.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(written, name), name))
        .filter(|(steps, _)| *steps <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string
/// alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let width = right.len().saturating_add(1);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..width).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        for (column, b) in right.iter().enumerate() {
            let get = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = get(&above, column).saturating_add(usize::from(a != b));
            best = best.min(get(&above, column.saturating_add(1)).saturating_add(1));
            best = best.min(get(&current, column).saturating_add(1));
            let swapped = row > 0
                && column > 0
                && left.get(row.saturating_sub(1)) == Some(b)
                && right.get(column.saturating_sub(1)) == Some(a);
            if swapped {
                best = best.min(get(&before, column.saturating_sub(1)).saturating_add(1));
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_seen_and_another_word_is_not() {
        assert_eq!(nearest("voicemial", ["fax", "voicemail"]), Some("voicemail"));
        assert_eq!(nearest("dail", ["do", "dial"]), Some("dial"));
        assert_eq!(nearest("ecko", ["echo", "ring"]), Some("echo"));
        assert_eq!(nearest("park", ["voicemail", "echo"]), None);
    }
}
