//! Values separated by commas (RFC 3261, section 7.3.1), outside quotes and angle brackets.

/// The values of one line of a list header, without white space; empty ones are passed over.
pub fn split_list(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let (value, more) = match comma(text) {
            Some(at) => (text.get(..at)?, text.get(at.checked_add(1)?..)),
            None => (text, None),
        };
        rest = more;
        Some(value.trim_ascii())
    })
    .filter(|value| !value.is_empty())
}

/// Where the first comma outside quotes and angle brackets stands.
fn comma(text: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    text.iter().position(|&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b',' if !quoted && !bracketed => return true,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let line = br#""A, \"B" <sip:a@b;x=1,2>;q=1 , <sip:c@d>,, *"#;
        let values: Vec<&[u8]> = split_list(line).collect();
        assert_eq!(values, [br#""A, \"B" <sip:a@b;x=1,2>;q=1"#.as_slice(), b"<sip:c@d>", b"*",]);
    }
}
