//! Any bytes as a session description (RFC 8866), as an offer to us and as an answer (RFC 3264):
//! an answer that we write is read back as one stream for each of the offer's.
#![no_main]

use std::net::SocketAddr;

use koukan_sip::sdp::{
    AudioFormat, Crypto, Direction, LocalAudio, LocalSession, Security, Session, agreed,
};
use libfuzzer_sys::fuzz_target;

fn local(v6: bool, secure: bool, crypto: Vec<Crypto>) -> LocalAudio {
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
        crypto,
        secure,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(peer) = Session::parse(bytes) else { return };
    // Ours answers the peer's last line of keys, or there is none.
    let last = peer.audio().and_then(|(_, media)| media.crypto.last().cloned());
    let keys: Vec<Crypto> = last
        .map(|line| Crypto { key_params: "inline:ours".to_owned(), ..line })
        .into_iter()
        .collect();
    for (v6, secure, keys) in [
        (false, false, Vec::new()),
        (true, false, keys.clone()),
        (false, false, keys.clone()),
        (false, true, keys.clone()),
        (true, true, Vec::new()),
    ] {
        let ours = local(v6, secure, keys);
        let _ = agreed(&ours, &peer, true);
        let mut session = LocalSession::new(7);
        if let Ok((answer, agreed)) = session.answer(&peer, &ours, false) {
            let read = Session::parse(&answer).expect("our own answer can be read");
            assert_eq!(read.media.len(), peer.media.len(), "an answer has the offer's streams");
            assert!(!agreed.common.is_empty(), "an agreement has a codec");
            assert!(!secure || agreed.crypto.is_some(), "nothing is agreed on in the clear");
            let written = read.audio().map(|(_, media)| (media.crypto.len(), media.security()));
            let lines = usize::from(agreed.crypto.is_some());
            assert_eq!(written.map(|(count, _)| count), Some(lines), "one line, or none");
            let demanded = written.is_some_and(|(_, kind)| kind == Security::Required);
            assert!(!demanded || lines == 1, "a demand is answered with a key");
            assert_eq!(session.repeat(), Some(answer));
            let later = Session::parse(&session.offer(&ours)).expect("our own offer can be read");
            assert_eq!(later.media.len(), peer.media.len(), "a later offer keeps every line");
        }
    }
});
