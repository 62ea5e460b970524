//! The `reg` package (RFC 3680): a user's registered contacts. Always full state.

use super::xml::{push_attribute, push_text};

/// The state of an address of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegState {
    /// Never registered.
    Init,
    /// At least one contact is bound.
    Active,
    /// None is bound any more.
    Terminated,
}

/// Why a contact is in its state (RFC 3680, 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactEvent {
    /// Bound by REGISTER.
    Registered,
    /// Bound by an administrator.
    Created,
    /// Bound again.
    Refreshed,
    /// Its time is over.
    Expired,
    /// Its phone removed it.
    Unregistered,
    /// It was removed here, and may try again.
    Deactivated,
    /// It was removed here for good.
    Rejected,
}

impl ContactEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Created => "created",
            Self::Refreshed => "refreshed",
            Self::Expired => "expired",
            Self::Unregistered => "unregistered",
            Self::Deactivated => "deactivated",
            Self::Rejected => "rejected",
        }
    }

    const fn is_active(self) -> bool {
        match self {
            Self::Registered | Self::Created | Self::Refreshed => true,
            Self::Expired | Self::Unregistered | Self::Deactivated | Self::Rejected => false,
        }
    }
}

/// One contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactInfo {
    /// Its name among the user's contacts.
    pub id: Vec<u8>,
    /// Its URI.
    pub uri: Vec<u8>,
    /// Why it is in its state.
    pub event: ContactEvent,
    /// Seconds that it still lives.
    pub expires: Option<u32>,
    /// Its preference, 0–1000.
    pub q: u16,
    /// The registration's Call-ID.
    pub call_id: Vec<u8>,
    /// The registration's CSeq.
    pub cseq: u32,
}

/// The registration of one address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegInfo {
    /// Its name among registrations.
    pub id: Vec<u8>,
    /// Its state.
    pub state: RegState,
    /// Its contacts.
    pub contacts: Vec<ContactInfo>,
}

impl RegInfo {
    /// The document of one NOTIFY.
    pub(super) fn render(&self, entity: &[u8], version: u32) -> Vec<u8> {
        let mut out = String::with_capacity(256 + self.contacts.len() * 256);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n");
        out.push_str("<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"");
        out.push_str(&format!(" version=\"{version}\" state=\"full\">\r\n<registration"));
        push_attribute(&mut out, "aor", entity);
        push_attribute(&mut out, "id", &self.id);
        let state = match self.state {
            RegState::Init => "init",
            RegState::Active => "active",
            RegState::Terminated => "terminated",
        };
        out.push_str(&format!(" state=\"{state}\">\r\n"));
        for contact in &self.contacts {
            push_contact(&mut out, contact);
        }
        out.push_str("</registration>\r\n</reginfo>\r\n");
        out.into_bytes()
    }
}

fn push_contact(out: &mut String, contact: &ContactInfo) {
    out.push_str("<contact");
    push_attribute(out, "id", &contact.id);
    let state = if contact.event.is_active() { "active" } else { "terminated" };
    out.push_str(&format!(" state=\"{state}\" event=\"{}\"", contact.event.name()));
    if let Some(seconds) = contact.expires {
        out.push_str(&format!(" expires=\"{seconds}\""));
    }
    let q = contact.q.min(1000);
    out.push_str(&format!(" q=\"{}.{:03}\"", q / 1000, q % 1000));
    push_attribute(out, "callid", &contact.call_id);
    out.push_str(&format!(" cseq=\"{}\"><uri>", contact.cseq));
    push_text(out, &contact.uri);
    out.push_str("</uri></contact>\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_lists_its_contacts() {
        let contact = ContactInfo {
            id: b"1".to_vec(),
            uri: b"sip:801@192.0.2.1;x=<y>".to_vec(),
            event: ContactEvent::Refreshed,
            expires: Some(60),
            q: 500,
            call_id: b"c".to_vec(),
            cseq: 4,
        };
        let gone = ContactInfo { event: ContactEvent::Expired, expires: None, ..contact.clone() };
        let info =
            RegInfo { id: b"r".to_vec(), state: RegState::Active, contacts: vec![contact, gone] };
        let body = String::from_utf8(info.render(b"sip:801@a", 3)).unwrap();
        assert!(body.contains(
            "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"3\" state=\"full\">\r\n\
             <registration aor=\"sip:801@a\" id=\"r\" state=\"active\">\r\n\
             <contact id=\"1\" state=\"active\" event=\"refreshed\" expires=\"60\" q=\"0.500\" \
             callid=\"c\" cseq=\"4\"><uri>sip:801@192.0.2.1;x=&lt;y&gt;</uri></contact>\r\n\
             <contact id=\"1\" state=\"terminated\" event=\"expired\" q=\"0.500\""
        ));
    }
}
