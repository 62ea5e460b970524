//! The comma-separated fields of a challenge or of credentials (RFC 7616, 3.3 and 3.4).

use crate::header::quoted::{bare, until};

/// Whose credentials these say they are.
#[must_use]
pub fn username(authorization: &[u8]) -> Option<&[u8]> {
    Fields::of(authorization)?.value(b"username")
}

/// The fields behind the scheme's name `Digest`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of a header value, when its scheme is Digest.
    pub(super) fn of(value: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = value.trim_ascii().split_at_checked(6)?;
        let separated = rest.first().is_some_and(u8::is_ascii_whitespace);
        (scheme.eq_ignore_ascii_case(b"Digest") && separated).then_some(Self(rest))
    }

    /// A field's value without its quotes; escapes stay as they are, both sides hash them so.
    pub(super) fn value(self, name: &[u8]) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while !rest.is_empty() {
            let end = until(rest, b',');
            let field = rest.get(..end)?.trim_ascii();
            rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
            let Some(equals) = field.iter().position(|&byte| byte == b'=') else { continue };
            if field.get(..equals)?.trim_ascii().eq_ignore_ascii_case(name) {
                let value = field.get(equals.saturating_add(1)..)?.trim_ascii();
                return Some(bare(value));
            }
        }
        None
    }
}
