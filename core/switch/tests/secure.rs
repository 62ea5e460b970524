//! SRTP by keys in SDP (RFC 4568): a demand is answered with our key or refused, a wish where the
//! keys cannot be read on the way, and a phone is offered what its plan says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_media::srtp::{Crypto, MasterKey, Suite};
use koukan_sip::sdp;
use koukan_switch::CallCause;
use office::{Does, Office, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether two phones hear each other.
fn joined(office: &mut Office, a: char, b: char) -> bool {
    let (a, b) = (office.phone(a).media, office.phone(b).media);
    office.media.joined(a, b)
}

fn line(tag: u32, suite: Suite, seed: u8) -> sdp::Crypto {
    let bytes = vec![seed; suite.key_bytes() + suite.salt_bytes()];
    let mut value = Vec::new();
    Crypto { tag, key: MasterKey::new(suite, &bytes).unwrap() }.write(&mut value);
    sdp::Crypto::parse(std::str::from_utf8(&value).unwrap()).unwrap()
}

/// Every suite, as a phone that answers has them ready: for each tag that we may offer.
fn ready(seed: u8) -> Vec<sdp::Crypto> {
    (1..5).flat_map(|tag| Suite::ALL.map(|suite| line(tag, suite, seed))).collect()
}

fn office(device: char, words: &str) -> Office {
    let ext = format!("ext = \"{}\"", 801 + device as u32 - 'A' as u32);
    Office::changed(&ext, &format!("{ext}\n{words}"))
}

fn keys(office: &mut Office, name: char) -> Option<(Suite, u8)> {
    let media = office.phone(name).media;
    let config = office.media.of(media)?.1.config.clone()?;
    let keys = config.srtp?;
    assert_eq!(keys.send.suite(), keys.receive.suite());
    assert_ne!(keys.send, keys.receive);
    Some((keys.receive.suite(), *keys.receive.key_and_salt().first()?))
}

#[test]
fn a_phone_that_demands_srtp_gets_it_in_a_suite_of_its_own_and_the_other_leg_stays_plain() {
    for suite in Suite::ALL {
        let mut office = Office::open();
        office.phone('A').crypto = vec![
            sdp::Crypto::parse("7 F8_128_HMAC_SHA1_80 inline:AAAA").unwrap(),
            line(8, suite, 0x11),
            line(9, Suite::AesCm128HmacSha1_80, 0x12),
        ];
        office.phone('A').secure = true;
        office.phone('D').does = Does::Answers(100);
        office.call('A', "804");
        office.run(secs(2));
        assert!(joined(&mut office, 'A', 'D'), "{:?}", office.explained);
        assert_eq!(keys(&mut office, 'A'), Some((suite, 0x11)));
        assert_eq!(keys(&mut office, 'D'), None);
        assert!(office.explained(suite.name()), "{:?}", office.explained);
        office.hang_up('A');
        only(office.finish());
    }
}

#[test]
fn a_demand_without_a_usable_key_or_against_the_plan_is_refused() {
    let unusable = "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA KDR=1";
    for (mut office, crypto) in [
        (Office::open(), vec![sdp::Crypto::parse(unusable).unwrap()]),
        (Office::open(), Vec::new()),
        (office('A', "srtp = \"off\""), ready(0x11)),
    ] {
        office.phone('A').crypto = crypto;
        office.phone('A').secure = true;
        office.call('A', "804");
        office.run(secs(2));
        assert!(office.phone('A').heard("failed 488"), "{:?}", office.phone('A').log);
    }
}

#[test]
fn a_wish_over_udp_is_answered_in_the_clear_unless_the_plan_wants_srtp() {
    for (words, wanted) in [("srtp = \"off\"", false), ("privacy = false", false)]
        .into_iter()
        .chain([("srtp = \"offer\"", false), ("srtp = \"required\"", true)])
    {
        let mut office = office('A', words);
        office.phone('A').crypto = vec![line(3, Suite::AeadAes128Gcm, 0x11)];
        office.phone('D').does = Does::Answers(100);
        office.call('A', "804");
        office.run(secs(2));
        assert!(joined(&mut office, 'A', 'D'), "{words}: {:?}", office.explained);
        let expected = wanted.then_some((Suite::AeadAes128Gcm, 0x11));
        assert_eq!(keys(&mut office, 'A'), expected, "{words}");
        office.hang_up('A');
        only(office.finish());
    }
}

#[test]
fn a_phone_that_must_speak_srtp_is_offered_nothing_else_and_its_keys_stay_when_it_holds() {
    let mut office = office('D', "srtp = \"required\"");
    office.phone('D').crypto = ready(0x22);
    office.phone('D').does = Does::Answers(100);
    office.call('A', "804");
    office.run(secs(2));
    assert!(joined(&mut office, 'A', 'D'), "{:?}", office.explained);
    let agreed = keys(&mut office, 'D');
    assert_eq!(agreed, Some((Suite::AesCm128HmacSha1_80, 0x22)));
    let media = office.phone('D').media;
    let ours = |office: &mut Office| office.media.of(media).unwrap().1.config.clone().unwrap().srtp;
    let before = ours(&mut office);
    let now = office.now;
    office.phone('D').secure = true;
    office.phone('D').crypto = vec![line(1, Suite::AesCm128HmacSha1_80, 0x22)];
    office.phone('D').offer_again(now, sdp::Direction::SendOnly);
    office.run(secs(1));
    assert_eq!(ours(&mut office), before, "keyed anew would be a gap");
    assert_eq!(keys(&mut office, 'A'), None);
    office.hang_up('A');
    only(office.finish());
}

#[test]
fn a_phone_whose_answer_has_no_usable_key_is_not_connected_in_the_clear() {
    let mut office = office('D', "srtp = \"required\"");
    let short = "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA";
    office.phone('D').crypto = vec![sdp::Crypto::parse(short).unwrap()];
    office.phone('D').does = Does::Answers(100);
    office.call('A', "804");
    office.run(secs(3));
    assert!(!joined(&mut office, 'A', 'D'));
    let record = only(office.finish());
    assert_ne!(office::ending(&record).0, CallCause::CallerHungUp);
}

#[test]
fn a_phone_is_offered_srtp_as_a_wish_only_where_its_signalling_is_encrypted() {
    let mut office = office('D', "srtp = \"offer\"");
    office.phone('D').crypto = ready(0x22);
    office.phone('D').does = Does::Answers(100);
    office.call('A', "804");
    office.run(secs(2));
    let offers: Vec<String> = office
        .phone('D')
        .requests
        .iter()
        .filter_map(|message| String::from_utf8(message.sdp()?.to_vec()).ok())
        .collect();
    assert!(offers.iter().all(|offer| !offer.contains("crypto")), "{offers:?}");
    assert!(joined(&mut office, 'A', 'D') && keys(&mut office, 'D').is_none());
    office.hang_up('A');
    only(office.finish());
}
