//! What phones were told: the 200 to a REGISTER (RFC 3261, section 10.3, step 8) is a promise that
//! the server finds the contact again whatever becomes of the process. It is read off the wire, and
//! knows nothing of the store that has to keep it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use koukan_sip::header::NameAddr;
use koukan_sip::{Header, Message, Method, Scanner};
use koukan_switch::Record;

/// A contact that ends within so much of now may be gone at either side.
const MARGIN: Duration = Duration::from_secs(1);

/// Users with the contacts that they were told, and until when.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    scanner: Scanner,
    told: BTreeMap<String, Vec<(String, Timestamp)>>,
    /// The newest request of each Call-ID that was answered. What answers an older one is said
    /// again, to a copy that the network kept, and promises nothing new (RFC 3261, section 17.2.2).
    newest: BTreeMap<Vec<u8>, u32>,
}

impl Promises {
    /// A message leaves the exchange: a 200 to a REGISTER names every contact that is bound.
    pub(crate) fn note_sent(&mut self, date: Timestamp, bytes: &[u8]) {
        if !bytes.starts_with(b"SIP/2.0 200 ") {
            return;
        }
        let Ok(message) = Message::from_datagram(&mut self.scanner, bytes) else { return };
        let Some(cseq) = message.cseq().filter(|cseq| cseq.method == Method::Register) else {
            return;
        };
        let newest = self.newest.entry(message.call_id().to_vec()).or_default();
        if cseq.number < *newest {
            return;
        }
        *newest = cseq.number;
        let Some(user) = message.to_user() else { return };
        let contacts = message.list(Header::Contact).filter_map(|value| {
            let contact = NameAddr::parse(value)?;
            let seconds = std::str::from_utf8(contact.params.value(b"expires")?).ok()?;
            let until = date.checked_add(Duration::from_secs(seconds.parse().ok()?)).ok()?;
            Some((String::from_utf8_lossy(contact.uri_text).into_owned(), until))
        });
        let contacts = contacts.collect();
        self.told.insert(String::from_utf8_lossy(&user).into_owned(), contacts);
    }

    /// The switch ends a contact by itself: it expired, or its device left the plan.
    pub(crate) fn note_record(&mut self, record: &Record) {
        if let Record::Unregistered { user, uri, .. } = record
            && let Some(contacts) = self.told.get_mut(user)
        {
            contacts.retain(|(known, _)| known != uri);
        }
    }

    /// What still holds: user and contact.
    pub(crate) fn standing(&self, date: Timestamp) -> impl Iterator<Item = (&str, &str)> {
        let soon = date.checked_add(MARGIN).unwrap_or(date);
        self.told.iter().flat_map(move |(user, contacts)| {
            let holds = contacts.iter().filter(move |(_, until)| *until > soon);
            holds.map(|(uri, _)| (user.as_str(), uri.as_str()))
        })
    }
}
