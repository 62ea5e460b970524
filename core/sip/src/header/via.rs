//! Via (RFC 3261, section 20.42; `rport` of RFC 3581).

use super::Params;
use super::uri::host_port_of;

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport's name (`UDP`).
    pub transport: &'a [u8],
    /// The host of sent-by; an IPv6 address without its brackets.
    pub host: &'a [u8],
    /// The port of sent-by.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// The view of one value; white space around the slashes is permitted (RFC 4475, 3.1.1.1). Any
    /// version is read, so that a request of another one can be told so.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut slashes = value.splitn(3, |&byte| byte == b'/');
        let protocol = slashes.next()?.trim_ascii();
        let version = slashes.next()?.trim_ascii();
        let rest = slashes.next()?.trim_ascii_start();
        if !protocol.eq_ignore_ascii_case(b"SIP") || version.is_empty() {
            return None;
        }
        let space = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, rest) = rest.split_at_checked(space)?;
        let end = rest.iter().position(|&byte| byte == b';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at_checked(end)?;
        let (host, port) = host_port_of(sent_by.trim_ascii())?;
        Some(Self { transport, host, port, params: Params::new(params) })
    }

    /// The branch, when there is one.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.value(b"branch").filter(|branch| !branch.is_empty())
    }

    /// The branch, when it is one of RFC 3261: it begins with the magic cookie and goes on behind
    /// it (the cookie alone tells no transactions apart; RFC 4475, 3.1.2.19).
    #[must_use]
    pub fn rfc3261_branch(&self) -> Option<&'a [u8]> {
        self.branch().filter(|branch| {
            branch.len() > 7
                && branch.get(..7).is_some_and(|cookie| cookie.eq_ignore_ascii_case(b"z9hG4bK"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_via_with_spaces_is_read() {
        let via = Via::parse(b"SIP  / 2.0\r\n /  UDP  [2001:db8::9]:5090 ; branch=z9hG4bKx;rport")
            .unwrap();
        assert_eq!(via.transport, b"UDP");
        assert_eq!((via.host, via.port), (b"2001:db8::9".as_slice(), Some(5090)));
        assert_eq!(via.rfc3261_branch(), Some(b"z9hG4bKx".as_slice()));
        assert!(via.params.has(b"rport"));
    }

    #[test]
    fn a_via_of_another_protocol_is_none() {
        assert_eq!(Via::parse(b"HTTP/1.1/TCP a"), None);
        assert_eq!(Via::parse(b"SIP/2.0/UDP"), None);
        assert_eq!(Via::parse(b"SIP/2.0/UDP a:b"), None);
    }
}
