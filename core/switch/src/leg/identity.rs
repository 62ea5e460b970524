//! Who calls, and how it is shown (RFC 3323, RFC 3325, RFC 7315).

use std::sync::Arc;

use koukan_sip::header::{NameAddr, Party as CalledOrCalling, Privacy, RemotePartyId, Uri};
use koukan_sip::{Header, Message};

use crate::limits;

/// Who is at the other end of a leg, as far as others may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// A number, or a colleague's extension; `None` is anonymous.
    pub(crate) number: Option<Arc<str>>,
    /// The display name as it stood on the wire, with its quotes: bytes of any character set.
    pub(crate) display: Box<[u8]>,
}

impl Identity {
    /// A party that is known by its number alone.
    pub(crate) fn of_number(number: Arc<str>) -> Self {
        Self { number: Some(number), display: Box::default() }
    }
}

/// Who calls by a trunk. A trusted one asserts it (P-Asserted-Identity, else Remote-Party-ID); of
/// any other, From is what it says of itself. `None` as number when it is hidden.
pub(crate) fn caller_of(message: &Message, trusted: bool) -> Identity {
    let from = message.from();
    let own_name = from.map(|from| from.display).unwrap_or_default();
    if wants_privacy(message) {
        // A caller without a number has a reason in place of its name, which callers are billed
        // by and phones show (a payphone).
        let display = if is_reason(own_name) { kept(own_name) } else { Box::default() };
        return Identity { number: None, display };
    }
    let asserted = || asserted(message).or_else(|| remote_party(message));
    if let Some(identity) = trusted.then(asserted).flatten() {
        let unnamed = identity.display.is_empty();
        let display = if unnamed { kept(own_name) } else { identity.display };
        return Identity { display, ..identity };
    }
    let number = from.and_then(|from| number_of(from.uri()?));
    let shown = number.is_some() || is_reason(own_name);
    Identity { number, display: if shown { kept(own_name) } else { Box::default() } }
}

/// What a trusted peer asserts of the party at its end, unless that party wants to stay unknown.
pub(crate) fn connected_of(message: &Message) -> Option<Identity> {
    let hidden = message.header(Header::Privacy).is_some_and(|v| Privacy::parse(v).hides_caller());
    if hidden { None } else { asserted(message) }
}

/// RFC 3325, 9.1: one value, or a SIP and a TEL one of the same party.
fn asserted(message: &Message) -> Option<Identity> {
    let of = |value| {
        let address = NameAddr::parse(value)?;
        let number = Some(number_of(address.uri()?)?);
        Some(Identity { number, display: kept(address.display) })
    };
    message.list(Header::PAssertedIdentity).take(2).find_map(of)
}

fn remote_party(message: &Message) -> Option<Identity> {
    let of = |value| {
        let party = RemotePartyId::parse(value)?;
        let calling = party.party == CalledOrCalling::Calling && !party.private;
        let number = Some(number_of(party.address.uri().filter(|_| calling)?)?);
        Some(Identity { number, display: kept(party.address.display) })
    };
    message.list(Header::RemotePartyId).take(2).find_map(of)
}

/// The number that a phone wants to be known by (RFC 3325, 9.2).
pub(crate) fn preferred_of(message: &Message) -> Option<Arc<str>> {
    let values = message.list(Header::PPreferredIdentity).take(2);
    values.filter_map(NameAddr::parse).find_map(|address| number_of(address.uri()?))
}

/// Whether the caller asks to stay unknown.
pub(crate) fn wants_privacy(message: &Message) -> bool {
    let listed = message.header(Header::Privacy).is_some_and(|v| Privacy::parse(v).hides_caller());
    let party = || message.list(Header::RemotePartyId).filter_map(RemotePartyId::parse).take(2);
    let anonymous = message
        .from()
        .and_then(|from| from.uri())
        .is_some_and(|uri| uri.user.is_some_and(|user| user.eq_ignore_ascii_case(b"anonymous")));
    listed || anonymous || party().any(|party| party.private)
}

/// The words that stand in place of the name of a caller without a number (JJ-90.30).
fn is_reason(display: &[u8]) -> bool {
    const REASONS: [&[u8]; 4] =
        [b"Coin line/payphone", b"Unavailable", b"Interaction with other service", b"Anonymous"];
    let bare = display.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\""));
    let bare = bare.unwrap_or(display);
    REASONS.iter().any(|reason| bare.eq_ignore_ascii_case(reason))
}

/// A display name that may be written again as it is; nothing when it is longer than a name.
pub(crate) fn kept(display: &[u8]) -> Box<[u8]> {
    let quoted = display.len() >= 2 && display.starts_with(b"\"") && display.ends_with(b"\"");
    // Without quotes a comma or semicolon would end the value where a list is permitted.
    let plain = |byte: &u8| !byte.is_ascii_control() && !b"\"\\,;<>@".contains(byte);
    let sound = if quoted { is_one_string(display) } else { display.iter().all(plain) };
    if sound && display.len() <= limits::IDENTITY_BYTES { display.into() } else { Box::default() }
}

/// Whether a quoted text is one string to whoever reads it: no quote within it ends it early, and
/// its last one ends it. A backslash before that belongs to a character of Shift_JIS, in a text
/// that is no UTF-8; in any other it would escape the quote.
fn is_one_string(display: &[u8]) -> bool {
    let inner = display.get(1..display.len().saturating_sub(1)).unwrap_or_default();
    let mut escaped = false;
    for byte in inner {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return false,
            _ => {}
        }
    }
    !escaped || std::str::from_utf8(inner).is_err()
}

fn number_of(uri: Uri<'_>) -> Option<Arc<str>> {
    let number = digits_of(uri)?;
    Some(match number.strip_prefix("+81") {
        Some(rest) => format!("0{rest}").into(),
        None => number.into(),
    })
}

/// The display name of a party for a phone: its own, byte for byte; the called number's name is
/// added where that makes no mixture of character sets.
pub(crate) fn shown_name(identity: &Identity, called_name: Option<&str>) -> Vec<u8> {
    let number = identity.number.as_deref().unwrap_or("Anonymous");
    let own = &identity.display;
    let Some(called) = called_name else {
        return if own.is_empty() { quoted(number) } else { own.to_vec() };
    };
    let bare = own.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(own);
    match std::str::from_utf8(bare) {
        Ok("") => quoted(&format!("{number} ({called})")),
        Ok(_) => {
            let mut text = quoted(&format!(" ({called})"));
            text.splice(1..1, bare.iter().copied());
            text
        }
        Err(_) => own.to_vec(),
    }
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

/// A text as a quoted string (RFC 3261, 25.1).
pub(crate) fn quoted(text: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len().saturating_add(2));
    quoted.push(b'"');
    for byte in text.bytes().filter(|byte| !byte.is_ascii_control()) {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

/// A name-addr with a quoted display name.
pub(crate) fn name_addr(display: &str, user: &str, host: &str) -> Vec<u8> {
    let display = if display.is_empty() { Vec::new() } else { quoted(display) };
    address(&display, user, host)
}

/// A name-addr with a display name as it shall stand on the wire.
pub(crate) fn address(display: &[u8], user: &str, host: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(display.len() + user.len() + host.len() + 16);
    text.extend_from_slice(display);
    if !display.is_empty() {
        text.push(b' ');
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
    fn a_name_goes_on_as_it_came_and_takes_the_called_name_only_in_its_own_characters() {
        let named =
            |display: &[u8]| Identity { number: Some("801".into()), display: display.into() };
        assert_eq!(shown_name(&named(b"\"Taro\""), None), b"\"Taro\"");
        assert_eq!(shown_name(&named(b"Taro Yamada"), Some("a\"")), b"\"Taro Yamada (a\\\")\"");
        assert_eq!(shown_name(&named(b""), Some("x")), b"\"801 (x)\"");
        // "Tokyo" in Shift_JIS, "Müller" in Latin-1.
        for foreign in [&b"\"\x93\x8c\x8b\x9e\""[..], b"M\xfcller"] {
            assert_eq!(shown_name(&named(foreign), Some("\u{4ee3}")), foreign);
        }
    }

    #[test]
    fn a_name_that_would_break_out_of_its_place_is_left_out() {
        let ends: [&[u8]; 3] = [b"\"a\" , \"b\"", b"\"a\\\"", b"\"a\\\\\\\""];
        for display in [&b"a, b"[..], b"a;b", b"\"", b"a\"b", b"<"].into_iter().chain(ends) {
            assert!(kept(display).is_empty(), "{display:?}");
        }
        assert_eq!(&*kept(b"\"a, b\""), b"\"a, b\"");
        assert!(kept(&[b'a'; 300]).is_empty());
    }

    #[test]
    fn nothing_breaks_out_of_a_display_name_or_a_user() {
        assert_eq!(name_addr("a\"b\\\r\nc", "x>y", "h"), br#""a\"b\\c" <sip:x%3Ey@h>"#.to_vec());
        assert_eq!(escape("#7119"), "%237119");
    }
}
