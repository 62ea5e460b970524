//! Calls from INVITE to BYE (RFC 3261, sections 9, 12, 13, 15, 17, 22; RFC 3891).

use super::*;

#[test]
fn calls_are_made_and_ended_over_a_link_that_loses_doubles_and_reorders() {
    for seed in 0..200 {
        let mut rig = Rig::new(seed, 15, Transport::Udp);
        let (caller, callee) = rig.established();
        let now = rig.now;
        if seed % 2 == 0 {
            rig.agents[0].bye(now, caller, None);
            rig.until(1, |event| matches!(event, Event::Bye { .. }).then_some(()));
        } else {
            rig.agents[1].bye(now, callee, Some("SIP;cause=200"));
            rig.until(0, |event| matches!(event, Event::Bye { .. }).then_some(()));
        }
        rig.finish();
    }
}

#[test]
fn a_stream_carries_a_call_without_retransmissions() {
    let mut rig = Rig::new(1, 0, Transport::Tcp);
    let (caller, _) = rig.established();
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    rig.until(1, |event| matches!(event, Event::Bye { .. }).then_some(()));
    // INVITE, 180, 200, ACK, BYE, 200.
    assert_eq!(rig.sent, 6);
    rig.finish();
}

#[test]
fn a_call_that_is_dropped_without_an_answer_leaves_nothing() {
    let mut rig = Rig::new(3, 0, Transport::Udp);
    let _unanswered = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.agents[1].forget(tx);
    let counts = rig.agents[1].counts();
    assert_eq!((counts.dialogs, counts.server_transactions), (0, 0));
}

#[test]
fn an_overloaded_agent_refuses_new_calls_and_serves_those_that_are_up() {
    let mut rig = Rig::new(3, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    let taken = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.agents[1].set_overloaded(true);
    let refused = rig.invite(None);
    rig.until(0, |event| match event {
        Event::Failed { tx, status: 503, .. } if *tx == refused => Some(()),
        _ => None,
    });
    let pause = rig.last(1, "503").header(Header::RetryAfter).unwrap();
    assert!((5..15).contains(&String::from_utf8_lossy(pause).parse::<u32>().unwrap()));
    assert_eq!((rig.agents[1].shed(), rig.agents[1].counts().dialogs), (1, 2));
    // The call before it is answered, the one that was up goes on and ends.
    rig.respond(1, tx, 200);
    let second = rig.answered(taken);
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    rig.until(1, |event| {
        matches!(event, Event::Bye { dialog, .. } if *dialog == callee).then_some(())
    });
    rig.agents[1].set_overloaded(false);
    let third = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.respond(1, tx, 200);
    let third = rig.answered(third);
    for dialog in [second, third] {
        let now = rig.now;
        rig.agents[0].bye(now, dialog, None);
        rig.until(1, |event| matches!(event, Event::Bye { .. }).then_some(()));
    }
    rig.finish();
}

#[test]
fn the_100_is_sent_only_when_nothing_else_is_within_200_ms() {
    let mut rig = Rig::new(1, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.run_for(Duration::from_millis(100));
    assert_eq!(rig.count(1, "100"), 0);
    rig.run_for(Duration::from_millis(100));
    assert_eq!((rig.count(1, "100"), rig.count(0, "INVITE")), (1, 1));
    rig.respond(1, tx, 200);
    let dialog = rig.answered(call);
    assert_eq!(rig.count(1, "100"), 1);
    rig.hang_up(dialog);
}

#[test]
fn a_refused_call_leaves_nothing_behind() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, 15, Transport::Udp);
        let call = rig.invite(None);
        let (tx, _) = rig.incoming();
        rig.respond(1, tx, 486);
        let status = rig.until(0, |event| match event {
            Event::Failed { tx, status, .. } if *tx == call => Some(*status),
            _ => None,
        });
        assert_eq!(status, 486);
        rig.finish();
    }
}

#[test]
fn a_cancelled_call_ends_with_487_on_both_sides() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, 10, Transport::Udp);
        let call = rig.invite(None);
        // Before any provisional response: the CANCEL waits for it.
        let now = rig.now;
        rig.agents[0].cancel(now, call, Some("SIP;cause=200"));
        let (tx, _) = rig.incoming();
        rig.until(1, |event| match event {
            Event::Cancelled { tx: cancelled, reason, .. } if *cancelled == tx => {
                assert_eq!(reason.as_deref(), Some(b"SIP;cause=200".as_slice()));
                Some(())
            }
            _ => None,
        });
        let status = rig.until(0, |event| match event {
            Event::Failed { status, .. } => Some(*status),
            _ => None,
        });
        assert_eq!(status, 487);
        rig.finish();
    }
}

#[test]
fn an_answer_that_crosses_the_cancel_still_arrives() {
    let mut rig = Rig::new(3, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.respond(1, tx, 180);
    rig.until(0, |event| matches!(event, Event::Progress { .. }).then_some(()));
    rig.respond(1, tx, 200);
    let now = rig.now;
    rig.agents[0].cancel(now, call, None);
    let dialog = rig.answered(call);
    let now = rig.now;
    rig.agents[0].bye(now, dialog, None);
    rig.until(1, |event| matches!(event, Event::Bye { .. }).then_some(()));
    rig.finish();
}

#[test]
fn nobody_there_is_408_after_timer_b() {
    let mut rig = Rig::new(4, 0, Transport::Udp);
    let start = rig.now;
    rig.invite(None);
    rig.drain();
    let status = loop {
        rig.wire.clear();
        assert!(rig.step());
        if let Some(Event::Failed { status, cause, .. }) = rig.events[0].pop() {
            assert_eq!(cause, FailureCause::Timeout);
            break status;
        }
    };
    assert_eq!((status, rig.now.since(start)), (408, Duration::from_secs(32)));
    rig.wire.clear();
    rig.finish();
}

#[test]
fn a_missing_ack_is_reported_after_32_seconds_and_the_dialog_ends_by_bye() {
    let mut rig = Rig::new(5, 0, Transport::Udp);
    rig.invite(None);
    let (tx, callee) = rig.incoming();
    rig.respond(1, tx, 200);
    rig.until(0, |event| matches!(event, Event::Answered { .. }).then_some(()));
    rig.until(1, |event| matches!(event, Event::AckMissing { .. }).then_some(()));
    let now = rig.now;
    rig.agents[1].bye(now, callee, None);
    rig.until(0, |event| matches!(event, Event::Bye { .. }).then_some(()));
    rig.finish();
}

#[test]
fn a_challenge_is_answered_once_and_within_the_same_request() {
    let mut rig = Rig::new(6, 0, Transport::Udp);
    let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
    let call = rig.invite(Some(credentials));
    let challenge = b"Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"".to_vec();
    for round in 0..2 {
        let (tx, _) = rig.until(1, |event| match event {
            Event::Invite { tx, dialog, message, .. } => {
                let has = message.header(crate::Header::ProxyAuthorization).is_some();
                assert_eq!(has, round == 1);
                Some((*tx, *dialog))
            }
            _ => None,
        });
        let headers = vec![("Proxy-Authenticate", challenge.clone())];
        let response = Response { headers, ..Response::new(407) };
        let now = rig.now;
        rig.agents[1].respond(now, tx, response);
    }
    let status = rig.until(0, |event| match event {
        Event::Failed { tx, status, .. } if *tx == call => Some(*status),
        _ => None,
    });
    assert_eq!(status, 407);
    rig.finish();
}

#[test]
fn re_invites_that_cross_get_491() {
    let mut rig = Rig::new(7, 0, Transport::Udp);
    let (caller, callee) = rig.established();
    let now = rig.now;
    rig.agents[0].request_in_dialog(now, caller, Method::Invite, Vec::new(), None).unwrap();
    rig.agents[1].request_in_dialog(now, callee, Method::Invite, Vec::new(), None).unwrap();
    for index in 0..2 {
        let status = rig.until(index, |event| match event {
            Event::Failed { status, .. } => Some(*status),
            _ => None,
        });
        assert_eq!(status, 491);
    }
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    rig.finish();
}

#[test]
fn a_request_in_an_unknown_dialog_is_481_and_a_stray_cancel_too() {
    let mut rig = Rig::new(8, 0, Transport::Udp);
    for method in ["BYE", "CANCEL", "INFO"] {
        let tag = if method == "CANCEL" { "" } else { ";tag=none" };
        let text = format!(
            "{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}\r\n\
             From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>{tag}\r\nCall-ID: c{method}\r\nCSeq: 2 {method}\r\n\r\n"
        );
        let (flow, now) = (rig.flow(0), rig.now);
        rig.agents[1].handle_bytes(now, flow, text.as_bytes());
        match rig.agents[1].poll_action() {
            Some(UaAction::Send { bytes, .. }) => assert!(bytes.starts_with(b"SIP/2.0 481 ")),
            other => panic!("{other:?}"),
        }
    }
    rig.finish();
}

#[test]
fn replaces_finds_confirmed_dialogs_and_early_ones_that_we_began() {
    let mut rig = Rig::new(10, 0, Transport::Udp);
    rig.invite(None);
    let (tx, callee) = rig.incoming();
    rig.respond(1, tx, 180);
    let caller = rig.until(0, |event| match event {
        Event::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let value = |agent: &UserAgent, dialog: DialogId| {
        let (call_id, to_tag, from_tag) = agent.identity(dialog).unwrap();
        Replaces { call_id, to_tag, from_tag, early_only: false }.to_value()
    };
    let (ours, theirs) = (value(&rig.agents[0], caller), value(&rig.agents[1], callee));
    let find = |rig: &Rig, index: usize, value: &[u8]| {
        rig.agents[index].find_dialog(Replaces::parse(value).unwrap())
    };
    assert_eq!(find(&rig, 0, &ours), Some((caller, false)));
    assert_eq!(find(&rig, 1, &theirs), None);
    assert_eq!(find(&rig, 0, &theirs), None);
    rig.respond(1, tx, 200);
    rig.until(0, |event| matches!(event, Event::Answered { .. }).then_some(()));
    let now = rig.now;
    rig.agents[0].ack(now, caller, None);
    rig.until(1, |event| matches!(event, Event::Acked { .. }).then_some(()));
    assert_eq!(find(&rig, 0, &ours), Some((caller, true)));
    assert_eq!(find(&rig, 1, &theirs), Some((callee, true)));
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    assert_eq!(find(&rig, 0, &ours), None);
    rig.finish();
}

#[test]
fn only_what_is_not_done_is_unsupported() {
    let mut rig = Rig::new(11, 0, Transport::Udp);
    let text = "OPTIONS sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKr\r\n\
         From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: r\r\nCSeq: 2 OPTIONS\r\n\
         Require: Replaces, gruu\r\n\r\n";
    let (flow, now) = (rig.flow(0), rig.now);
    rig.agents[1].handle_bytes(now, flow, text.as_bytes());
    let Some(UaAction::Send { bytes, .. }) = rig.agents[1].poll_action() else { panic!() };
    let answer = Message::from_datagram(&mut Scanner::new(), &bytes).unwrap();
    assert_eq!(answer.status(), Some(420));
    assert_eq!(answer.header(crate::Header::Unsupported), Some(b"gruu".as_slice()));
    let text = text.replace(", gruu", "").replace("z9hG4bKr", "z9hG4bKs");
    rig.agents[1].handle_bytes(now, flow, text.as_bytes());
    let tx = rig.until(1, |event| match event {
        Event::Request { tx, .. } => Some(*tx),
        _ => None,
    });
    rig.respond(1, tx, 200);
    rig.finish();
}

#[test]
fn a_failed_flow_ends_its_requests_with_503() {
    let mut rig = Rig::new(9, 0, Transport::Tcp);
    rig.invite(None);
    rig.drain();
    rig.wire.clear();
    let (flow, now) = (rig.flow(1), rig.now);
    rig.agents[0].handle_flow_failed(now, flow);
    let status = rig.until(0, |event| match event {
        Event::Failed { status, cause: FailureCause::Transport, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status, 503);
    rig.finish();
}

#[test]
fn a_callee_whose_2xx_never_came_and_that_hangs_up_leaves_no_invite_behind() {
    let mut rig = Rig::new(12, 0, Transport::Udp);
    let call = rig.invite(None);
    let (tx, _) = rig.incoming();
    rig.respond(1, tx, 180);
    rig.run_for(Duration::from_secs(1));
    // The network is gone for longer than the callee repeats its answer.
    rig.lose = |from, message| from == 1 && message.status() == Some(200);
    rig.respond(1, tx, 200);
    let callee = rig.until(1, |event| match event {
        Event::AckMissing { dialog } => Some(*dialog),
        _ => None,
    });
    rig.lose = |_, _| false;
    let now = rig.now;
    rig.agents[1].bye(now, callee, None);
    rig.until(0, |event| matches!(event, Event::Bye { .. }).then_some(()));
    let failed = rig.until(0, |event| match event {
        Event::Failed { tx, status, .. } => Some((*tx, *status)),
        _ => None,
    });
    assert_eq!(failed, (call, 408));
    rig.finish();
}
