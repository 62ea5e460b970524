//! The vectors of RFC 3711 and RFC 7714, another implementation as the measure, and attackers.

use proptest::prelude::*;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

use super::cipher::{counter_stream, derived};
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|one| one.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

#[test]
fn the_key_stream_of_rfc_3711_b_2() {
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
    let iv = u128::from_be_bytes(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap());
    let mut out = [0; 48];
    counter_stream(key, iv, &mut out);
    let wanted = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
        41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(out.as_slice(), hex(wanted));
}

#[test]
fn the_derived_keys_of_rfc_3711_b_3() {
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &master).unwrap();
    let derive = |label, length| {
        let mut out = vec![0; length];
        derived(&master, label, &mut out);
        out
    };
    assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let auth = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE";
    assert_eq!(derive(1, 32), hex(auth));
}

#[test]
fn the_packet_of_rfc_7714_16_1_1() {
    use aes_gcm::KeyInit;
    let gcm = aes_gcm::Aes128Gcm::new_from_slice(&hex("000102030405060708090a0b0c0d0e0f")).unwrap();
    let salt = hex("517569642070726f2071756f").try_into().unwrap();
    let cipher = cipher::Cipher::Gcm128(Box::new(gcm), salt);
    let mut packet = hex("8040f17b8041f8d35501a0b2");
    packet.extend_from_slice(b"Gallia est omnis divisa in partes tres");
    packet.extend_from_slice(&[0; 16]);
    let (packet_part, tag) = packet.split_at_mut(50);
    let nonce = cipher::Nonce { ssrc: 0x5501_a0b2, index: 0xf17b };
    let sealing = cipher::Sealing { packet: packet_part, head: 12, trailer: [0; 4], tag };
    cipher.seal(nonce, cipher::Protocol::Rtp, sealing).unwrap();
    let wanted = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
        0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
    assert_eq!(packet, hex(wanted));
}

fn profile(suite: Suite) -> ProtectionProfile {
    match suite {
        Suite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    }
}

fn master(suite: Suite, seed: u8) -> MasterKey {
    let length = suite.key_bytes() + suite.salt_bytes();
    let bytes: Vec<u8> = (0..46u8).map(|n| n.wrapping_mul(37) ^ seed).collect();
    MasterKey::new(suite, &bytes[..length]).unwrap()
}

fn other(suite: Suite, seed: u8) -> Context {
    let master = master(suite, seed);
    let (key, salt) = master.key_and_salt().split_at(suite.key_bytes());
    Context::new(key, salt, profile(suite), None, None).unwrap()
}

fn rtp(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn protect(sender: &mut SrtpSender, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 32, 0);
    let length = sender.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn both_ways_another_implementation_agrees_across_the_rollover() {
    for suite in Suite::ALL {
        let (mut sender, mut theirs) = (SrtpSender::new(&master(suite, 1)), other(suite, 1));
        let (mut receiver, mut their_receiver) =
            (SrtpReceiver::new(&master(suite, 1)), other(suite, 1));
        for number in 65_400..65_700u32 {
            let payload: Vec<u8> = (0..number % 200).map(|n| n.to_be_bytes()[3]).collect();
            let [.., high, low] = number.to_be_bytes();
            let packet = rtp(u16::from_be_bytes([high, low]), 77, &payload);
            let mut own = protect(&mut sender, &packet);
            assert_eq!(own, theirs.encrypt_rtp(&packet).unwrap(), "{suite:?} {number}");
            assert_eq!(their_receiver.decrypt_rtp(&own).unwrap(), packet);
            let length = receiver.unprotect_rtp(&mut own).unwrap();
            assert_eq!(own[..length], packet);
        }
    }
}

#[test]
fn rtcp_agrees_with_another_implementation() {
    for suite in Suite::ALL {
        let (mut sender, mut theirs) = (SrtpSender::new(&master(suite, 2)), other(suite, 2));
        let mut receiver = SrtpReceiver::new(&master(suite, 2));
        for number in 0..20u8 {
            let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 9];
            packet.extend(std::iter::repeat_n([0x81, number, 0, 0], usize::from(number)).flatten());
            let length = packet.len();
            let mut buffer = packet.clone();
            buffer.resize(length + 20, 0);
            let sealed = sender.protect_rtcp(&mut buffer, length).unwrap();
            buffer.truncate(sealed);
            let plain = theirs.decrypt_rtcp(&buffer).unwrap();
            assert_eq!(plain, packet, "{suite:?}");
            assert_eq!(receiver.unprotect_rtcp(&mut buffer), Ok(length));
            assert_eq!(buffer[..length], packet);
        }
    }
}

#[test]
fn a_packet_is_taken_once_and_a_changed_one_never() {
    for suite in Suite::ALL {
        let mut sender = SrtpSender::new(&master(suite, 3));
        let mut receiver = SrtpReceiver::new(&master(suite, 3));
        for sequence in [10u16, 12, 11, 40, 13] {
            let sealed = protect(&mut sender, &rtp(sequence, 5, b"voice"));
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 0x10;
                assert!(receiver.unprotect_rtp(&mut changed).is_err(), "{suite:?} byte {at}");
            }
            for length in 0..sealed.len() {
                assert!(receiver.unprotect_rtp(&mut sealed.clone()[..length]).is_err());
            }
            assert!(receiver.unprotect_rtp(&mut sealed.clone()).is_ok(), "{suite:?} {sequence}");
            let again = receiver.unprotect_rtp(&mut sealed.clone());
            assert_eq!(again, Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn a_new_key_is_taken_with_the_old_one_until_it_is_used() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut old, mut new) =
        (SrtpSender::new(&master(suite, 4)), SrtpSender::new(&master(suite, 5)));
    let older = SrtpReceiver::new(&master(suite, 4));
    let mut receiver = SrtpReceiver::new(&master(suite, 5)).after(older);
    assert!(receiver.unprotect_rtp(&mut protect(&mut old, &rtp(1, 5, b"a"))).is_ok());
    assert!(receiver.unprotect_rtp(&mut protect(&mut old, &rtp(2, 5, b"b"))).is_ok());
    assert!(receiver.unprotect_rtp(&mut protect(&mut new, &rtp(3, 5, b"c"))).is_ok());
    let late = receiver.unprotect_rtp(&mut protect(&mut old, &rtp(4, 5, b"d")));
    assert_eq!(late, Err(SrtpError::Authentication));
}

#[test]
fn sources_are_kept_apart_and_strangers_push_none_out() {
    let suite = Suite::AeadAes128Gcm;
    let mut receiver = SrtpReceiver::new(&master(suite, 6));
    let mut sender = SrtpSender::new(&master(suite, 6));
    let first = protect(&mut sender, &rtp(7, 1, b"x"));
    assert!(receiver.unprotect_rtp(&mut first.clone()).is_ok());
    for stranger in 100..200u32 {
        assert!(receiver.unprotect_rtp(&mut rtp(7, stranger, &[0; 40])).is_err());
    }
    assert_eq!(receiver.unprotect_rtp(&mut first.clone()), Err(SrtpError::Replayed));
    for ssrc in 2..4 {
        assert!(receiver.unprotect_rtp(&mut protect(&mut sender, &rtp(7, ssrc, b"x"))).is_ok());
    }
    assert_eq!(receiver.unprotect_rtp(&mut first.clone()), Err(SrtpError::Replayed));
}

#[test]
fn the_text_of_a_key_does_not_show_it() {
    let key = master(Suite::AesCm128HmacSha1_80, 9);
    assert_eq!(format!("{key:?}"), "MasterKey(AES_CM_128_HMAC_SHA1_80)");
    let mut buffer = rtp(1, 1, b"");
    assert_eq!(SrtpSender::new(&key).protect_rtp(&mut buffer, 12), Err(SrtpError::NoRoom));
}

proptest! {
    #[test]
    fn any_bytes_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..120), which in 0usize..4,
    ) {
        let mut receiver = SrtpReceiver::new(&master(Suite::ALL[which], 7));
        prop_assert!(receiver.unprotect_rtp(&mut bytes.clone()).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut bytes.clone()).is_err());
    }
}
