//! Every view of a message (RFC 3261, sections 7 and 20), asked for once; shared by property test
//! and fuzzer.

use koukan_sip::header::{NameAddr, Uri, Via};
use koukan_sip::{Framed, Framer, Header, Message, ScanError, Scanner};

/// Reads `bytes` as a datagram and as a stream and looks at everything in it.
pub(crate) fn walk(bytes: &[u8]) -> Result<Message, ScanError> {
    let mut scanner = Scanner::new();
    let mut framer = Framer::default();
    framer.push(bytes);
    for _ in 0..bytes.len() {
        match framer.next(&mut scanner) {
            Ok(Framed::Message(message)) => look(&message),
            Ok(Framed::Ping) => {}
            Ok(Framed::Nothing) | Err(_) => break,
        }
    }
    let read = Message::from_datagram(&mut scanner, bytes);
    match &read {
        Ok(message) => look(message),
        Err(_) => {
            if let Some(message) = Message::damaged(&scanner, bytes) {
                look(&message);
            }
        }
    }
    read
}

fn look(message: &Message) {
    let _ = (message.via(), message.cseq(), message.sdp(), message.max_forwards());
    let _ = (message.request_user(), message.from_user(), message.to_user());
    let _ = (message.from_tag(), message.to_tag(), message.number(Header::Expires));
    let mut length = 0;
    for (name, value) in message.lines() {
        length += name.len() + value.len();
        let _ = (NameAddr::parse(value), Uri::parse(value), Via::parse(value));
    }
    for contact in message.list(Header::Contact) {
        let _ = NameAddr::parse(contact).map(|address| {
            let address_of = address.uri().map(|uri| uri.socket_address());
            (address_of, address.params.iter().count())
        });
    }
    assert!(length + message.body().len() <= message.bytes().len(), "ranges overlap");
}
