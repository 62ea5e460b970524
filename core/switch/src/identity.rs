//! Who calls, and how it is shown (RFC 3323, RFC 3325, RFC 7315).

use koukan_sip::header::{NameAddr, Uri};
use koukan_sip::{Header, Message};

/// The calling number of a trunk's INVITE: P-Asserted-Identity, else From; `None` when it is
/// hidden.
pub(crate) fn caller_number(message: &Message) -> Option<String> {
    if wants_privacy(message) {
        return None;
    }
    let asserted = message
        .list(Header::PAssertedIdentity)
        .find_map(|value| digits_of(NameAddr::parse(value)?.uri()?));
    let number = asserted.or_else(|| digits_of(message.from()?.uri()?))?;
    Some(match number.strip_prefix("+81") {
        Some(rest) => format!("0{rest}"),
        None => number,
    })
}

/// Whether the caller asks to stay unknown.
pub(crate) fn wants_privacy(message: &Message) -> bool {
    let listed = message.header(Header::Privacy).is_some_and(|value| {
        value
            .split(|byte| matches!(byte, b';' | b','))
            .any(|word| matches!(word.trim_ascii(), b"id" | b"user" | b"full" | b"header"))
    });
    let anonymous = message
        .from()
        .and_then(|from| from.uri())
        .is_some_and(|uri| uri.user.is_some_and(|user| user.eq_ignore_ascii_case(b"anonymous")));
    listed || anonymous
}

fn digits_of(uri: Uri<'_>) -> Option<String> {
    let user = String::from_utf8(uri.user_unescaped()?).ok()?;
    let number: String =
        user.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
    let digits = number.strip_prefix('+').unwrap_or(&number);
    let valid =
        !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then_some(number)
}

/// A name-addr with a quoted display name.
pub(crate) fn name_addr(display: &str, user: &str, host: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(display.len() + user.len() + host.len() + 16);
    if !display.is_empty() {
        text.push(b'"');
        for byte in display.bytes().filter(|byte| !byte.is_ascii_control()) {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(byte);
        }
        text.extend_from_slice(b"\" ");
    }
    text.extend_from_slice(format!("<sip:{}@{host}>", escape(user)).as_bytes());
    text
}

/// The user part of a URI with everything escaped that may not stand there (RFC 3261, 25.1).
pub(crate) fn escape(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_display_name_or_a_user() {
        assert_eq!(name_addr("a\"b\\\r\nc", "x>y", "h"), br#""a\"b\\c" <sip:x%3Ey@h>"#.to_vec());
        assert_eq!(escape("#7119"), "%237119");
    }
}
