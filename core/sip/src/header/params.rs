//! Parameters behind semicolons (RFC 3261, section 25.1: generic-param).

use super::quoted::{bare, until};

/// The parameters of a value, as the bytes behind its first semicolon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// The parameters that stand in `text`, with or without a leading semicolon.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// Every name with its value; quotes around a value are taken off, escapes in it stay.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.parts().filter(|part| !part.is_empty()).map(split)
    }

    /// Every parameter as it stands between the semicolons, without white space at its ends.
    pub(crate) fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0.strip_prefix(b";").unwrap_or(self.0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (part, more) = rest.split_at_checked(until(rest, b';'))?;
            rest = more.get(1..).unwrap_or_default();
            Some(part.trim_ascii())
        })
    }

    /// The value of a parameter, compared without case; `Some(b"")` for one without a value.
    #[must_use]
    pub fn value(self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// Whether a parameter is there.
    #[must_use]
    pub fn has(self, name: &[u8]) -> bool {
        self.value(name).is_some()
    }
}

fn split(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(equals) = part.iter().position(|&byte| byte == b'=') else { return (part, None) };
    let name = part.get(..equals).unwrap_or_default().trim_ascii_end();
    let value = part.get(equals.saturating_add(1)..).unwrap_or_default().trim_ascii_start();
    (name, Some(bare(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_case_and_values_lose_their_quotes() {
        let params = Params::new(b";Tag=ab ; q = 0.5;lr;x=\"a;b\"");
        assert_eq!(params.value(b"tag"), Some(b"ab".as_slice()));
        assert_eq!(params.value(b"q"), Some(b"0.5".as_slice()));
        assert_eq!(params.value(b"lr"), Some(b"".as_slice()));
        assert_eq!(params.value(b"x"), Some(b"a;b".as_slice()));
        assert!(!params.has(b"y"));
    }
}
