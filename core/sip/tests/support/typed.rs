//! Every typed header view (RFC 3261, 20, and the RFCs of each): on any bytes, where what is shown
//! must lie inside them, and on values that are built from parts, which must be found again. Shared
//! by property test and fuzzer.

use koukan_sip::Method;
use koukan_sip::header::{
    CSeq, Diversion, EventType, HistoryInfo, NameAddr, Privacy, RAck, Reason, ReferTo, ReferredBy,
    Refresher, RemotePartyId, Replaces, SessionExpires, SubscriptionState, SubscriptionStatus, Uri,
    Via, has_option_tag, refer_sub, split_list,
};

fn inside(part: &[u8], whole: &[u8]) {
    let (outer, inner) = (whole.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (outer.start <= inner.start && inner.end <= outer.end));
}

fn address_inside(address: &NameAddr<'_>, value: &[u8]) {
    inside(address.display, value);
    inside(address.uri_text, value);
    address.tag().into_iter().for_each(|tag| inside(tag, value));
    let _ = address.uri().map(|uri| (uri.socket_address(), uri.header(b"Replaces")));
    for (name, given) in address.params.iter() {
        inside(name, value);
        given.into_iter().for_each(|given| inside(given, value));
    }
}

/// Every view of one value.
pub(crate) fn look(value: &[u8]) {
    let _ = (CSeq::parse(value), RAck::parse(value), SessionExpires::parse(value));
    let _ = (Privacy::parse(value).hides_caller(), refer_sub(value), has_option_tag(value, b"x"));
    let _ = Uri::parse(value).map(|uri| uri.user_unescaped());
    if let Some(via) = Via::parse(value) {
        let _ = via.rfc3261_branch();
        via.branch().into_iter().for_each(|branch| inside(branch, value));
    }
    if let Some(address) = NameAddr::parse(value) {
        address_inside(&address, value);
    }
    if let Some(replaces) = Replaces::parse(value) {
        for part in [replaces.call_id, replaces.to_tag, replaces.from_tag] {
            inside(part, value);
        }
        let again = replaces.to_value();
        assert_eq!(Replaces::parse(&again), Some(replaces), "what is written is read again");
    }
    if let Some(refer) = ReferTo::parse(value) {
        address_inside(&refer.address, value);
        let _ = refer.replaces();
    }
    if let Some(by) = ReferredBy::parse(value) {
        by.cid.into_iter().for_each(|cid| inside(cid, value));
    }
    if let Some(party) = RemotePartyId::parse(value) {
        address_inside(&party.address, value);
    }
    if let Some(diversion) = Diversion::parse(value) {
        diversion.reason.into_iter().for_each(|reason| inside(reason, value));
        assert!(diversion.counter > 0);
    }
    if let Some(entry) = HistoryInfo::parse(value) {
        inside(entry.index, value);
        let _ = (entry.reason(), entry.is_private());
    }
    if let Some(reason) = Reason::parse(value) {
        inside(reason.protocol, value);
        reason.text.into_iter().for_each(|text| inside(text, value));
    }
    if let Some(event) = EventType::parse(value) {
        inside(event.package, value);
        event.id.into_iter().for_each(|id| inside(id, value));
    }
    if let Some(state) = SubscriptionState::parse(value) {
        state.reason.into_iter().for_each(|reason| inside(reason, value));
    }
}

/// The views of a whole line, and of each of its values.
pub(crate) fn look_at_line(line: &[u8]) {
    look(line);
    let mut length = 0;
    for element in split_list(line) {
        inside(element, line);
        length += element.len();
        look(element);
    }
    assert!(length <= line.len(), "elements overlap");
}

/// Values out of parts that `script` chooses, each read back.
pub(crate) fn build(script: &[u8]) {
    let mut rest = script.iter().copied();
    let mut next = move || rest.next().unwrap_or(0);
    let token = |byte: u8| format!("t{byte:x}");
    let (space, number) = (spaces(next()), u32::from(next()) << 8 | u32::from(next()));
    let (one, two) = (token(next()), token(next()));

    let value = format!("{one}@h{space};{space}to-tag{space}={space}{two};from-tag={one};x");
    let replaces = Replaces::parse(value.as_bytes()).expect("Replaces");
    assert_eq!((replaces.to_tag, replaces.from_tag), (two.as_bytes(), one.as_bytes()));

    let value =
        format!("{number}{space};refresher={}", if next() & 1 == 0 { "uac" } else { "UAS" });
    let session = SessionExpires::parse(value.as_bytes()).expect("Session-Expires");
    assert_eq!(session.seconds, number);
    assert_eq!(session.refresher == Some(Refresher::Uac), value.ends_with("uac"));

    let value = format!("{number} {space}7 {space}INVITE");
    let rack = RAck { rseq: number, cseq: 7, method: Method::Invite };
    assert_eq!(RAck::parse(value.as_bytes()), Some(rack));
    let value = format!("{number} {space}BYE");
    let cseq = CSeq::parse(value.as_bytes()).expect("CSeq");
    assert_eq!((cseq.number, cseq.method), (number, Method::Bye));

    let value = format!("terminated{space};{space}reason={one};retry-after={number}");
    let state = SubscriptionState::parse(value.as_bytes()).expect("Subscription-State");
    assert_eq!(state.status, SubscriptionStatus::Terminated);
    assert_eq!((state.reason, state.retry_after), (Some(one.as_bytes()), Some(number)));
    let value = format!("{one}.winfo{space};id={two}");
    let event = EventType::parse(value.as_bytes()).expect("Event");
    assert_eq!(event.id, Some(two.as_bytes()));

    // A quoted name may hold anything that is escaped where it must be.
    let mut name = String::new();
    for _ in 0..next() % 12 {
        match next() {
            byte @ (b'"' | b'\\') => name.extend(['\\', char::from(byte)]),
            byte if byte.is_ascii_graphic() || byte > 127 => name.push(char::from(byte)),
            _ => name.push(' '),
        }
    }
    let name = format!("\"{name}\"");
    let uri = format!("sip:{one}@192.0.2.1;method=BYE?Replaces={two}%3Bto-tag%3D1");
    let value =
        format!("{name}{space}<{uri}>{space};party=called;reason={two};counter=3;index=1.2");
    let refer = ReferTo::parse(value.as_bytes()).expect("Refer-To");
    assert_eq!((refer.method, refer.address.display), (Method::Bye, name.as_bytes()));
    assert_eq!(refer.address.uri_text, uri.as_bytes());
    let replaced = format!("{two};to-tag=1");
    assert_eq!(refer.replaces().as_deref(), Some(replaced.as_bytes()));
    let diversion = Diversion::parse(value.as_bytes()).expect("Diversion");
    assert_eq!((diversion.counter, diversion.reason), (3, Some(two.as_bytes())));
    assert_eq!(HistoryInfo::parse(value.as_bytes()).map(|entry| entry.index), Some(&b"1.2"[..]));
    let list = format!("{value},{space}{value}");
    assert_eq!(split_list(list.as_bytes()).collect::<Vec<_>>(), [value.as_bytes(); 2]);

    let value =
        format!("SIP/2.0/UDP {space}192.0.2.1:{}{space};branch=z9hG4bK{one}", number % 65_536);
    let via = Via::parse(value.as_bytes()).expect("Via");
    assert_eq!(via.rfc3261_branch(), Some(format!("z9hG4bK{one}").as_bytes()));
    assert_eq!(via.port.map(u32::from), Some(number % 65_536));
    let value = format!("Q.850{space};cause={};text={name}", number % 128);
    let reason = Reason::parse(value.as_bytes()).expect("Reason");
    assert_eq!(reason.cause.map(u32::from), Some(number % 128));
}

/// White space as it may stand between parts.
fn spaces(choice: u8) -> &'static str {
    match choice & 3 {
        0 => "",
        1 => " ",
        2 => "\t ",
        _ => "\r\n ",
    }
}
