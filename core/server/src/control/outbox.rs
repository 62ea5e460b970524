//! What the switch wants done, between the drain and the doing: records go to the journal in one
//! write, and only then anything leaves.

use std::vec::Drain;

use koukan_sip::Flow;
use koukan_switch::{Action, ModuleOrder, Record};

/// One thing to do once the records are safe.
#[derive(Debug)]
pub(super) enum Deed {
    /// Send a message.
    Send {
        flow: Flow,
        bytes: Vec<u8>,
        /// It promises something that must not be forgotten: a registration's 200.
        promises: bool,
    },
    /// Order something of a media worker.
    Media { worker: koukan_base::WorkerId, command: koukan_media::Command },
    /// Order something of the module host.
    Module(ModuleOrder),
}

/// Records and deeds of one turn.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    records: Vec<Record>,
    deeds: Vec<Deed>,
    /// In the drain under way a registration changed: the message after it promises that.
    promised: bool,
}

impl Outbox {
    /// A new input begins: what it promises is its own.
    pub(super) fn begin(&mut self) {
        self.promised = false;
    }

    /// Takes an action; an explain line is given back, it waits for nothing.
    pub(super) fn take(&mut self, action: Action) -> Option<(koukan_base::CallId, String)> {
        match action {
            Action::Record(record) => {
                self.promised |= !matches!(record, Record::Call(_) | Record::Setting(_));
                self.records.push(record);
            }
            Action::Send { flow, bytes } => {
                self.deeds.push(Deed::Send { flow, bytes, promises: self.promised });
            }
            Action::Media { worker, command } => self.deeds.push(Deed::Media { worker, command }),
            Action::Module(order) => self.deeds.push(Deed::Module(order)),
            Action::Explain { call, text } => return Some((call, text)),
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.deeds.is_empty()
    }

    pub(super) fn records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Everything to be done; the room stays for the next turn.
    pub(super) fn deeds(&mut self) -> Drain<'_, Deed> {
        self.deeds.drain(..)
    }

    /// The journal took nothing: a phone must not believe in a registration that a restart would
    /// forget, so that its 200 becomes a 500. Calls go on; their records wait.
    pub(super) fn break_promises(&mut self) {
        for deed in &mut self.deeds {
            if let Deed::Send { bytes, promises: true, .. } = deed {
                refuse(bytes);
            }
        }
    }
}

/// Makes a 500 of a 200; the other headers of a response may stand (RFC 3261, 21.5.1).
fn refuse(response: &mut Vec<u8>) {
    const OK: &[u8] = b"SIP/2.0 200 ";
    if !response.starts_with(OK) {
        return;
    }
    let end = response.windows(2).position(|pair| pair == b"\r\n").unwrap_or(response.len());
    response.splice(..end, b"SIP/2.0 500 Registration Cannot Be Stored".iter().copied());
}

#[cfg(test)]
mod tests {
    use koukan_sip::{ListenerId, Transport};

    use super::*;

    fn send(text: &str) -> Action {
        let remote = "127.0.0.1:5060".parse().unwrap();
        let flow =
            Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 };
        Action::Send { flow, bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn only_the_answer_to_the_registration_that_was_not_stored_is_refused() {
        let mut outbox = Outbox::default();
        outbox.begin();
        outbox.take(send("SIP/2.0 200 OK\r\nX: other\r\n\r\n"));
        outbox.begin();
        let (user, uri) = ("u".to_owned(), "sip:u@h".to_owned());
        let gone = Record::Unregistered { user, uri, reg_id: None };
        outbox.take(Action::Record(gone));
        outbox.take(send("SIP/2.0 200 OK\r\nX: own\r\n\r\n"));
        outbox.begin();
        outbox.take(send("SIP/2.0 200 OK\r\nX: third\r\n\r\n"));
        outbox.break_promises();
        let texts: Vec<String> = outbox
            .deeds()
            .filter_map(|deed| match deed {
                Deed::Send { bytes, .. } => String::from_utf8(bytes).ok(),
                _ => None,
            })
            .collect();
        assert!(texts[0].starts_with("SIP/2.0 200 OK\r\nX: other"));
        assert!(texts[1].starts_with("SIP/2.0 500 Registration Cannot Be Stored\r\nX: own\r\n"));
        assert!(texts[2].starts_with("SIP/2.0 200"));
        assert_eq!(outbox.records().len(), 1);
        assert!(outbox.is_empty());
    }
}
