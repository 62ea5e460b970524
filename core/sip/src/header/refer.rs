//! Refer-To (RFC 3515, 2.1), Referred-By (RFC 3892), Refer-Sub (RFC 4488): what a transfer names.

use super::NameAddr;
use crate::message::Method;

/// The target of a REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferTo<'a> {
    /// Name, URI and the header's parameters.
    pub address: NameAddr<'a>,
    /// What the target is asked with: the URI's `method` parameter, else INVITE.
    pub method: Method,
}

impl<'a> ReferTo<'a> {
    /// The view of a header value; RFC 3515 permits one target only, so a list is none.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut values = super::split_list(value);
        let address = NameAddr::parse(values.next()?)?;
        if values.next().is_some() {
            return None;
        }
        let named = address.uri().and_then(|uri| uri.params.value(b"method"));
        let method = named.map_or(Method::Invite, Method::from_name);
        Some(Self { address, method })
    }

    /// The Replaces header that the target is to be asked with (attended transfer), its escapes
    /// undone; allocates.
    #[must_use]
    pub fn replaces(&self) -> Option<Vec<u8>> {
        self.address.uri()?.header(b"Replaces")
    }
}

/// Who asks for the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferredBy<'a> {
    /// Name and URI.
    pub address: NameAddr<'a>,
    /// The Content-ID of the body part that signs it.
    pub cid: Option<&'a [u8]>,
}

impl<'a> ReferredBy<'a> {
    /// The view of a header value.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let address = NameAddr::parse(value)?;
        let cid = address.params.value(b"cid").filter(|cid| !cid.is_empty());
        Some(Self { address, cid })
    }
}

/// The value of Refer-Sub: `Some(false)` asks for, or grants, a REFER without a subscription.
#[must_use]
pub fn refer_sub(value: &[u8]) -> Option<bool> {
    let word = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    match word {
        _ if word.eq_ignore_ascii_case(b"true") => Some(true),
        _ if word.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Replaces;

    #[test]
    fn an_attended_transfer_names_the_dialog_in_its_target() {
        let value = b"<sip:bob@192.0.2.4?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345\
            %3Bfrom-tag%3D5FFE-3994&Accept-Contact=x>";
        let refer = ReferTo::parse(value).unwrap();
        assert_eq!(refer.method, Method::Invite);
        let replaces = refer.replaces().unwrap();
        let dialog = Replaces::parse(&replaces).unwrap();
        assert_eq!(dialog.call_id, b"12345@192.168.118.3");
        assert_eq!((dialog.to_tag, dialog.from_tag), (&b"12345"[..], &b"5FFE-3994"[..]));
    }

    #[test]
    fn a_target_may_name_its_method_and_stands_alone() {
        let refer = ReferTo::parse(b"<sip:room@a;method=BYE>").unwrap();
        assert_eq!((refer.method, refer.replaces()), (Method::Bye, None));
        assert_eq!(ReferTo::parse(b"<sip:a@b>, <sip:c@d>"), None);
        assert_eq!(ReferTo::parse(b""), None);
    }

    #[test]
    fn referred_by_and_refer_sub_are_read() {
        let by = ReferredBy::parse(b"\"\x8e\x52\" <sip:a@b>;cid=\"2UWQ@x\"").unwrap();
        assert_eq!((by.address.display, by.cid), (&b"\"\x8e\x52\""[..], Some(&b"2UWQ@x"[..])));
        assert_eq!(refer_sub(b"false;x=y"), Some(false));
        assert_eq!((refer_sub(b"TRUE"), refer_sub(b"maybe")), (Some(true), None));
    }
}
