//! SRTP of a packet of 172 bytes (20 ms of G.711), and SRTCP of a report.

use std::hint::black_box;

use criterion::Criterion;
use koukan_media::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};

use crate::counting::measure;
use crate::relay::{PACKET, next, packet};

pub(crate) fn bench(criterion: &mut Criterion) {
    for suite in Suite::ALL {
        let bytes = [0x5A; 46];
        let key = bytes.get(..suite.key_bytes() + suite.salt_bytes()).unwrap_or_default();
        let Some(master) = MasterKey::new(suite, key) else { continue };
        let name = suite.name();
        let mut plain = packet();
        let mut buffer = [0u8; 200];
        let mut sender = SrtpSender::new(&master);
        measure(criterion, &format!("{name} protect"), || {
            next(&mut plain);
            buffer[..PACKET].copy_from_slice(&plain);
            let sealed = sender.protect_rtp(black_box(&mut buffer), PACKET);
            assert!(sealed.is_ok());
        });
        let mut sender = SrtpSender::new(&master);
        let mut receiver = SrtpReceiver::new(&master);
        measure(criterion, &format!("{name} protect and unprotect"), || {
            next(&mut plain);
            buffer[..PACKET].copy_from_slice(&plain);
            let sealed = sender.protect_rtp(black_box(&mut buffer), PACKET).unwrap_or(0);
            let sealed = buffer.get_mut(..sealed).unwrap_or_default();
            assert!(receiver.unprotect_rtp(black_box(sealed)).is_ok());
        });
        let report = [0x81u8, 200, 0, 12, 0, 0, 0, 5];
        measure(criterion, &format!("{name} SRTCP protect and unprotect"), || {
            buffer[..8].copy_from_slice(&report);
            let sealed = sender.protect_rtcp(black_box(&mut buffer), 80).unwrap_or(0);
            let sealed = buffer.get_mut(..sealed).unwrap_or_default();
            assert!(receiver.unprotect_rtcp(black_box(sealed)).is_ok());
        });
    }
}
