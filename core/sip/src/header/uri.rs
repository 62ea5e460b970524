//! SIP and SIPS URIs (RFC 3261, section 19.1).

use std::net::{IpAddr, SocketAddr};

use super::Params;

/// A `sip:`, `sips:` or `tel:` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme as written.
    pub scheme: &'a [u8],
    /// The user part with escapes, without a password.
    pub user: Option<&'a [u8]>,
    /// Host name or address; an IPv6 address without its brackets. Empty for `tel:`.
    pub host: &'a [u8],
    /// The port.
    pub port: Option<u16>,
    /// The URI's parameters.
    pub params: Params<'a>,
    /// What stands behind `?`.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// The view of a URI without angle brackets; `None` for other schemes and for nonsense.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let colon = text.iter().position(|&byte| byte == b':')?;
        let scheme = text.get(..colon)?;
        let rest = text.get(colon.checked_add(1)?..)?;
        if scheme.eq_ignore_ascii_case(b"tel") {
            return Self::tel(scheme, rest);
        }
        if !scheme.eq_ignore_ascii_case(b"sip") && !scheme.eq_ignore_ascii_case(b"sips") {
            return None;
        }
        if rest.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'<' | b'>' | b'"'))
        {
            return None;
        }
        // The user part may hold ; and ?, so the @ is looked for first (RFC 3261, 25.1).
        let (user, rest) = match rest.iter().position(|&byte| byte == b'@') {
            Some(at) => (Some(rest.get(..at)?), rest.get(at.checked_add(1)?..)?),
            None => (None, rest),
        };
        let (rest, headers) = split_at_byte(rest, b'?');
        let (host_port, params) = split_at_byte(rest, b';');
        let (host, port) = host_port_of(host_port)?;
        let user = user.map(|user| split_at_byte(user, b':').0);
        Some(Self { scheme, user, host, port, params: Params::new(params), headers })
    }

    fn tel(scheme: &'a [u8], rest: &'a [u8]) -> Option<Self> {
        let (number, params) = split_at_byte(rest, b';');
        let valid = !number.is_empty()
            && number.iter().all(|byte| byte.is_ascii_digit() || b"+-.()*#".contains(byte));
        valid.then_some(Self {
            scheme,
            user: Some(number),
            host: &[],
            port: None,
            params: Params::new(params),
            headers: &[],
        })
    }

    /// Whether the scheme is `sips`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sips")
    }

    /// The user part with its escapes undone (RFC 3261, 19.1.2); allocates.
    #[must_use]
    pub fn user_unescaped(&self) -> Option<Vec<u8>> {
        Some(unescape(self.user?))
    }

    /// The value of a header behind `?`, its escapes undone (RFC 3261, 19.1.1); allocates.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut pairs = self.headers.split(|&byte| byte == b'&');
        pairs.find_map(|pair| {
            let (known, value) = split_at_byte(pair, b'=');
            unescape(known).eq_ignore_ascii_case(name).then(|| unescape(value))
        })
    }

    /// The host as an address, when it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        std::str::from_utf8(self.host).ok()?.parse().ok()
    }

    /// Address and port, when the host is an address; the default port is 5060, 5061 for `sips`.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let default = if self.is_secure() { 5061 } else { 5060 };
        Some(SocketAddr::new(self.address()?, self.port.unwrap_or(default)))
    }
}

/// The parts before and behind the first `byte`; the second is empty without one.
fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|&known| known == byte) {
        Some(at) => (
            text.get(..at).unwrap_or_default(),
            text.get(at.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (text, &[]),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(super) fn host_port_of(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, port) = match text.strip_prefix(b"[") {
        Some(inner) => {
            let close = inner.iter().position(|&byte| byte == b']')?;
            let after = inner.get(close.checked_add(1)?..)?;
            let host = inner.get(..close)?;
            if !host.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
                return None;
            }
            match after {
                [] => (host, None),
                [b':', port @ ..] => (host, Some(port)),
                _ => return None,
            }
        }
        None => match text.iter().position(|&byte| byte == b':') {
            Some(colon) => (text.get(..colon)?, Some(text.get(colon.checked_add(1)?..)?)),
            None => (text, None),
        },
    };
    let host = host.trim_ascii();
    // Underscores stand in no host name of RFC 3261 and in many of the field.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
    if host.is_empty() || !host.iter().all(plain) {
        return None;
    }
    let port = match port.map(<[u8]>::trim_ascii) {
        None => None,
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(digits).ok()?.parse().ok()?)
        }
        Some(_) => return None,
    };
    Some((host, port))
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if *first == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_uri_is_found() {
        let uri = Uri::parse(b"sip:al%69ce:secret@example.com:5070;transport=tcp;lr?x=y").unwrap();
        assert_eq!(uri.user_unescaped().as_deref(), Some(b"alice".as_slice()));
        assert_eq!((uri.host, uri.port), (b"example.com".as_slice(), Some(5070)));
        assert_eq!(uri.params.value(b"transport"), Some(b"tcp".as_slice()));
        assert!(uri.params.has(b"lr"));
        assert_eq!(uri.headers, b"x=y");
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets() {
        let uri = Uri::parse(b"sips:[2001:db8::1]:5070").unwrap();
        assert_eq!(uri.socket_address(), Some("[2001:db8::1]:5070".parse().unwrap()));
        assert_eq!(Uri::parse(b"sip:[::1]").unwrap().port, None);
    }

    #[test]
    fn headers_of_a_uri_lose_their_escapes() {
        let uri = Uri::parse(b"sip:a@b?Subject=a%20b%26c&%52eason=SIP%3Bcause%3D1&x").unwrap();
        assert_eq!(uri.header(b"subject").as_deref(), Some(b"a b&c".as_slice()));
        assert_eq!(uri.header(b"Reason").as_deref(), Some(b"SIP;cause=1".as_slice()));
        assert_eq!(uri.header(b"x").as_deref(), Some(b"".as_slice()));
        assert_eq!(uri.header(b"y"), None);
    }

    #[test]
    fn nonsense_is_no_uri() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:a@",
            "sip:a@b:port",
            "sip:a@b:70000",
            "sip:[::1",
            "http://a",
            "sip:a@b@c",
        ] {
            assert_eq!(Uri::parse(text.as_bytes()), None, "{text}");
        }
    }
}
