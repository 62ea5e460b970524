//! Quoted strings (RFC 3261, section 25.1): what stands inside quotes separates nothing.

/// Reads a value byte by byte and knows what stands in quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quotes {
    quoted: bool,
    escaped: bool,
}

impl Quotes {
    /// Whether the next byte stands outside quotes; a quote itself does not.
    pub(crate) fn is_outside(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match byte {
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ => return !self.quoted,
        }
        false
    }

    /// Whether a quote is open that nothing has closed.
    pub(crate) const fn is_open(self) -> bool {
        self.quoted
    }
}

/// Where `separator` stands first outside quotes.
pub(crate) fn find_outside(text: &[u8], separator: u8) -> Option<usize> {
    let mut quotes = Quotes::default();
    text.iter().position(|&byte| quotes.is_outside(byte) && byte == separator)
}

/// What stands before `separator` outside quotes, or everything.
pub(crate) fn until(text: &[u8], separator: u8) -> usize {
    find_outside(text, separator).unwrap_or(text.len())
}

/// A value without the quotes around it; escapes in it stay.
pub(crate) fn bare(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value)
}

/// Where `<` stands right behind a quote, in a value whose quotes do not end by the rules: the
/// second byte of some characters of Shift_JIS is a backslash, which then seems to escape the
/// closing quote (`"\x95\x5c" <sip:...>`). Phones in Japan send such names.
pub(crate) fn bracket_behind_quote(value: &[u8]) -> Option<usize> {
    if value.first() != Some(&b'"') {
        return None;
    }
    value.iter().enumerate().skip(1).find_map(|(at, &byte)| {
        let behind = value.get(at.checked_add(1)?..)?;
        let spaces = behind.len().checked_sub(behind.trim_ascii_start().len())?;
        let bracket = at.checked_add(1)?.checked_add(spaces)?;
        (byte == b'"' && value.get(bracket) == Some(&b'<')).then_some(bracket)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_quotes_and_behind_escapes_do_not_count() {
        assert_eq!(find_outside(br#""a,\",b",c"#, b','), Some(8));
        assert_eq!(find_outside(br#"a\",b"#, b','), None, "no escape outside quotes");
        assert_eq!(until(b"abc", b';'), 3);
        assert_eq!(
            (bare(b"\"x\""), bare(b"\""), bare(b"x\"")),
            (&b"x"[..], &b"\""[..], &b"x\""[..])
        );
    }

    #[test]
    fn a_quote_that_a_character_seems_to_escape_is_found_by_its_bracket() {
        assert_eq!(bracket_behind_quote(b"\"\x95\x5c\" <sip:a@b>"), Some(5));
        assert_eq!(bracket_behind_quote(b"\"\x95\x5c\", <sip:a@b>"), None);
        assert_eq!(bracket_behind_quote(b"x\" <sip:a@b>"), None);
    }
}
