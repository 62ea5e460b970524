//! What the switch wants done, between the drain and the doing: records go to the journal in one
//! write, and only then anything leaves.

use std::vec::Drain;

use koukan_base::WorkerId;
use koukan_media::Command;
use koukan_sip::Flow;
use koukan_switch::{Action, FaxOrder, Mail, ModuleOrder, Record};

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
    Media { worker: WorkerId, command: Command },
    /// Order something of the module host.
    Module(ModuleOrder),
    /// Order something of whoever speaks T.30.
    Fax(FaxOrder),
    /// Send a mail.
    Mail(Mail),
}

/// A line for the log.
#[derive(Debug)]
pub(super) enum Line {
    /// Of a call's explain log.
    Explain { call: koukan_base::CallId, text: String },
    /// For operators.
    Notice { grave: bool, text: String },
}

/// Records and deeds of one turn.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    records: Vec<Record>,
    deeds: Vec<Deed>,
    /// Streams to be opened, which is done before anything else.
    opens: Vec<(WorkerId, Command)>,
    /// In the drain under way a registration changed: the message after it promises that.
    promised: bool,
}

impl Outbox {
    /// A new input begins: what it promises is its own.
    pub(super) fn begin(&mut self) {
        self.promised = false;
    }

    /// Takes an action; a line for the log is given back, it waits for nothing. Of a call only the
    /// last record of an input is kept: it holds all that those before it said.
    pub(super) fn take(&mut self, action: Action) -> Option<Line> {
        match action {
            Action::Record(record) => {
                self.promised |= !matches!(record, Record::Call(_) | Record::Setting(_));
                match self.records.last_mut() {
                    Some(last) if tell_of_one_call(last, &record) => *last = record,
                    _ => self.records.push(record),
                }
            }
            Action::Send { flow, bytes } => {
                self.deeds.push(Deed::Send { flow, bytes, promises: self.promised });
            }
            Action::Media { worker, command: command @ Command::Open { .. } } => {
                self.opens.push((worker, command));
            }
            Action::Media { worker, command } => self.deeds.push(Deed::Media { worker, command }),
            Action::Module(order) => self.deeds.push(Deed::Module(order)),
            Action::Fax(order) => self.deeds.push(Deed::Fax(order)),
            Action::Mail(mail) => self.deeds.push(Deed::Mail(mail)),
            Action::Explain { call, text } => return Some(Line::Explain { call, text }),
            Action::Notice { grave, text } => return Some(Line::Notice { grave, text }),
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.deeds.is_empty() && self.opens.is_empty()
    }

    pub(super) fn records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// The streams to be opened. The rest of what is ordered of them comes behind.
    pub(super) fn opens(&mut self) -> Vec<(WorkerId, Command)> {
        std::mem::take(&mut self.opens)
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

fn tell_of_one_call(before: &Record, after: &Record) -> bool {
    match (before, after) {
        (Record::Call(before), Record::Call(after)) => before.call == after.call,
        _ => false,
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

    #[test]
    fn streams_are_opened_before_the_rest_and_a_call_is_recorded_once_an_input() {
        let mut outbox = Outbox::default();
        outbox.begin();
        let record = |call: &str, status| Action::Record(Record::Call(cdr(call, status)));
        let stream = koukan_base::StreamId(1);
        let local = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let media = |command| Action::Media { worker: WorkerId(0), command };
        outbox.take(record("a", 0));
        outbox.take(media(Command::Close { stream }));
        outbox.take(media(Command::Open { stream, local, tenant: "a".into() }));
        outbox.take(record("a", 200));
        outbox.take(record("b", 0));
        assert!(matches!(outbox.opens().as_slice(), [(_, Command::Open { .. })]));
        assert!(matches!(
            outbox.deeds().collect::<Vec<_>>().as_slice(),
            [Deed::Media { command: Command::Close { .. }, .. }]
        ));
        assert_eq!(outbox.records(), [Record::Call(cdr("a", 200)), Record::Call(cdr("b", 0))]);
        assert!(outbox.is_empty());
    }

    fn cdr(call: &str, status: u16) -> koukan_switch::Cdr {
        let now = jiff::Timestamp::UNIX_EPOCH;
        koukan_switch::Cdr {
            call: call.to_owned(),
            tenant: String::new(),
            generation: 1,
            direction: "internal".to_owned(),
            caller: String::new(),
            called: String::new(),
            number: None,
            started: now,
            answered: None,
            ended: None,
            last_seen: now,
            cause: None,
            status,
            price: None,
            legs: Vec::new(),
        }
    }
}
