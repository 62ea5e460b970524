//! Packets to an SRTP receiver (RFC 3711) and texts to the reader of `a=crypto` (RFC 4568). The
//! first byte chooses the suite, two more a change; the rest is a packet as it is, then the same
//! packet protected, changed at one byte and not.
#![no_main]

use koukan_media::srtp::{Crypto, MasterKey, SrtpReceiver, SrtpSender, Suite};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[which, at, flip], packet)) = bytes.split_first_chunk() else { return };
    let _ = Crypto::parse(packet);
    let suite = Suite::ALL[usize::from(which) % Suite::ALL.len()];
    let length = suite.key_bytes() + suite.salt_bytes();
    let master = MasterKey::new(suite, &[which; 46][..length]).expect("its length");
    let mut receiver = SrtpReceiver::new(&master);
    assert!(receiver.unprotect_rtp(&mut packet.to_vec()).is_err());
    assert!(receiver.unprotect_rtcp(&mut packet.to_vec()).is_err());
    let mut sender = SrtpSender::new(&master);
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 32, 0);
    if let Ok(sealed) = sender.protect_rtp(&mut buffer, packet.len()) {
        buffer.truncate(sealed);
        let mut changed = buffer.clone();
        let place = usize::from(at) % sealed;
        changed[place] ^= flip;
        assert!(flip == 0 || receiver.unprotect_rtp(&mut changed).is_err());
        assert_eq!(receiver.unprotect_rtp(&mut buffer), Ok(packet.len()));
        assert_eq!(&buffer[..packet.len()], packet);
    }
});
