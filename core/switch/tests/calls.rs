//! Calls of the sample office from the INVITE to the last record: who rings, who wins, how each
//! ends, and what its record says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_media::{Direction, Source};
use koukan_sip::{Header, Message, Method, sdp};
use koukan_switch::CallCause;
use office::{Does, Office, TRUNK, ending, only};

const ELSEWHERE: &str = "cancelled SIP;cause=200;text=\"Call completed elsewhere\"";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ringing(office: &Office) -> String {
    office.phones.values().filter(|phone| phone.heard("invite")).map(|phone| phone.name).collect()
}

#[test]
fn calls_to_the_three_numbers_ring_exactly_their_devices() {
    for (number, rings) in [("0312340001", "ABCDE"), ("0312340002", "ABC"), ("0312340003", "DE")] {
        let mut office = Office::open();
        office.call(TRUNK, number);
        office.run(secs(2));
        assert_eq!(ringing(&office), rings);
        office.give_up(TRUNK);
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::CallerGaveUp, 487));
        assert_eq!((cdr.direction.as_str(), cdr.caller.as_str()), ("inbound", "0455550001"));
        assert_eq!((cdr.called.as_str(), cdr.tenant.as_str()), (number, "acme"));
    }
}

#[test]
fn the_first_answer_wins_and_the_others_are_told_so() {
    let mut office = Office::open();
    office.phone('B').does = Does::Answers(1_500);
    office.call(TRUNK, "0312340002");
    office.run(secs(4));
    for loser in ['A', 'C'] {
        assert!(office.phone(loser).heard(ELSEWHERE), "{:?}", office.phone(loser).log);
    }
    assert!(office.phone('B').heard("acked"));
    let (trunk, winner) = (office.phone(TRUNK).media, office.phone('B').media);
    assert!(office.media.joined(trunk, winner));
    office.run(secs(150));
    let interim = office.cdrs().iter().filter(|cdr| cdr.cause.is_none()).count();
    assert!(interim >= 4, "begun, answered and two interim records: {interim}");
    office.hang_up(TRUNK);
    office.run(secs(2));
    assert!(office.explained("R 90 (MOS 4.34) on the mean, 61 at worst, when 7 % of the packets"));
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
    let legs: Vec<_> = cdr.legs.iter().map(|leg| (leg.party.as_str(), leg.status)).collect();
    let wanted = [("trunk carrier", 200), ("device A", 487), ("device B", 200), ("device C", 487)];
    assert_eq!(legs, wanted);
    assert!(cdr.legs.iter().all(|leg| leg.rtp_received == 70 && !leg.call_id.is_empty()));
    for leg in &cdr.legs {
        let quality = (leg.quality_mean, leg.quality_worst, leg.quality_cause.as_deref());
        assert_eq!(quality, (Some(901), Some(612), Some("loss")));
    }
}

#[test]
fn the_answer_of_the_caller_is_in_the_journal_before_it_leaves() {
    for number in ["0312340002", "600"] {
        let mut office = Office::open();
        office.phone('B').does = Does::Answers(100);
        let caller = if number == "600" { 'A' } else { TRUNK };
        office.call(caller, number);
        office.run(secs(2));
        let to = office.phone(caller).address;
        let answered = |did: &office::Did| {
            matches!(did,
            office::Did::Record(koukan_switch::Record::Call(cdr)) if cdr.answered.is_some())
        };
        let sent = |did: &office::Did| {
            matches!(did,
            office::Did::Sent(line, at) if line.starts_with("SIP/2.0 200 OK") && *at == to
                && line.ends_with("INVITE"))
        };
        let (record, send) =
            (office.did.iter().position(answered), office.did.iter().position(sent));
        assert!(record.unwrap() < send.unwrap(), "{record:?} {send:?}");
        office.hang_up(caller);
        office.finish();
    }
}

#[test]
fn the_callee_hangs_up() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(3));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    office.hang_up('D');
    office.run(secs(1));
    assert!(office.phone('A').heard("bye "));
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CalleeHungUp, 200));
    assert_eq!((cdr.direction.as_str(), cdr.caller.as_str()), ("internal", "801"));
}

#[test]
fn what_a_phone_refuses_with_reaches_the_caller_when_it_makes_sense_to_him() {
    for (phone, caller) in
        [(486, 486), (600, 486), (603, 603), (404, 404), (302, 480), (401, 480), (407, 480)]
    {
        let mut office = Office::open();
        office.phone('D').does = Does::Refuses(phone);
        office.call('A', "804");
        office.run(secs(3));
        assert!(office.phone('A').heard(&format!("failed {caller}")), "{phone}");
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::NotAnswered, caller));
        assert_eq!(cdr.legs[1].status, phone);
    }
}

#[test]
fn a_busy_and_a_declining_phone_leave_the_others_ringing() {
    let mut office = Office::open();
    office.phone('A').does = Does::Refuses(486);
    office.phone('B').does = Does::RefusesAfter(500, 603);
    office.phone('C').does = Does::Answers(2_000);
    office.call(TRUNK, "0312340002");
    office.run(secs(4));
    assert!(office.phone(TRUNK).heard("answered"));
    office.hang_up('C');
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
}

#[test]
fn a_phone_whose_answer_cannot_be_used_leaves_the_others_ringing() {
    let mut office = Office::open();
    office.phone('A').does = Does::AnswersRubbish;
    office.phone('C').does = Does::Answers(2_000);
    office.call(TRUNK, "0312340002");
    office.run(secs(4));
    assert!(office.phone('A').heard("bye "), "{:?}", office.phone('A').log);
    assert!(office.phone(TRUNK).heard("answered"));
    office.hang_up(TRUNK);
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
    assert_eq!(cdr.legs[1].status, 488);
}

#[test]
fn nobody_answers_until_the_ring_time_is_over() {
    let mut office = Office::open();
    office.call(TRUNK, "0312340003");
    office.run(secs(29));
    assert_eq!(office.switch.calls()[0].stage, "ringing");
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("failed 480"), "{:?}", office.phone(TRUNK).log);
    assert!(office.phone('D').heard("cancelled "));
    assert_eq!(ending(&only(office.finish())), (CallCause::NotAnswered, 480));
}

#[test]
fn a_number_whose_phones_are_not_registered_is_not_reachable() {
    let mut office = Office::new();
    office.call(TRUNK, "0312340003");
    office.run(secs(10));
    assert!(office.phone(TRUNK).heard("failed 480"));
    let cdr = only(office.finish());
    assert_eq!((cdr.status, cdr.legs.len()), (480, 1));
}

#[test]
fn an_unknown_number_is_announced_as_early_media_and_refused() {
    let mut office = Office::open();
    office.call(TRUNK, "0399999999");
    office.run(secs(10));
    assert!(office.phone(TRUNK).heard("progress 183"));
    assert!(office.phone(TRUNK).heard("failed 404"));
    assert_eq!(office.media.played, ["ja/unallocated"]);
    let cdr = only(office.finish());
    assert_eq!((ending(&cdr), cdr.tenant.as_str()), ((CallCause::Plan, 404), ""));
}

#[test]
fn a_blocked_class_is_announced_and_refused_and_its_record_says_outbound() {
    let mut office = Office::open();
    office.call('C', "119");
    office.run(secs(10));
    assert!(office.phone('C').heard("failed 403"));
    assert!(office.explained("outbound.block"), "{:?}", office.explained);
    let cdr = only(office.finish());
    assert_eq!((cdr.direction.as_str(), cdr.status), ("outbound", 403));
}

#[test]
fn a_call_outside_shows_the_devices_number_and_is_joined() {
    let mut office = Office::open();
    office.phone(TRUNK).does = Does::Answers(700);
    office.call('C', "0455550001");
    office.run(secs(3));
    let invite = office.phone(TRUNK).invite.clone().unwrap();
    assert_eq!(invite.from_user().unwrap(), b"0312340002");
    assert_eq!(invite.request_user().unwrap(), b"0455550001");
    assert!(invite.header(Header::PAssertedIdentity).is_some());
    let (phone, trunk) = (office.phone('C').media, office.phone(TRUNK).media);
    assert!(office.media.joined(phone, trunk));
    office.hang_up('C');
    let cdr = only(office.finish());
    assert_eq!((cdr.direction.as_str(), cdr.number.as_deref()), ("outbound", Some("number2")));
}

#[test]
fn a_carrier_without_channels_or_life_is_told_as_503_and_a_busy_number_as_486() {
    for (carrier, caller) in [(Does::Refuses(486), 486), (Does::Refuses(503), 503)] {
        let mut office = Office::open();
        office.phone(TRUNK).does = carrier;
        office.call('C', "0455550001");
        office.run(secs(20));
        assert!(office.phone('C').heard(&format!("failed {caller}")), "{:?}", office.explained);
        assert_eq!(only(office.finish()).status, caller);
    }
    let mut office = Office::open();
    office.vanish(TRUNK);
    office.call('C', "0455550001");
    office.run(secs(60));
    assert!(office.phone('C').heard("failed 503"), "{:?}", office.phone('C').log);
    assert_eq!(only(office.finish()).status, 503);
}

#[test]
fn early_media_passes_and_the_answers_own_address_counts() {
    let mut office = Office::open();
    office.phone(TRUNK).does = Does::EarlyThenAnswers(3_000);
    office.call('A', "0455550001");
    office.run(secs(2));
    assert!(office.phone('A').heard("progress 183"));
    let (phone, answered) = (office.phone('A').media, office.phone(TRUNK).media);
    assert!(office.media.of(answered).is_none(), "the carrier speaks from its early port");
    let heard = office.media.of(phone).unwrap().1.source;
    assert!(matches!(heard, Source::Stream(_)), "the caller hears the carrier: {heard:?}");
    office.run(secs(2));
    assert!(office.phone('A').heard("answered"));
    assert!(office.media.joined(phone, answered), "{:?}", office.media);
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_caller_who_sends_no_rtp_before_the_answer_is_not_taken_for_gone() {
    let mut office = Office::open();
    office.phone(TRUNK).does = Does::EarlyThenAnswers(25_000);
    let media = office.phone('A').media;
    office.media.mute(office.now, media);
    office.call('A', "0455550001");
    office.run(secs(24));
    assert_eq!(office.switch.calls()[0].stage, "trunk");
    office.run(secs(3));
    assert!(office.phone('A').heard("answered"));
    // From the answer on it counts.
    office.run(secs(12));
    assert!(office.phone('A').heard("bye "));
    assert_eq!(ending(&only(office.finish())), (CallCause::MediaLost, 200));
}

#[test]
fn a_vanished_phone_is_noticed_by_its_missing_rtp() {
    for lost in ['A', 'D'] {
        let mut office = Office::open();
        office.phone('D').does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(30));
        office.vanish(lost);
        office.run(secs(12));
        let left = if lost == 'A' { 'D' } else { 'A' };
        assert!(office.phone(left).heard("bye "), "{:?}", office.phone(left).log);
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::MediaLost, 200));
        // It talked for half a minute; that it was missed for ten seconds more nobody pays.
        let talked = cdr.ended.unwrap().duration_since(cdr.answered.unwrap()).as_millis();
        assert!((29_000..31_000).contains(&talked), "{talked} ms");
        assert!(cdr.legs.iter().all(|leg| leg.ended == cdr.ended), "{:?}", cdr.legs);
    }
}

#[test]
fn the_echo_test_gives_the_caller_its_own_voice() {
    let mut office = Office::open();
    office.call('A', "600");
    office.run(secs(2));
    let media = office.phone('A').media;
    assert_eq!(office.media.of(media).unwrap().1.source, Source::Echo);
    assert_eq!(office.switch.calls()[0].stage, "echo");
    office.hang_up('A');
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn hold_silences_the_other_side_and_the_holder_may_be_silent() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(3));
    let (now, a, d) = (office.now, office.phone('A').media, office.phone('D').media);
    office.phone('D').offer_again(now, sdp::Direction::SendOnly);
    office.run(secs(1));
    let description = office.phone('D').descriptions.last().cloned().unwrap();
    assert_eq!(description.audio().unwrap().1.direction, sdp::Direction::RecvOnly);
    assert!(!office.phone('A').heard("request Invite"), "hold is the holder's leg alone");
    assert_eq!(office.media.of(a).unwrap().1.source, Source::Silence);
    let held = office.media.of(d).unwrap().1.config.clone().unwrap();
    assert_eq!(held.direction, Direction::RecvOnly);
    office.mute('D');
    office.run(secs(120));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    let now = office.now;
    office.media.speak(d);
    office.phone('D').offer_again(now, sdp::Direction::SendRecv);
    office.run(secs(1));
    assert!(office.media.joined(a, d));
    office.hang_up('D');
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
}

#[test]
fn a_phone_that_vanishes_while_it_holds_is_noticed_by_its_silence_in_signalling() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(3));
    let now = office.now;
    office.phone('D').offer_again(now, sdp::Direction::Inactive);
    office.run(secs(100));
    assert_eq!(office.switch.calls()[0].stage, "bridged", "a phone that lives is held for ever");
    office.vanish('D');
    office.run(secs(120));
    assert!(office.phone('A').heard("bye "), "{:?}", office.explained);
    assert_eq!(ending(&only(office.finish())), (CallCause::SignallingLost, 200));
}

#[test]
fn both_ends_may_offer_again_at_the_same_moment() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(3));
    let now = office.now;
    for name in ['A', 'D'] {
        office.phone(name).offer_again(now, sdp::Direction::SendRecv);
    }
    office.run(secs(2));
    for name in ['A', 'D'] {
        assert!(!office.phone(name).log.iter().any(|line| line.starts_with("failed")));
    }
    let (a, d) = (office.phone('A').media, office.phone('D').media);
    assert!(office.media.joined(a, d));
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_caller_without_an_offer_gets_ours_and_answers_in_its_ack() {
    let mut office = Office::open();
    office.phone(TRUNK).late_offer = true;
    office.phone('D').does = Does::Answers(500);
    office.call(TRUNK, "0312340003");
    office.run(secs(3));
    let (a, d) = (office.phone(TRUNK).media, office.phone('D').media);
    assert!(office.media.joined(a, d), "{:?}", office.explained);
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_the_call() {
    let mut office = Office::open();
    office.phone('A').never_acks = true;
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(35));
    assert!(office.phone('D').heard("bye "));
    assert_eq!(ending(&only(office.finish())), (CallCause::SignallingLost, 200));
}

#[test]
fn a_bye_waits_for_the_ack_of_the_answer() {
    // RFC 3261, section 15: a BYE that overtakes a lost 200 would leave the caller's INVITE open.
    let mut office = Office::open();
    office.phone('A').never_acks = true;
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(3));
    office.hang_up('D');
    office.run(secs(5));
    assert!(!office.phone('A').heard("bye "));
    office.run(secs(30));
    assert!(office.phone('A').heard("bye "));
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
}

#[test]
fn a_call_is_passed_on_to_no_more_phones_than_its_breadth_allows() {
    for (breadth, rung) in [(None, 2), (Some("60"), 2), (Some("1"), 1), (Some("0"), 0)] {
        let mut office = Office::open();
        let headers = breadth.map(|most| ("Max-Breadth", most.as_bytes().to_vec()));
        office.phone(TRUNK).headers = headers.into_iter().collect();
        office.call(TRUNK, "0312340003");
        office.run(secs(1));
        let invites: Vec<Message> =
            ['D', 'E'].iter().filter_map(|name| office.phones[name].invite.clone()).collect();
        assert_eq!(invites.len(), rung, "{breadth:?}");
        for invite in &invites {
            let given = invite.header_named("Max-Breadth");
            assert_eq!(given, breadth.map(|_| b"1".as_slice()));
        }
        if rung == 0 {
            assert!(office.phone(TRUNK).heard("failed 440"), "{:?}", office.phone(TRUNK).log);
        }
        office.give_up(TRUNK);
        only(office.finish());
    }
}

#[test]
fn two_answers_at_once_leave_one_call_and_the_loser_is_hung_up() {
    let mut office = Office::open();
    office.all(Does::Answers(1_000));
    office.call(TRUNK, "0312340002");
    office.run(secs(4));
    let up: Vec<char> = office
        .phones
        .values()
        .filter(|p| p.name != TRUNK && !p.up.is_empty())
        .map(|p| p.name)
        .collect();
    assert_eq!(up, ['A']);
    for loser in ['B', 'C'] {
        let log = office.phone(loser).log.clone();
        assert!(log.contains(&"acked".to_owned()), "{log:?}");
        assert!(log.iter().any(|line| line.starts_with("bye SIP;cause=200")), "{log:?}");
    }
    office.hang_up('A');
    assert_eq!(ending(&only(office.finish())), (CallCause::CalleeHungUp, 200));
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_in_a_call_that_the_caller_hangs_up() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(1_000);
    office.call('A', "804");
    office.run(secs(1));
    // The answer is on its way from the switch to A when A gives up.
    while office.switch.calls()[0].answered.is_none() && office.now.as_millis() < 10_000 {
        office.run(Duration::from_millis(1));
    }
    assert!(!office.phone('A').heard("answered"));
    office.give_up('A');
    office.run(secs(1));
    assert!(office.phone('A').heard("answered"));
    office.hang_up('A');
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_caller_who_gives_up_while_the_answer_comes_leaves_nobody_on_the_line() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(1_000);
    office.call('A', "804");
    while office.phone('D').up.is_empty() && office.now.as_millis() < 10_000 {
        office.run(Duration::from_millis(1));
    }
    // D's answer is on its way to the switch, and A's CANCEL is faster.
    office.give_up_first('A');
    office.run(secs(1));
    assert!(office.phone('A').heard("failed 487"), "{:?}", office.phone('A').log);
    assert!(office.phone('D').log.iter().any(|line| line.starts_with("bye ")));
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerGaveUp, 487));
}

#[test]
fn an_operator_ends_a_call_in_every_stage() {
    for seconds in [0, 1, 10] {
        let mut office = Office::open();
        office.phone('D').does = Does::Answers(5_000);
        office.call('A', "804");
        office.run(Duration::from_millis(seconds * 1000 + 25));
        assert!(office.kill());
        assert_eq!(only(office.finish()).cause, Some(CallCause::Killed));
    }
}

#[test]
fn a_stop_ends_every_call_and_takes_no_new_one() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.call(TRUNK, "0312340002");
    office.call('E', "600");
    office.call('F', "601");
    office.run(secs(2));
    assert_eq!(office.switch.calls().len(), 4);
    office.stop();
    office.call('B', "600");
    office.run(secs(1));
    assert!(office.phone('B').heard("failed 503"), "{:?}", office.phone('B').log);
    let cdrs = office.finish();
    assert_eq!(cdrs.len(), 4);
    assert!(cdrs.iter().all(|cdr| cdr.cause == Some(CallCause::ServerStopped)));
}

#[test]
fn ringback_is_heard_though_another_phone_was_only_in_progress_before() {
    let mut office = Office::open();
    office.phone('D').does = Does::RefusesAfter(3_000, 486);
    office.phone('E').does = Does::Nothing;
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("progress 180"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn explain_lines_tell_who_called_why_and_what_happened() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    office.hang_up('D');
    office.run(secs(1));
    for part in [
        "call from 0455550001 (trunk carrier) to 0312340003",
        "number.number3.mode: ring",
        "step: ring",
        "calls device D at udp:192.0.2.14:5060",
        "device D answers",
        "PCMU at 192.0.2.14:4000",
        "ended: CalleeHungUp",
    ] {
        assert!(office.explained(part), "{part}: {:#?}", office.explained);
    }
    office.finish();
}

#[test]
fn the_phones_show_the_caller_and_the_called_number() {
    let mut office = Office::open();
    office.call(TRUNK, "0312340001");
    office.run(secs(1));
    let invite = office.phone('A').invite.clone().unwrap();
    let from = String::from_utf8(invite.header(Header::From).unwrap().to_vec()).unwrap();
    assert!(from.starts_with("\"0455550001 (代表)\" <sip:0455550001@"), "{from}");
    let called = invite.header_named("P-Called-Party-ID").unwrap();
    assert!(String::from_utf8_lossy(called).contains("<sip:0312340001@"));
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn a_caller_who_hides_is_anonymous_on_every_phone() {
    let mut office = Office::open();
    office.phone(TRUNK).headers = vec![
        ("Privacy", b"id".to_vec()),
        ("P-Asserted-Identity", b"<sip:0455550001@carrier>".to_vec()),
    ];
    office.call(TRUNK, "0312340001");
    office.run(secs(1));
    let invite = office.phone('A').invite.clone().unwrap();
    assert!(!String::from_utf8_lossy(invite.bytes()).contains("0455550001"));
    assert_eq!(invite.from_user().unwrap(), b"anonymous");
    office.give_up(TRUNK);
    assert_eq!(only(office.finish()).caller, "anonymous");
}

#[test]
fn options_and_info_within_a_call_are_answered() {
    let mut office = Office::open();
    office.phone('D').does = Does::Answers(500);
    office.call('A', "804");
    office.run(secs(2));
    let now = office.now;
    office.phone('A').in_dialog(now, Method::Options, None);
    office.phone('D').in_dialog(now, Method::Info, None);
    office.phone('D').in_dialog(now, Method::Message, None);
    office.run(secs(1));
    assert!(office.phone('A').heard("response 200"));
    assert!(office.phone('D').heard("response 200") && office.phone('D').heard("response 405"));
    office.hang_up('A');
    office.finish();
}
