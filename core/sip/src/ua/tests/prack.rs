//! Reliable provisional responses (RFC 3262) in both roles.

use super::*;

/// A 101–199 to be sent reliably, perhaps with a description.
fn reliable(status: u16, body: Option<Body>) -> Response {
    Response { body, reliable: true, ..Response::new(status) }
}

fn progress(rig: &mut Rig, wanted: u16) -> (Option<DialogId>, bool) {
    rig.until(0, |event| match event {
        Event::Progress { dialog, status, offer, .. } if *status == wanted => {
            Some((*dialog, *offer))
        }
        _ => None,
    })
}

fn pracked(rig: &mut Rig) -> (Option<ServerTx>, Vec<u8>) {
    rig.until(1, |event| match event {
        Event::Pracked { tx, message, .. } => Some((*tx, message.body().to_vec())),
        _ => None,
    })
}

#[test]
fn a_2xx_waits_until_the_description_before_it_is_acknowledged() {
    for seed in 0..100 {
        let mut rig = Rig::new(seed, 15, Transport::Udp);
        let call = rig.invite(None);
        let (tx, _) = rig.incoming();
        rig.answer(1, tx, reliable(183, Some(sdp(1))));
        rig.answer(1, tx, Response::new(200));
        assert_eq!(rig.count(1, "200"), 0);
        pracked(&mut rig);
        let dialog = rig.answered(call);
        rig.until(1, |event| matches!(event, Event::Acked { .. }).then_some(()));
        let told = |event: &Event| matches!(event, Event::Progress { status: 183, .. });
        assert_eq!(rig.events[0].iter().filter(|event| told(event)).count(), 1, "seed {seed}");
        rig.hang_up(dialog);
    }
}

#[test]
fn a_prack_names_the_response_and_gets_200() {
    let mut rig = Rig::new(1, 0, Transport::Udp);
    let call = rig.invite(None);
    assert!(rig.has(0, |_| false) || rig.count(0, "INVITE") == 0);
    let (tx, _) = rig.incoming();
    assert!(rig.last(0, "INVITE").supports(b"100rel"));
    rig.answer(1, tx, reliable(180, None));
    pracked(&mut rig);
    let ringing = rig.last(1, "180");
    assert!(ringing.requires(b"100rel") && ringing.allows(Method::Update) == Some(true));
    let rseq = ringing.number(Header::RSeq).unwrap();
    assert!((1..1 << 31).contains(&rseq));
    let expected = format!("{rseq} 1 INVITE");
    assert_eq!(rig.last(0, "PRACK").header(Header::RAck), Some(expected.as_bytes()));
    rig.run_for(Duration::from_secs(1));
    assert_eq!((rig.count(1, "180"), rig.count(0, "PRACK"), rig.count(1, "200")), (1, 1, 1));
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.hang_up(dialog);
}

#[test]
fn only_one_is_under_way_until_it_is_acknowledged() {
    let mut rig = Rig::new(2, 0, Transport::Udp);
    rig.lose = |from, message| from == 0 && message.method() == Some(Method::Prack);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(183, None));
    rig.answer(1, tx, reliable(180, None));
    rig.run_for(Duration::from_secs(3));
    assert_eq!((rig.count(1, "183"), rig.count(1, "180")), (3, 0));
    rig.lose = |_, _| false;
    progress(&mut rig, 180);
    let numbers = [rig.last(1, "183"), rig.last(1, "180")].map(|told| told.number(Header::RSeq));
    assert_eq!(numbers[1], numbers[0].map(|rseq| rseq + 1));
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.hang_up(dialog);
}

#[test]
fn nobody_acknowledges_for_64_t1_and_the_call_ends_with_504() {
    let mut rig = Rig::new(3, 0, Transport::Udp);
    rig.lose = |_, message| message.method() == Some(Method::Prack);
    rig.invite(None);
    let (tx, callee) = rig.incoming();
    let start = rig.now;
    rig.answer(1, tx, reliable(183, Some(sdp(1))));
    rig.answer(1, tx, Response::new(200));
    rig.until(1, |event| match event {
        Event::PrackMissing { invite, dialog } => {
            assert_eq!((*invite, *dialog), (tx, callee));
            Some(())
        }
        _ => None,
    });
    assert_eq!(rig.now.since(start), Duration::from_secs(32));
    assert_eq!((rig.count(1, "183"), rig.count(1, "200"), rig.count(1, "504")), (7, 0, 1));
    let status = rig.until(0, |event| match event {
        Event::Failed { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status, 504);
    rig.finish();
}

#[test]
fn a_caller_that_requires_it_gets_every_one_reliably_and_another_none() {
    let mut rig = Rig::new(4, 0, Transport::Udp);
    let mut request = rig.initial(None);
    request.headers.push(("Require", b"100rel".to_vec()));
    let now = rig.now;
    let call = rig.agents[0].invite(now, request);
    let (tx, _) = rig.incoming();
    rig.run_for(Duration::from_millis(200));
    rig.respond(1, tx, 180);
    pracked(&mut rig);
    assert!(rig.last(1, "180").requires(b"100rel"));
    assert!(rig.last(1, "100").header(Header::RSeq).is_none());
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.hang_up(dialog);

    let mut rig = Rig::new(5, 0, Transport::Udp);
    rig.agents[0].config.reliable = false;
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(180, None));
    progress(&mut rig, 180);
    assert!(rig.last(1, "180").header(Header::RSeq).is_none());
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    assert_eq!(rig.count(0, "PRACK"), 0);
    rig.hang_up(dialog);
}

#[test]
fn a_late_offer_in_a_183_is_answered_in_its_prack() {
    let mut rig = Rig::new(6, 0, Transport::Udp);
    let mut request = rig.initial(None);
    request.body = None;
    let now = rig.now;
    let call = rig.agents[0].invite(now, request);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(183, Some(sdp(1))));
    let (dialog, offer) = progress(&mut rig, 183);
    assert!(offer);
    rig.run_for(Duration::from_millis(400));
    assert_eq!(rig.count(0, "PRACK"), 0);
    let now = rig.now;
    let prack = rig.agents[0].prack(now, dialog.unwrap(), Some(sdp(2))).unwrap();
    assert_eq!(rig.agents[0].prack(now, dialog.unwrap(), Some(sdp(2))), None);
    assert_eq!(pracked(&mut rig), (None, sdp(2).bytes));
    rig.until(0, |event| match event {
        Event::Response { tx, status, .. } if *tx == prack => {
            assert_eq!(*status, 200);
            Some(())
        }
        _ => None,
    });
    rig.answer(1, tx, Response::new(200));
    let dialog = rig.answered(call);
    rig.hang_up(dialog);
}

#[test]
fn an_offer_in_a_prack_is_answered_by_the_user_and_holds_the_2xx() {
    let mut rig = Rig::new(7, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(183, Some(sdp(1))));
    rig.answer(1, tx, Response::new(200));
    // The PRACK on the wire gets an offer.
    while !rig.wire.values().any(|(_, bytes)| bytes.starts_with(b"PRACK")) {
        assert!(rig.step());
    }
    for (_, bytes) in rig.wire.values_mut().filter(|(_, bytes)| bytes.starts_with(b"PRACK")) {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let offer = String::from_utf8(sdp(2).bytes).unwrap();
        let head = format!("Content-Length: {}\r\n\r\n{offer}", offer.len());
        *bytes = text.replace("Content-Length: 0\r\n\r\n", &head).into_bytes();
    }
    let (prack, offer) = pracked(&mut rig);
    assert_eq!(offer, sdp(2).bytes);
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.count(1, "200"), 0);
    rig.answer(1, prack.unwrap(), Response { body: Some(sdp(3)), ..Response::new(200) });
    let dialog = rig.answered(call);
    assert_eq!(rig.count(1, "200"), 2);
    rig.hang_up(dialog);
}

#[test]
fn a_2xx_overtakes_mere_ringing_and_a_late_prack_is_still_welcome() {
    let mut rig = Rig::new(8, 0, Transport::Udp);
    rig.lose = |from, message| from == 0 && message.method() == Some(Method::Prack);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(180, None));
    progress(&mut rig, 180);
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.lose = |_, _| false;
    pracked(&mut rig);
    assert_eq!((rig.count(1, "180"), rig.count(1, "481")), (1, 0));
    rig.hang_up(dialog);
}

#[test]
fn a_prack_that_acknowledges_nothing_is_481() {
    let mut rig = Rig::new(9, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(180, None));
    let (dialog, _) = progress(&mut rig, 180);
    let headers = vec![("RAck", b"1 1 INVITE".to_vec())];
    let now = rig.now;
    let stray = rig.agents[0]
        .request_in_dialog(now, dialog.unwrap(), Method::Prack, headers, None)
        .unwrap();
    let status = rig.until(0, |event| match event {
        Event::Response { tx, status, .. } if *tx == stray => Some(*status),
        _ => None,
    });
    assert_eq!(status, 481);
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.hang_up(dialog);
}

#[test]
fn a_cancel_ends_a_call_whose_2xx_is_held() {
    let mut rig = Rig::new(10, 0, Transport::Udp);
    rig.lose = |_, message| message.method() == Some(Method::Prack);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, reliable(183, Some(sdp(1))));
    rig.answer(1, tx, Response::new(200));
    progress(&mut rig, 183);
    let now = rig.now;
    rig.agents[0].cancel(now, call, None);
    rig.until(1, |event| matches!(event, Event::Cancelled { .. }).then_some(()));
    rig.until(0, |event| matches!(event, Event::Failed { status: 487, .. }).then_some(()));
    rig.finish();
}

#[test]
fn a_callee_that_hangs_up_before_its_held_2xx_left_refuses_and_sends_no_bye() {
    let mut rig = Rig::new(11, 0, Transport::Udp);
    rig.lose = |_, message| message.method() == Some(Method::Prack);
    rig.invite(None);
    let (tx, callee) = rig.incoming();
    rig.answer(1, tx, reliable(183, Some(sdp(1))));
    rig.answer(1, tx, Response::new(200));
    let now = rig.now;
    rig.agents[1].bye(now, callee, None);
    rig.until(0, |event| match event {
        Event::Failed { status, .. } => Some(*status).filter(|status| *status == 480),
        _ => None,
    });
    assert_eq!(rig.count(1, "BYE"), 0);
    rig.finish();
}
