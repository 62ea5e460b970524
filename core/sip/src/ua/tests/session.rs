//! Session timers (RFC 4028): both refreshers, 422, glare, and peers that are gone.

use super::*;
use crate::header::{Refresher, SessionExpires};

const S: Duration = Duration::from_secs(1);

/// A rig whose sides want these intervals; 0 for none.
fn rig(seed: u64, expires: [u32; 2]) -> Rig {
    let mut rig = Rig::new(seed, 0, Transport::Udp);
    for (agent, seconds) in rig.agents.iter_mut().zip(expires) {
        agent.config.session.expires_s = Some(seconds).filter(|seconds| *seconds > 0);
    }
    rig
}

/// Answers refreshes of both sides for a while, and tells how many UPDATEs each side sent.
fn serve(rig: &mut Rig, duration: Duration) -> [usize; 2] {
    let end = rig.now + duration;
    while rig.next().is_some_and(|next| next <= end) {
        rig.step();
        for index in [0, 1] {
            let open: Vec<ServerTx> = rig.events[index]
                .extract_if(.., |event| matches!(event, Event::InDialog { .. }))
                .filter_map(|event| match event {
                    Event::InDialog { tx, .. } => Some(tx),
                    _ => None,
                })
                .collect();
            for tx in open {
                rig.respond(index, tx, 200);
            }
        }
    }
    rig.now = rig.now.max(end);
    [rig.count(0, "UPDATE"), rig.count(1, "UPDATE")]
}

fn granted(message: &Message) -> Option<SessionExpires> {
    message.header(Header::SessionExpires).and_then(SessionExpires::parse)
}

fn expired(rig: &mut Rig, index: usize) -> Time {
    rig.until(index, |event| matches!(event, Event::SessionExpired { .. }).then_some(()));
    rig.now
}

#[test]
fn the_caller_refreshes_at_half_time_for_as_long_as_the_call_lasts() {
    let mut rig = rig(1, [1800, 1800]);
    let (caller, _) = rig.established();
    let answer = rig.last(1, "200");
    let agreed = granted(answer).unwrap();
    assert_eq!((agreed.seconds, agreed.refresher), (1800, Some(Refresher::Uac)));
    assert!(answer.requires(b"timer"));
    assert_eq!(serve(&mut rig, 7300 * S), [8, 0]);
    let refresh = rig.last(0, "UPDATE");
    assert_eq!(refresh.header(Header::SessionExpires), Some(b"1800;refresher=uac".as_slice()));
    assert!(refresh.body().is_empty());
    rig.hang_up(caller);
}

#[test]
fn the_callee_refreshes_when_the_caller_asks_for_it() {
    let mut rig = rig(2, [0, 600]);
    let mut request = rig.initial(None);
    request.headers.push(("Session-Expires", b"1000;refresher=uas".to_vec()));
    let now = rig.now;
    let call = rig.agents[0].invite(now, request);
    let (tx, _) = rig.incoming();
    rig.respond(1, tx, 200);
    let caller = rig.answered(call);
    let agreed = granted(rig.last(1, "200")).unwrap();
    assert_eq!((agreed.seconds, agreed.refresher), (600, Some(Refresher::Uas)));
    assert_eq!(serve(&mut rig, 1850 * S), [0, 6]);
    let refresh = rig.last(1, "UPDATE");
    assert_eq!(refresh.header(Header::SessionExpires), Some(b"600;refresher=uac".as_slice()));
    rig.hang_up(caller);
}

#[test]
fn a_peer_that_falls_silent_ends_the_session_on_both_sides() {
    let mut rig = rig(3, [300, 300]);
    let (caller, callee) = rig.established();
    let start = rig.now;
    rig.lose = |_, message| message.status() != Some(481);
    let callee_over = expired(&mut rig, 1).since(start).as_secs();
    let caller_over = expired(&mut rig, 0).since(start).as_secs();
    assert!((267..=268).contains(&callee_over) && (267..=269).contains(&caller_over));
    let now = rig.now;
    rig.agents[0].bye(now, caller, None);
    rig.agents[1].bye(now, callee, None);
    rig.finish();
}

#[test]
fn an_interval_that_is_too_short_gets_422_and_is_asked_for_again() {
    let mut rig = rig(4, [100, 3000]);
    rig.agents[1].config.session.min_se_s = 1200;
    let (caller, _) = rig.established();
    let refusal = rig.last(1, "422");
    assert_eq!(refusal.header(Header::MinSe), Some(b"1200".as_slice()));
    let again = rig.last(0, "INVITE");
    assert_eq!(again.header(Header::SessionExpires), Some(b"1200".as_slice()));
    assert_eq!(again.header(Header::MinSe), Some(b"1200".as_slice()));
    assert_eq!(rig.count(0, "INVITE"), 2);
    assert_eq!(granted(rig.last(1, "200")).map(|agreed| agreed.seconds), Some(1200));
    rig.hang_up(caller);
}

#[test]
fn a_422_that_asks_for_ever_more_ends_the_attempt() {
    let mut rig = rig(5, [100, 0]);
    let call = rig.invite(None);
    for round in 0..4u32 {
        let (tx, _) = rig.incoming();
        let headers = vec![("Min-SE", (1000 * (round + 1)).to_string().into_bytes())];
        rig.answer(1, tx, Response { headers, ..Response::new(422) });
    }
    rig.until(0, |event| match event {
        Event::Failed { tx, status, .. } if *tx == call => {
            assert_eq!(*status, 422);
            Some(())
        }
        _ => None,
    });
    assert_eq!(rig.count(0, "INVITE"), 4);
    rig.finish();
}

#[test]
fn an_update_with_too_short_an_interval_gets_422_in_the_dialog() {
    let mut rig = rig(6, [0, 0]);
    let (caller, _) = rig.established();
    let headers = vec![("Session-Expires", b"60".to_vec()), ("Require", b"timer".to_vec())];
    let now = rig.now;
    rig.agents[0].request_in_dialog(now, caller, Method::Update, headers, None).unwrap();
    rig.run_for(S);
    assert_eq!(rig.last(1, "422").header(Header::MinSe), Some(b"90".as_slice()));
    rig.hang_up(caller);
}

#[test]
fn a_peer_without_update_is_refreshed_by_a_re_invite_of_the_user() {
    let mut rig = rig(7, [200, 0]);
    rig.agents[1].config.allow = "INVITE, ACK, CANCEL, BYE, OPTIONS";
    let (caller, _) = rig.established();
    for _ in 0..5 {
        rig.until(0, |event| matches!(event, Event::RefreshDue { .. }).then_some(()));
        let now = rig.now;
        let body = Some(Body::sdp(b"v=0\r\n".to_vec()));
        let agent = &mut rig.agents[0];
        agent.request_in_dialog(now, caller, Method::Invite, Vec::new(), body).unwrap();
        let tx = rig.until(1, |event| match event {
            Event::InDialog { tx, .. } => Some(*tx),
            _ => None,
        });
        rig.answer(1, tx, Response { body: Some(sdp(1)), ..Response::new(200) });
        rig.until(0, |event| matches!(event, Event::Answered { .. }).then_some(()));
        let now = rig.now;
        rig.agents[0].ack(now, caller, None);
    }
    let refresh = rig.last(0, "INVITE");
    assert_eq!(refresh.header(Header::SessionExpires), Some(b"200;refresher=uac".as_slice()));
    assert!(
        rig.now.as_millis() >= 500_000
            && !rig.has(0, |event| { matches!(event, Event::SessionExpired { .. }) })
    );
    rig.hang_up(caller);
}

#[test]
fn a_user_that_ignores_the_refresh_loses_the_session() {
    let mut rig = rig(8, [200, 0]);
    rig.agents[1].config.allow = "INVITE, ACK, CANCEL, BYE, OPTIONS";
    let (caller, _) = rig.established();
    let start = rig.now;
    let over = expired(&mut rig, 0).since(start).as_secs();
    assert!((167..=168).contains(&over), "{over}");
    rig.hang_up(caller);
}

/// Runs a refresh that the callee answers with `status`, once.
fn refused_once(seed: u64, status: u16) -> Rig {
    let mut rig = rig(seed, [400, 400]);
    let (_, _) = rig.established();
    let tx = rig.until(1, |event| match event {
        Event::InDialog { tx, .. } => Some(*tx),
        _ => None,
    });
    rig.respond(1, tx, status);
    rig
}

fn caller(rig: &Rig) -> DialogId {
    DialogId(*rig.agents[0].dialogs.keys().next().unwrap())
}

#[test]
fn a_refresh_that_meets_491_or_500_is_tried_again_and_the_call_lives() {
    for status in [491, 500, 603] {
        let mut rig = refused_once(9, status);
        assert_eq!(serve(&mut rig, 800 * S)[1], 0);
        assert!(rig.count(0, "UPDATE") >= 4, "{status}");
        assert!(!rig.has(0, |event| matches!(event, Event::SessionExpired { .. })));
        assert!(!rig.has(0, |event| matches!(event, Event::TryAgain { .. })));
        let dialog = caller(&rig);
        rig.hang_up(dialog);
    }
}

#[test]
fn a_refresh_that_meets_481_ends_the_session_at_once() {
    let mut rig = refused_once(10, 481);
    let told = rig.now;
    assert!(expired(&mut rig, 0).since(told) < S);
    let dialog = caller(&rig);
    rig.hang_up(dialog);
}

#[test]
fn a_refresh_that_nobody_answers_is_tried_again_while_there_is_time() {
    let mut rig = rig(11, [1800, 1800]);
    let (caller, _) = rig.established();
    rig.lose = |_, message| message.method() == Some(Method::Update);
    rig.run_for(940 * S);
    rig.lose = |_, _| false;
    assert_eq!(serve(&mut rig, 1000 * S)[1], 0);
    assert!(!rig.has(0, |event| matches!(event, Event::SessionExpired { .. })));
    rig.hang_up(caller);
}

#[test]
fn a_peer_whose_allow_lied_is_refreshed_by_re_invite() {
    let mut rig = refused_once(12, 501);
    rig.until(0, |event| matches!(event, Event::RefreshDue { .. }).then_some(()));
    let dialog = caller(&rig);
    rig.hang_up(dialog);
}

#[test]
fn a_peer_without_timers_is_refreshed_alone_when_configured() {
    for alone in [false, true] {
        let mut rig = rig(13, [200, 0]);
        rig.agents[0].config.session.alone = alone;
        let call = rig.invite(None);
        let (tx, callee) = rig.incoming();
        // A callee of before RFC 4028.
        rig.answer(1, tx, Response::new(200));
        rig.agents[1].change_dialog(callee.0, |dialog| dialog.session = None);
        for (_, bytes) in rig.wire.values_mut() {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let plain: Vec<&str> = text
                .split("\r\n")
                .filter(|line| !line.starts_with("Session-Expires") && !line.contains("timer"))
                .collect();
            *bytes = plain.join("\r\n").into_bytes();
        }
        let caller = rig.answered(call);
        assert_eq!(serve(&mut rig, 90 * S), [0, 0]);
        assert_eq!(serve(&mut rig, 20 * S), [usize::from(alone), 0]);
        rig.hang_up(caller);
    }
}

#[test]
fn sessions_over_a_link_that_loses_live_for_hours() {
    for seed in 0..20 {
        let mut rig = rig(seed, [400, 300]);
        rig.loss_percent = 20;
        let (caller, _) = rig.established();
        serve(&mut rig, 7200 * S);
        for index in [0, 1] {
            assert!(!rig.has(index, |event| matches!(event, Event::SessionExpired { .. })));
        }
        rig.hang_up(caller);
    }
}
