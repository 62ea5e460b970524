//! What a REGISTER asks for, taken out of the message.

use super::RegisterError;
use crate::header::NameAddr;
use crate::message::{Header, Message};

/// One contact of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactEntry {
    /// The URI as written.
    pub uri: Vec<u8>,
    /// Its own `expires` parameter.
    pub expires: Option<u32>,
    /// Its preference, 0–1000; 1000 without one.
    pub q: u16,
    /// `+sip.instance` (RFC 5626, section 4.1), without quotes.
    pub instance: Option<Vec<u8>>,
    /// `reg-id`, where the phone does outbound and speaks to us without a proxy between.
    pub reg_id: Option<u32>,
}

impl ContactEntry {
    pub(super) fn flow_of(&self) -> Option<(&[u8], u32)> {
        Some((self.instance.as_deref()?, self.reg_id?))
    }
}

/// A REGISTER as the rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterRequest {
    /// The contacts; empty asks only for the list.
    pub contacts: Vec<ContactEntry>,
    /// `Contact: *`.
    pub star: bool,
    /// The Expires header.
    pub expires: Option<u32>,
    /// Call-ID.
    pub call_id: Vec<u8>,
    /// The CSeq's number.
    pub cseq: u32,
    /// User-Agent.
    pub user_agent: Vec<u8>,
    /// Path values, topmost first.
    pub path: Vec<Vec<u8>>,
}

/// Contacts of one request; a phone sends one.
const MAX_CONTACTS: usize = 16;

/// Bytes of an instance; a URN of a UUID has 47.
const INSTANCE_BYTES: usize = 256;

impl RegisterRequest {
    /// The request in a message.
    ///
    /// # Errors
    /// `Malformed` when a contact cannot be read or there are too many.
    pub fn from_message(message: &Message) -> Result<Self, RegisterError> {
        let mut request = Self {
            call_id: message.call_id().to_vec(),
            cseq: message.cseq().ok_or(RegisterError::Malformed)?.number,
            expires: message.header(Header::Expires).map(seconds),
            user_agent: message.header(Header::UserAgent).unwrap_or_default().to_vec(),
            path: message.list(Header::Path).map(<[u8]>::to_vec).collect(),
            ..Self::default()
        };
        // RFC 5626, 6: a proxy between that does not do outbound makes the flow another's.
        let outbound = message.supports(b"outbound") && message.list(Header::Via).count() == 1;
        for value in message.list(Header::Contact) {
            if value == b"*" {
                request.star = true;
                continue;
            }
            if request.contacts.len() >= MAX_CONTACTS {
                return Err(RegisterError::Malformed);
            }
            let address = NameAddr::parse(value).ok_or(RegisterError::Malformed)?;
            address.uri().ok_or(RegisterError::Malformed)?;
            let instance = address
                .params
                .value(b"+sip.instance")
                .filter(|instance| (1..=INSTANCE_BYTES).contains(&instance.len()));
            let reg_id = address.params.value(b"reg-id").filter(|_| outbound && instance.is_some());
            request.contacts.push(ContactEntry {
                uri: address.uri_text.to_vec(),
                expires: address.params.value(b"expires").map(seconds),
                q: address.params.value(b"q").map_or(1000, preference),
                instance: instance.map(<[u8]>::to_vec),
                reg_id: reg_id.map(flow_number).transpose()?,
            });
        }
        // RFC 5626, 6: a flow is bound alone.
        let flows = request.contacts.iter().filter(|contact| contact.reg_id.is_some()).count();
        let ends = request.contacts.iter().all(|contact| contact.expires == Some(0));
        if flows > 1 && !ends && request.expires != Some(0) {
            return Err(RegisterError::Malformed);
        }
        Ok(request)
    }

    /// Whether the phone binds a flow of its own (RFC 5626), which the answer confirms.
    #[must_use]
    pub fn is_outbound(&self) -> bool {
        self.contacts.iter().any(|contact| contact.reg_id.is_some())
    }
}

/// A reg-id: 1 to 2³¹ − 1 (RFC 5626, section 11.1).
fn flow_number(text: &[u8]) -> Result<u32, RegisterError> {
    let digits = text.len() <= 10 && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let fits = |number: &u32| digits && (1..=0x7fff_ffff).contains(number);
    number.filter(fits).ok_or(RegisterError::Malformed)
}

/// RFC 3261, 10.3 and 20.19: what is no number of seconds counts as an hour.
fn seconds(text: &[u8]) -> u32 {
    let text = text.trim_ascii();
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return 3600;
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX)
}

/// A q value (RFC 3261, 25.1: at most three decimals) in thousandths.
fn preference(text: &[u8]) -> u16 {
    let value = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f32>().ok());
    let thousandths = value.filter(|q| (0.0..=1.0).contains(q)).map_or(1000.0, |q| q * 1000.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let rounded = thousandths.round() as u16;
    rounded
}
