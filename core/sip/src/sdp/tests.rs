//! Offers and answers of phones as they are met, and what must be refused.

use super::*;

fn local() -> LocalAudio {
    let format = |payload_type, name: &str| AudioFormat {
        payload_type,
        name: name.to_owned(),
        clock_rate: 8000,
        channels: 1,
    };
    LocalAudio {
        address: "192.0.2.9:20000".parse().unwrap(),
        formats: vec![format(0, "PCMU"), format(8, "PCMA")],
        telephone_event: Some(101),
        ptime_ms: 20,
        direction: Direction::SendRecv,
        crypto: Vec::new(),
        secure: false,
    }
}

const GRANDSTREAM: &str = "v=0\r\no=801 8000 8000 IN IP4 192.168.1.20\r\ns=SIP Call\r\n\
    c=IN IP4 192.168.1.20\r\nt=0 0\r\nm=audio 5004 RTP/AVP 8 0 18 101\r\na=sendrecv\r\n\
    a=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\n\
    a=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_phones_offer_is_answered_with_every_common_format() {
    let offer = Session::parse(GRANDSTREAM.as_bytes()).unwrap();
    let (body, agreed) = LocalSession::new(8).answer(&offer, &local(), false).unwrap();
    assert_eq!(agreed.format.name, "PCMA");
    assert_eq!(agreed.remote, "192.168.1.20:5004".parse().unwrap());
    assert_eq!(agreed.remote_rtcp.port(), 5005);
    assert_eq!(agreed.telephone_event, Some(101));
    assert_eq!(
        text(&body),
        "v=0\r\no=koukan 4 1 IN IP4 192.0.2.9\r\ns=koukan\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 20000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let (_, ours) = LocalSession::new(1).answer(&offer, &local(), true).unwrap();
    assert_eq!(ours.format.name, "PCMU");
}

#[test]
fn an_offer_and_its_answer_agree_on_both_sides() {
    let mut caller = LocalSession::new(2);
    let offer = Session::parse(&caller.offer(&local())).unwrap();
    let callee = LocalAudio { address: "192.0.2.7:30000".parse().unwrap(), ..local() };
    let (answer, theirs) = LocalSession::new(4).answer(&offer, &callee, false).unwrap();
    let ours = agreed(&local(), &Session::parse(&answer).unwrap(), false).unwrap();
    assert_eq!(ours.remote, callee.address);
    assert_eq!(theirs.remote, local().address);
    assert!(ours.format.is_same(&theirs.format));
}

#[test]
fn hold_is_understood_in_all_its_spellings() {
    let cases = [
        (GRANDSTREAM.replace("a=sendrecv", "a=sendonly"), Direction::RecvOnly),
        (GRANDSTREAM.replace("a=sendrecv", "a=inactive"), Direction::Inactive),
        (GRANDSTREAM.replace("c=IN IP4 192.168.1.20", "c=IN IP4 0.0.0.0"), Direction::RecvOnly),
        (
            GRANDSTREAM
                .replace("c=IN IP4 192.168.1.20", "c=IN IP4 0.0.0.0")
                .replace("a=sendrecv", "a=inactive"),
            Direction::Inactive,
        ),
    ];
    for (offer, expected) in cases {
        let offer = Session::parse(offer.as_bytes()).unwrap();
        let (body, agreed) = LocalSession::new(1).answer(&offer, &local(), false).unwrap();
        assert_eq!(agreed.direction, expected);
        assert!(text(&body).contains(expected.attribute()));
    }
}

#[test]
fn other_streams_are_refused_in_their_places() {
    let offer = format!(
        "{}m=video 5006 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=image 5008 udptl t38\r\n",
        GRANDSTREAM.replace("m=audio", "m=audio 0 RTP/AVP 0\r\nm=audio")
    );
    let offer = Session::parse(offer.as_bytes()).unwrap();
    let (body, _) = LocalSession::new(1).answer(&offer, &local(), false).unwrap();
    let body = text(&body);
    let lines: Vec<&str> = body.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=audio 0 RTP/AVP 0",
            "m=audio 20000 RTP/AVP 8 0 101",
            "m=video 0 RTP/AVP 96",
            "m=image 0 udptl t38",
        ]
    );
}

#[test]
fn the_version_counts_changes_only() {
    let mut session = LocalSession::new(2);
    let first = text(&session.offer(&local()));
    assert_eq!(text(&session.offer(&local())), first);
    assert_eq!(session.repeat().map(|bytes| text(&bytes)), Some(first));
    let held = LocalAudio { direction: Direction::SendOnly, ..local() };
    assert!(text(&session.offer(&held)).contains("o=koukan 1 2 IN"));
}

#[test]
fn what_would_lead_media_astray_is_refused() {
    let refusal = |text: &str| {
        let session = Session::parse(text.as_bytes()).unwrap();
        agreed(&local(), &session, false).unwrap_err()
    };
    assert_eq!(refusal(&GRANDSTREAM.replace("c=IN IP4 192.168.1.20\r\n", "")), Refusal::NoAddress);
    for group in ["224.0.0.1", "239.255.1.1/127", "255.255.255.255"] {
        let text = GRANDSTREAM.replace("c=IN IP4 192.168.1.20", &format!("c=IN IP4 {group}"));
        assert_eq!(refusal(&text), Refusal::GroupAddress, "{group}");
    }
    assert_eq!(refusal(&GRANDSTREAM.replace("RTP/AVP", "RTP/SAVP")), Refusal::NoKeys);
    assert_eq!(refusal(&GRANDSTREAM.replace("RTP/AVP", "UDP/TLS/RTP/SAVP")), Refusal::NoAudio);
    assert_eq!(refusal(&GRANDSTREAM.replace("8 0 18 101", "18 101")), Refusal::NoCodec);
    assert_eq!(
        refusal(&GRANDSTREAM.replace("c=IN IP4 192.168.1.20", "c=IN IP6 ::1")),
        Refusal::AddressFamily
    );
    for broken in [
        "",
        "v=1\r\n",
        "v=0\r\nm=audio 1 RTP/\rAVP 0\r\n",
        "v=0\r\nm=vi\0deo 1 RTP/AVP 0\r\n",
        "v=0\r\nm=audio x RTP/AVP 0\r\n",
        "v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
        "v=0\r\nc=IN IP4 host.example\r\nm=audio 1 RTP/AVP 0\r\n",
        "v=0\r\nx\r\n",
        "v=0\r\n",
    ] {
        assert!(Session::parse(broken.as_bytes()).is_err(), "{broken:?}");
    }
}

#[test]
fn a_phones_nonsense_in_attributes_is_passed_over() {
    let odd = GRANDSTREAM
        .replace(
            "a=ptime:20",
            "a=ptime:60000\r\na=rtpmap:300 X/1\r\na=rtpmap:\r\na=\r\na=crypto:1 x",
        )
        .replace("8 0 18 101", "8 0 300 -1 x 101");
    let offer = Session::parse(odd.as_bytes()).unwrap();
    let agreed = agreed(&local(), &offer, false).unwrap();
    assert_eq!((agreed.ptime_ms, agreed.common.len()), (20, 2));
}

#[test]
fn streams_keep_their_places_in_our_later_offers() {
    let text_of = |body: &[u8]| {
        let body = text(body);
        body.lines().filter(|line| line.starts_with("m=")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut session = LocalSession::new(4);
    let image = format!(
        "{}m=video 6 RTP/AVP 96\r\n",
        GRANDSTREAM.replace("m=audio", "m=image 9 udptl t38\r\nm=audio")
    );
    let offer = Session::parse(image.as_bytes()).unwrap();
    let (first, _) = session.answer(&offer, &local(), false).unwrap();
    let second = session.offer(&local());
    let places = ["m=image 0 udptl t38", "m=audio 20000 RTP/AVP 0 8 101", "m=video 0 RTP/AVP 96"];
    assert_eq!(text_of(&second), places);
    assert!(text(&first).contains("o=koukan 2 1 ") && text(&second).contains("o=koukan 2 2 "));
    assert_eq!(session.offer(&local()), second, "the same content has the same version");
}

#[test]
fn an_answer_that_refuses_the_stream_is_no_agreement() {
    let refused = GRANDSTREAM.replace("m=audio 5004", "m=audio 0");
    let answer = Session::parse(refused.as_bytes()).unwrap();
    assert_eq!(agreed(&local(), &answer, false).unwrap_err(), Refusal::NoAudio);
}

#[test]
fn a_codec_changes_within_a_dialog_and_the_version_counts() {
    let mut session = LocalSession::new(4);
    let first = Session::parse(GRANDSTREAM.as_bytes()).unwrap();
    let (body, before) = session.answer(&first, &local(), false).unwrap();
    let changed = GRANDSTREAM.replace("o=801 8000 8000", "o=801 8000 8001").replace("8 0 18", "0");
    let second = Session::parse(changed.as_bytes()).unwrap();
    assert_ne!(first.origin, second.origin);
    let (again, after) = session.answer(&second, &local(), false).unwrap();
    assert_eq!((before.format.name.as_str(), after.format.name.as_str()), ("PCMA", "PCMU"));
    assert!(text(&body).contains("o=koukan 2 1 ") && text(&again).contains("o=koukan 2 2 "));
}

#[test]
fn keys_beside_plain_rtp_are_a_wish_and_savp_is_a_demand() {
    let keys = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n";
    let wish = Session::parse(format!("{GRANDSTREAM}{keys}").as_bytes()).unwrap();
    assert_eq!(wish.media[0].security(), Security::Offered);
    assert_eq!(wish.media[0].crypto[0].key_params, "inline:abc");
    let (answer, _) = LocalSession::new(1).answer(&wish, &local(), false).unwrap();
    assert!(!text(&answer).contains("crypto"));
    let demand = format!("{GRANDSTREAM}{keys}").replace("RTP/AVP", "RTP/SAVP");
    let demand = Session::parse(demand.as_bytes()).unwrap();
    assert_eq!(demand.media[0].security(), Security::Required);
    assert_eq!(demand.media[0].crypto.len(), 1);
    assert_eq!(Session::parse(GRANDSTREAM.as_bytes()).unwrap().media[0].security(), Security::None);
    let many = format!("{GRANDSTREAM}{}", keys.repeat(100));
    assert_eq!(Session::parse(many.as_bytes()).unwrap().media[0].crypto.len(), 8);
}

#[test]
fn keys_are_agreed_on_where_both_have_them_and_demands_are_kept() {
    let line = |text: &str| Crypto::parse(text).unwrap();
    let ours = line("1 AES_CM_128_HMAC_SHA1_80 inline:ours");
    let other = line("2 AEAD_AES_128_GCM inline:other");
    let secure = LocalAudio { crypto: vec![ours.clone(), other], secure: true, ..local() };
    let offer = text(&LocalSession::new(2).offer(&secure));
    assert!(offer.contains("m=audio 20000 RTP/SAVP 0 8 101\r\n"));
    assert!(offer.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:ours\r\n"));
    assert!(offer.contains("a=crypto:2 AEAD_AES_128_GCM inline:other\r\n"));
    // Their answer: the tag and suite of one of ours.
    let with = |protocol: &str, lines: &str| {
        let body = format!("{GRANDSTREAM}{lines}").replace("RTP/AVP", protocol);
        Session::parse(body.as_bytes()).unwrap()
    };
    let theirs = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:theirs\r\n";
    let taken = agreed(&secure, &with("RTP/SAVP", theirs), false).unwrap();
    assert_eq!(taken.crypto.unwrap().key_params, "inline:theirs");
    for lines in ["", "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"] {
        let refused = agreed(&secure, &with("RTP/SAVP", lines), false);
        assert_eq!(refused.unwrap_err(), Refusal::NoKeys, "{lines}");
        assert_eq!(agreed(&secure, &with("RTP/AVP", lines), false).unwrap_err(), Refusal::NoKeys);
    }
    // A wish: answered with or without keys.
    let wish = LocalAudio { secure: false, ..secure.clone() };
    assert!(text(&LocalSession::new(2).offer(&wish)).contains("m=audio 20000 RTP/AVP 0"));
    assert_eq!(agreed(&wish, &with("RTP/AVP", ""), false).unwrap().crypto, None);
    assert!(agreed(&wish, &with("RTP/AVP", theirs), false).unwrap().crypto.is_some());
    // Our answer to their demand: one line, their protocol.
    for protocol in ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"] {
        let local = LocalAudio { crypto: vec![ours.clone()], ..local() };
        let offer = with(protocol, theirs);
        let (answer, agreed) = LocalSession::new(4).answer(&offer, &local, false).unwrap();
        let answer = text(&answer);
        assert!(answer.contains(&format!("m=audio 20000 {protocol} 8 0 101\r\n")), "{answer}");
        assert_eq!(answer.matches("a=crypto:").count(), 1);
        assert_eq!((agreed.crypto.is_some(), agreed.secure), (true, protocol != "RTP/AVP"));
        let (plain, agreed) = LocalSession::new(4)
            .answer(&with("RTP/AVP", theirs), &super::tests::local(), false)
            .unwrap();
        assert!(!text(&plain).contains("crypto") && agreed.crypto.is_none());
    }
}

fn opus() -> LocalAudio {
    let mut local = local();
    let opus =
        AudioFormat { payload_type: 96, name: "OPUS".to_owned(), clock_rate: 48_000, channels: 2 };
    local.formats.insert(0, opus);
    local
}

#[test]
fn events_have_a_type_for_each_clock_rate_and_each_direction_its_own() {
    let offer = text(&LocalSession::new(1).offer(&opus()));
    assert!(offer.contains("m=audio 20000 RTP/AVP 96 0 8 101 97\r\n"));
    assert!(offer.contains("a=rtpmap:101 telephone-event/8000\r\n"));
    assert!(offer.contains("a=rtpmap:97 telephone-event/48000\r\n"));
    let answer = GRANDSTREAM
        .replace("8 0 18 101", "111 8 110 109")
        .replace("a=fmtp:101 0-15\r\n", "")
        .replace("rtpmap:101", "rtpmap:109")
        + "a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n";
    let answer = Session::parse(answer.as_bytes()).unwrap();
    let wide = agreed(&opus(), &answer, false).unwrap();
    assert_eq!(wide.format.name, "OPUS");
    assert_eq!(
        (wide.telephone_event, wide.telephone_event_receive, wide.telephone_event_rate),
        (Some(110), Some(97), 48_000)
    );
    let narrow = agreed(&local(), &answer, false).unwrap();
    assert_eq!(
        (narrow.telephone_event, narrow.telephone_event_receive, narrow.telephone_event_rate),
        (Some(109), Some(101), 8_000)
    );
    // A phone with Opus and events at 8000 Hz alone is taken at its word.
    let old = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4 RTP/AVP 111 101\r\n\
        a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
    let offer = Session::parse(old.as_bytes()).unwrap();
    let (body, agreed) = LocalSession::new(1).answer(&offer, &opus(), false).unwrap();
    assert_eq!((agreed.telephone_event, agreed.telephone_event_rate), (Some(101), 8_000));
    assert_eq!(agreed.telephone_event_receive, Some(101));
    assert!(text(&body).contains("m=audio 20000 RTP/AVP 111 101\r\n"));
    // Without events nobody gets any.
    let silent = GRANDSTREAM.replace("18 101", "18");
    let silent = Session::parse(silent.as_bytes()).unwrap();
    let (body, agreed) = LocalSession::new(1).answer(&silent, &local(), false).unwrap();
    assert_eq!((agreed.telephone_event, agreed.telephone_event_receive), (None, None));
    assert!(!text(&body).contains("telephone-event"));
}

#[test]
fn packet_times_from_10_to_60_ms_are_kept_and_others_bounded() {
    let ptime = |lines: &str| {
        let offer = GRANDSTREAM.replace("a=ptime:20\r\n", lines);
        agreed(&local(), &Session::parse(offer.as_bytes()).unwrap(), false).unwrap().ptime_ms
    };
    for (lines, expected) in [
        ("a=ptime:10\r\n", 10),
        ("a=ptime:30\r\n", 30),
        ("a=ptime:60\r\n", 60),
        ("a=ptime:120\r\n", 60),
        ("a=ptime:1\r\n", 20),
        ("a=ptime:0\r\n", 20),
        ("a=ptime:-20\r\n", 20),
        ("a=ptime:99999999999999999999\r\n", 20),
        ("a=ptime:40\r\na=maxptime:30\r\n", 30),
        ("a=maxptime:5\r\n", 20),
        ("", 20),
    ] {
        assert_eq!(ptime(lines), expected, "{lines}");
    }
}

#[test]
fn hold_on_one_line_or_in_the_session_is_hold() {
    let session = GRANDSTREAM.replace("a=sendrecv\r\n", "").replace("t=0 0", "a=inactive\r\nt=0 0");
    let media = GRANDSTREAM.replace("a=sendrecv", "c=IN IP4 0.0.0.0\r\na=sendrecv");
    let v6 = GRANDSTREAM.replace("c=IN IP4 192.168.1.20", "c=IN IP6 ::");
    let direction = |offer: &str, local: &LocalAudio| {
        let offer = Session::parse(offer.as_bytes()).unwrap();
        agreed(local, &offer, false).unwrap().direction
    };
    assert_eq!(direction(&session, &local()), Direction::Inactive);
    assert_eq!(direction(&media, &local()), Direction::RecvOnly);
    let own_v6 = LocalAudio { address: "[2001:db8::1]:20000".parse().unwrap(), ..local() };
    assert_eq!(direction(&v6, &own_v6), Direction::RecvOnly);
}

#[test]
fn payload_types_that_make_no_sense_are_passed_over_and_long_words_refused() {
    let odd = "v=0\r\nc=IN IP4 192.0.2.1\r\n\
        m=audio 4 RTP/AVP 128 255 256 -0 0 0 0x8 99 8 8 8\r\na=rtpmap:128 PCMU/8000\r\n\
        a=rtpmap:99 /8000\r\na=rtpmap:8 PCMA/0\r\na=rtpmap:8 PCMA\r\na=fmtp\r\na=fmtp:\r\n";
    let offer = Session::parse(odd.as_bytes()).unwrap();
    let agreed = agreed(&local(), &offer, false).unwrap();
    let types: Vec<u8> = agreed.common.iter().map(|format| format.payload_type).collect();
    assert_eq!(types, [0, 8]);
    let many = (0..500).map(|number| format!(" {number}")).collect::<String>();
    let many = format!("v=0\r\nm=audio 4 RTP/AVP{many}\r\n");
    assert_eq!(Session::parse(many.as_bytes()).unwrap().media[0].formats.len(), 64);
    let long = format!("v=0\r\nm=audio 4 {} 0\r\n", "x".repeat(65));
    assert_eq!(Session::parse(long.as_bytes()), Err(SdpError::Media { line: 2 }));
    let lines = format!("v=0\r\n{}", "m=audio 4 RTP/AVP 0\r\n".repeat(17));
    assert_eq!(Session::parse(lines.as_bytes()), Err(SdpError::TooManyMedia { limit: 16 }));
}
