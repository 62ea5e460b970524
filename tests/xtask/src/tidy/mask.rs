//! Rust text with comments and the insides of string and character literals blanked out, line by
//! line and byte by byte where it was, so that a word found in it is code.

/// The masked text; as long as `text` in lines, every line as long in characters.
pub(super) fn code(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut rest = characters.as_slice();
    while let Some(first) = rest.first() {
        let after_name =
            masked.chars().next_back().is_some_and(|last| last == '_' || last.is_alphanumeric());
        let (length, keep) = match (first, rest.get(1)) {
            ('/', Some('/')) => (line_comment(rest), false),
            ('/', Some('*')) => (block_comment(rest), false),
            ('"', _) => (string(rest), false),
            ('r' | 'b' | 'c', _) if !after_name => match literal_prefix(rest) {
                Some(length) => (length, false),
                None => (1, true),
            },
            ('\'', _) => match character(rest) {
                Some(length) => (length, false),
                None => (1, true),
            },
            _ => (1, true),
        };
        let (token, behind) = rest.split_at(length.clamp(1, rest.len()));
        masked.extend(token.iter().map(|one| if keep || *one == '\n' { *one } else { ' ' }));
        rest = behind;
    }
    masked
}

fn line_comment(rest: &[char]) -> usize {
    rest.iter().position(|one| *one == '\n').unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match (rest.get(at), rest.get(at + 1)) {
            (Some('/'), Some('*')) => (depth, at) = (depth + 1, at + 2),
            (Some('*'), Some('/')) => {
                (depth, at) = (depth.saturating_sub(1), at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while let Some(one) = rest.get(at) {
        match one {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `c"…"`, `b'…'`; `None` when it is a name.
fn literal_prefix(rest: &[char]) -> Option<usize> {
    let letters = rest.iter().take(2).take_while(|one| matches!(one, 'r' | 'b' | 'c')).count();
    let behind = rest.get(letters..)?;
    let raw = rest.get(..letters)?.contains(&'r');
    let hashes = behind.iter().take_while(|one| **one == '#').count();
    match behind.get(hashes)? {
        '"' if raw => {
            let end: Vec<char> = std::iter::once('"').chain((0..hashes).map(|_| '#')).collect();
            let inside = behind.get(hashes + 1..)?;
            let close = inside.windows(end.len()).position(|part| part == end)?;
            Some(letters + hashes + 1 + close + end.len())
        }
        '"' if hashes == 0 => Some(letters + string(behind)),
        '\'' if hashes == 0 => Some(letters + character(behind)?),
        _ => None,
    }
}

/// A character literal; `None` for a lifetime.
fn character(rest: &[char]) -> Option<usize> {
    match (rest.get(1)?, rest.get(2)?) {
        ('\\', _) => {
            // The character behind the backslash may itself be a quote.
            let close = rest.get(3..)?.iter().position(|one| *one == '\'')?;
            Some(close + 4)
        }
        (_, '\'') => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn comments_and_literals_are_blank_and_code_stays_in_its_place() {
        let text = "let a = \"unsafe\\\"\"; // unsafe\nlet b = r#\"un\"safe\"#; /* x /* y */ z */ f('\\'', 'a', b'x')";
        let masked = code(text);
        assert!(!masked.contains("unsafe") && !masked.contains('z') && !masked.contains('x'));
        assert_eq!(masked.chars().count(), text.chars().count());
        assert_eq!(masked.find("f("), text.find("f("));
    }

    #[test]
    fn lifetimes_and_names_are_no_literals() {
        let text = "fn walk<'a>(for_: &'a str, b: r#type) -> &'static u8 { bar }";
        assert_eq!(code(text), text);
    }
}
