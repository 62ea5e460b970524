//! Messages that cross (RFC 3261, 9.1, 14, 15; RFC 5407), forks and late answers (13.2.2.4).

use super::*;

fn re_invite(rig: &mut Rig, index: usize, dialog: DialogId) -> ClientTx {
    let now = rig.now;
    let body = Some(sdp(2));
    rig.agents[index].request_in_dialog(now, dialog, Method::Invite, Vec::new(), body).unwrap()
}

fn failed(rig: &mut Rig, index: usize) -> u16 {
    rig.until(index, |event| match event {
        Event::Failed { status, .. } => Some(*status),
        _ => None,
    })
}

fn re_invited(rig: &mut Rig, index: usize) -> ServerTx {
    rig.until(index, |event| match event {
        Event::InDialog { tx, message, .. } if message.method() == Some(Method::Invite) => {
            Some(*tx)
        }
        _ => None,
    })
}

fn again(rig: &mut Rig, index: usize) -> Time {
    rig.until(index, |event| matches!(event, Event::TryAgain { .. }).then_some(()));
    rig.now
}

#[test]
fn both_sides_of_a_glare_are_offered_their_re_invite_again_the_owner_later() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, 0, Transport::Udp);
        let (caller, callee) = rig.established();
        re_invite(&mut rig, 0, caller);
        re_invite(&mut rig, 1, callee);
        assert_eq!((failed(&mut rig, 0), failed(&mut rig, 1)), (491, 491));
        let refused = rig.now;
        let waits = [again(&mut rig, 1), again(&mut rig, 0)].map(|at| at.since(refused));
        assert!(waits[0] <= Duration::from_millis(2000), "{waits:?}");
        let owner = Duration::from_millis(2090)..=Duration::from_millis(4000);
        assert!(owner.contains(&waits[1]), "{waits:?}");
        re_invite(&mut rig, 0, caller);
        let tx = re_invited(&mut rig, 1);
        rig.answer(1, tx, Response { body: Some(sdp(3)), ..Response::new(200) });
        rig.until(0, |event| matches!(event, Event::Answered { .. }).then_some(()));
        let now = rig.now;
        rig.agents[0].ack(now, caller, None);
        rig.hang_up(caller);
    }
}

#[test]
fn a_second_re_invite_before_the_first_is_answered_gets_500_and_the_first_goes_on() {
    let mut rig = Rig::new(1, 0, Transport::Udp);
    let (caller, _) = rig.established();
    let first = re_invite(&mut rig, 0, caller);
    let tx = re_invited(&mut rig, 1);
    // A peer that does not wait.
    rig.agents[0].dialogs.get_mut(&caller.0).unwrap().client_invite = None;
    re_invite(&mut rig, 0, caller);
    assert_eq!(failed(&mut rig, 0), 500);
    let seconds = rig.last(1, "500").number(Header::RetryAfter).unwrap();
    assert!(seconds <= 10);
    let dialog = rig.agents[1].dialogs.values().next().unwrap();
    assert_eq!((dialog.server_invite, dialog.offer_tx), (Some(tx.0), Some(tx.0)));
    rig.answer(1, tx, Response { body: Some(sdp(3)), ..Response::new(200) });
    rig.until(0, |event| match event {
        Event::Answered { tx, .. } if *tx == first => Some(()),
        _ => None,
    });
    let now = rig.now;
    rig.agents[0].dialogs.get_mut(&caller.0).unwrap().invite_cseq -= 1;
    rig.agents[0].ack(now, caller, None);
    rig.hang_up(caller);
}

#[test]
fn a_bye_that_crosses_a_re_invite_ends_both() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, 10, Transport::Udp);
        let (caller, callee) = rig.established();
        re_invite(&mut rig, 0, caller);
        let now = rig.now;
        rig.agents[1].bye(now, callee, None);
        rig.until(0, |event| matches!(event, Event::Bye { .. }).then_some(()));
        rig.finish();
    }
}

#[test]
fn a_bye_behind_an_unanswered_re_invite_ends_it_with_487() {
    let mut rig = Rig::new(2, 0, Transport::Udp);
    let (caller, _) = rig.established();
    re_invite(&mut rig, 0, caller);
    re_invited(&mut rig, 1);
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    rig.until(1, |event| matches!(event, Event::Bye { .. }).then_some(()));
    assert_eq!(failed(&mut rig, 0), 487);
    rig.finish();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut rig = Rig::new(3, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    rig.agents[1].bye(now, callee, None);
    rig.run_for(Duration::from_secs(1));
    assert_eq!((rig.count(0, "481"), rig.count(1, "481")), (1, 1));
    rig.finish();
}

#[test]
fn a_cancel_that_meets_the_200_is_481_or_200_and_the_call_stands_until_its_bye() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, 0, Transport::Udp);
        let call = rig.invite(None);
        let (tx, _) = rig.incoming();
        rig.respond(1, tx, 180);
        rig.until(0, |event| matches!(event, Event::Progress { .. }).then_some(()));
        rig.loss_percent = 10;
        let now = rig.now;
        rig.agents[0].cancel(now, call, None);
        rig.respond(1, tx, 200);
        let dialog = rig.answered(call);
        assert!(!rig.has(1, |event| matches!(event, Event::Cancelled { .. })));
        rig.hang_up(dialog);
    }
}

#[test]
fn a_cancelled_re_invite_ends_with_487_and_the_call_stands() {
    let mut rig = Rig::new(6, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    assert!(rig.agents[0].may_offer(caller) && rig.agents[1].may_offer(callee));
    let change = re_invite(&mut rig, 0, caller);
    re_invited(&mut rig, 1);
    assert!(!rig.agents[0].may_offer(caller) && !rig.agents[1].may_offer(callee));
    rig.run_for(Duration::from_millis(10));
    let now = rig.now;
    rig.agents[0].cancel(now, change, None);
    rig.until(1, |event| matches!(event, Event::Cancelled { .. }).then_some(()));
    assert_eq!(failed(&mut rig, 0), 487);
    let from = rig.last(0, "CANCEL").header(Header::From).unwrap().to_vec();
    assert_eq!(Some(from.as_slice()), rig.last(0, "INVITE").header(Header::From));
    assert!(rig.agents[0].may_offer(caller) && rig.agents[1].may_offer(callee));
    rig.hang_up(caller);
}

/// A response to the INVITE that agent 0 sent, from a fork of its own.
fn fork(rig: &mut Rig, status: &str, tag: &str) {
    let invite = rig.last(0, "INVITE");
    let mut text = format!("SIP/2.0 {status} x\r\n").into_bytes();
    for (name, value) in invite.lines() {
        let end: &[u8] = if name == b"To" { &[b";tag=", tag.as_bytes()].concat() } else { b"" };
        if matches!(name, b"Via" | b"From" | b"To" | b"Call-ID" | b"CSeq") {
            text.extend([name, b": ", value, end, b"\r\n"].concat());
        }
    }
    text.extend(format!("Contact: <sip:{tag}@192.0.2.2>\r\nContent-Length: 0\r\n\r\n").bytes());
    let (flow, now) = (rig.flow(1), rig.now);
    rig.agents[0].handle_bytes(now, flow, &text);
    rig.drain();
}

fn taken(rig: &mut Rig) -> Vec<DialogId> {
    let events = std::mem::take(&mut rig.events[0]);
    let answered = events.into_iter().filter_map(|event| match event {
        Event::Answered { dialog, .. } => Some(dialog),
        _ => None,
    });
    answered.collect()
}

#[test]
fn every_fork_that_answers_is_a_dialog_of_its_own_and_the_losers_end_with_bye() {
    let mut rig = Rig::new(4, 0, Transport::Udp);
    rig.lose = |_, message| message.method().is_some();
    rig.invite(None);
    rig.drain();
    for (status, tag) in [("180", "a"), ("183", "b"), ("180", "c"), ("200", "b"), ("200", "a")] {
        fork(&mut rig, status, tag);
    }
    let dialogs = taken(&mut rig);
    assert_eq!(dialogs.len(), 2);
    assert_eq!(rig.agents[0].counts().dialogs, 3);
    let now = rig.now;
    for dialog in &dialogs {
        rig.agents[0].ack(now, *dialog, None);
    }
    rig.agents[0].bye(now, dialogs[1], None);
    // A retransmitted 2xx of either is acknowledged again and tells nobody anything.
    fork(&mut rig, "200", "a");
    fork(&mut rig, "200", "b");
    assert_eq!(rig.count(0, "ACK"), 4);
    assert_eq!(taken(&mut rig), []);
    // Timer M ends the early dialog of the fork that never answered.
    rig.run_for(Duration::from_secs(33));
    assert_eq!(rig.agents[0].counts().dialogs, 1);
    rig.agents[0].bye(rig.now, dialogs[0], None);
    rig.finish();
}

#[test]
fn a_2xx_of_another_fork_after_the_call_was_hung_up_opens_a_dialog_to_be_ended() {
    let mut rig = Rig::new(5, 0, Transport::Udp);
    rig.lose = |_, message| message.method().is_some();
    rig.invite(None);
    rig.drain();
    fork(&mut rig, "200", "a");
    let first = taken(&mut rig);
    let now = rig.now;
    rig.agents[0].ack(now, first[0], None);
    rig.agents[0].bye(now, first[0], None);
    rig.run_for(Duration::from_secs(20));
    fork(&mut rig, "200", "late");
    let late = taken(&mut rig);
    assert_eq!(late.len(), 1);
    let now = rig.now;
    rig.agents[0].ack(now, late[0], None);
    rig.agents[0].bye(now, late[0], None);
    rig.run_for(Duration::from_secs(13));
    // Behind timer M it belongs to nothing.
    fork(&mut rig, "200", "too-late");
    assert_eq!(taken(&mut rig), []);
    assert!(rig.agents[0].dropped().stray_responses > 0);
    rig.finish();
}
