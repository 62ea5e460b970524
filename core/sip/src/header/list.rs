//! Values separated by commas (RFC 3261, section 7.3.1), outside quotes and angle brackets.

use super::quoted::{Quotes, bracket_behind_quote};

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

/// Where the first comma outside quotes and angle brackets stands. A name of Shift_JIS whose last
/// byte seems to escape its quote ends there all the same.
fn comma(text: &[u8]) -> Option<usize> {
    let mut quotes = Quotes::default();
    let found = outside(text, &mut quotes);
    if found.is_some() || !quotes.is_open() {
        return found;
    }
    let start = text.len().checked_sub(text.trim_ascii_start().len())?;
    let bracket = start.checked_add(bracket_behind_quote(text.get(start..)?)?)?;
    let behind = outside(text.get(bracket..)?, &mut Quotes::default())?;
    bracket.checked_add(behind)
}

fn outside(text: &[u8], quotes: &mut Quotes) -> Option<usize> {
    let mut bracketed = false;
    text.iter().position(|&byte| {
        if bracketed {
            bracketed = byte != b'>';
            return false;
        }
        if !quotes.is_outside(byte) {
            return false;
        }
        bracketed = byte == b'<';
        byte == b','
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

    #[test]
    fn a_name_that_ends_with_a_backslash_hides_no_value_behind_it() {
        let name = b"\"\x95\x5c\"".as_slice();
        let line = [b" ", name, b" <sip:a@b;x=1,2>, ", name, b" <tel:1>, <sip:c@d>"].concat();
        let values: Vec<&[u8]> = split_list(&line).collect();
        assert_eq!(values.len(), 3, "{values:?}");
        assert_eq!(values.get(1), Some(&b"\"\x95\x5c\" <tel:1>".as_slice()));
    }
}
