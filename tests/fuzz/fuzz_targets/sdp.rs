//! Any bytes as a session description (RFC 8866), as an offer to us and as an answer (RFC 3264):
//! an answer that we write is read back as one stream for each of the offer's.
#![no_main]

use std::net::SocketAddr;

use koukan_sip::sdp::{AudioFormat, Direction, LocalAudio, LocalSession, Session, agreed};
use libfuzzer_sys::fuzz_target;

fn local(v6: bool) -> LocalAudio {
    let format = |payload_type, name: &str| AudioFormat {
        payload_type,
        name: name.to_owned(),
        clock_rate: 8000,
        channels: 1,
    };
    let address: SocketAddr = if v6 {
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 16_384).into()
    } else {
        ([192, 0, 2, 1], 16_384).into()
    };
    LocalAudio {
        address,
        formats: vec![format(0, "PCMU"), format(8, "PCMA")],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(peer) = Session::parse(bytes) else { return };
    for v6 in [false, true] {
        let ours = local(v6);
        let _ = agreed(&ours, &peer, true);
        let mut session = LocalSession::new(7);
        if let Ok((answer, agreed)) = session.answer(&peer, &ours, false) {
            let read = Session::parse(&answer).expect("our own answer can be read");
            assert_eq!(read.media.len(), peer.media.len(), "an answer has the offer's streams");
            assert!(!agreed.common.is_empty(), "an agreement has a codec");
            assert_eq!(session.repeat(), Some(answer));
            let later = Session::parse(&session.offer(&ours)).expect("our own offer can be read");
            assert_eq!(later.media.len(), peer.media.len(), "a later offer keeps every line");
        }
    }
});
