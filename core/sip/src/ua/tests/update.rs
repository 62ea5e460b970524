//! UPDATE (RFC 3311), before and after the answer.

use super::*;

/// Sends an UPDATE of agent `index` and returns it.
fn update(rig: &mut Rig, index: usize, dialog: DialogId, body: Option<Body>) -> ClientTx {
    let now = rig.now;
    let agent = &mut rig.agents[index];
    agent.request_in_dialog(now, dialog, Method::Update, Vec::new(), body).unwrap()
}

fn updated(rig: &mut Rig, index: usize) -> ServerTx {
    rig.until(index, |event| match event {
        Event::InDialog { tx, message, .. } if message.method() == Some(Method::Update) => {
            Some(*tx)
        }
        _ => None,
    })
}

fn outcome(rig: &mut Rig, index: usize, wanted: ClientTx) -> (u16, Option<Message>) {
    rig.until(index, |event| match event {
        Event::Response { tx, status, message, .. } if *tx == wanted => {
            Some((*status, message.clone()))
        }
        _ => None,
    })
}

#[test]
fn an_update_changes_an_early_dialog_whose_offer_was_answered_reliably() {
    let mut rig = Rig::new(1, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.answer(1, tx, Response { body: Some(sdp(1)), reliable: true, ..Response::new(183) });
    rig.until(1, |event| matches!(event, Event::Pracked { .. }).then_some(()));
    let dialog = rig.until(0, |event| match event {
        Event::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let early = update(&mut rig, 0, dialog, Some(sdp(2)));
    let theirs = updated(&mut rig, 1);
    rig.answer(1, theirs, Response { body: Some(sdp(3)), ..Response::new(200) });
    let (status, message) = outcome(&mut rig, 0, early);
    assert_eq!((status, message.unwrap().body()), (200, sdp(3).bytes.as_slice()));
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.hang_up(dialog);
}

#[test]
fn an_offer_before_the_first_is_answered_gets_500_and_a_time_to_wait() {
    let mut rig = Rig::new(2, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.respond(1, tx, 180);
    let dialog = rig.until(0, |event| match event {
        Event::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let early = update(&mut rig, 0, dialog, Some(sdp(2)));
    let (status, message) = outcome(&mut rig, 0, early);
    assert_eq!(status, 500);
    assert!(message.unwrap().number(Header::RetryAfter).is_some_and(|seconds| seconds < 10));
    // Without an offer it passes.
    let plain = update(&mut rig, 0, dialog, None);
    let theirs = updated(&mut rig, 1);
    rig.respond(1, theirs, 200);
    assert_eq!(outcome(&mut rig, 0, plain).0, 200);
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    rig.hang_up(dialog);
}

#[test]
fn a_second_update_before_the_first_has_its_answer_gets_500() {
    let mut rig = Rig::new(3, 0, Transport::Udp);
    let (caller, _) = rig.established();
    let first = update(&mut rig, 0, caller, None);
    let theirs = updated(&mut rig, 1);
    let second = update(&mut rig, 0, caller, None);
    let (status, message) = outcome(&mut rig, 0, second);
    assert_eq!(status, 500);
    assert!(message.unwrap().number(Header::RetryAfter).is_some());
    rig.respond(1, theirs, 200);
    assert_eq!(outcome(&mut rig, 0, first).0, 200);
    let third = update(&mut rig, 0, caller, None);
    let theirs = updated(&mut rig, 1);
    rig.respond(1, theirs, 488);
    assert_eq!(outcome(&mut rig, 0, third).0, 488);
    rig.hang_up(caller);
}

#[test]
fn updates_with_offers_that_cross_get_491_and_are_offered_again() {
    let mut rig = Rig::new(4, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    let ours = update(&mut rig, 0, caller, Some(sdp(2)));
    let theirs = update(&mut rig, 1, callee, Some(sdp(2)));
    assert_eq!(outcome(&mut rig, 0, ours).0, 491);
    assert_eq!(outcome(&mut rig, 1, theirs).0, 491);
    for index in [0, 1] {
        rig.until(index, |event| match event {
            Event::TryAgain { method, .. } => {
                assert_eq!(*method, Method::Update);
                Some(())
            }
            _ => None,
        });
    }
    let again = update(&mut rig, 0, caller, Some(sdp(2)));
    let tx = updated(&mut rig, 1);
    rig.answer(1, tx, Response { body: Some(sdp(3)), ..Response::new(200) });
    assert_eq!(outcome(&mut rig, 0, again).0, 200);
    rig.hang_up(caller);
}

#[test]
fn a_re_invite_while_an_offer_of_ours_is_open_gets_491() {
    let mut rig = Rig::new(5, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    let ours = update(&mut rig, 0, caller, Some(sdp(2)));
    let tx = updated(&mut rig, 1);
    let now = rig.now;
    rig.agents[1].request_in_dialog(now, callee, Method::Invite, Vec::new(), None).unwrap();
    rig.until(1, |event| match event {
        Event::Failed { status, .. } => {
            assert_eq!(*status, 491);
            Some(())
        }
        _ => None,
    });
    rig.answer(1, tx, Response { body: Some(sdp(3)), ..Response::new(200) });
    assert_eq!(outcome(&mut rig, 0, ours).0, 200);
    rig.hang_up(caller);
}

#[test]
fn an_update_moves_the_target_of_both_sides() {
    let mut rig = Rig::new(6, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    let headers = vec![("Contact", b"<sip:moved@192.0.2.1>".to_vec())];
    let now = rig.now;
    rig.agents[0].request_in_dialog(now, caller, Method::Update, headers, None).unwrap();
    let tx = updated(&mut rig, 1);
    let headers = vec![("Contact", b"<sip:too@192.0.2.2>".to_vec())];
    rig.answer(1, tx, Response { headers, ..Response::new(200) });
    rig.until(0, |event| matches!(event, Event::Response { .. }).then_some(()));
    assert_eq!(rig.agents[1].remote_target(callee), Some(b"sip:moved@192.0.2.1".as_slice()));
    assert_eq!(rig.agents[0].remote_target(caller), Some(b"sip:too@192.0.2.2".as_slice()));
    rig.hang_up(caller);
}
