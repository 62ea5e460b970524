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
    assert_eq!(refusal(&GRANDSTREAM.replace("RTP/AVP", "RTP/SAVP")), Refusal::NoAudio);
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
