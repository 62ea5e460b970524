//! A number whose calls are faxes, as the switch sees it (S-17, S-30): answered with G.711 alone,
//! the stream lent, the end of the fax the end of the call.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_media::{Codec, Command};
use koukan_switch::{CallCause, FaxId, FaxNews, FaxOrder, Reception};
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NUMBER2: &str = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\n\
                       mode = \"ring\"";

/// Number 2 is one for faxes; what it does else is changed.
fn with_fax(fax: &str) -> Office {
    let number = format!("{NUMBER2}\noptions = [\"fax\"]\nfax = {fax}");
    Office::planned(|plan| {
        let plan = plan.replace(NUMBER2, &number);
        format!("{plan}\n[fax_box.main]\nnotify = [\"fax@example.jp\"]\nkeep = 50\n")
    })
}

fn only_fax() -> Office {
    with_fax("{ box = \"main\", detect = \"only\" }")
}

fn received(office: &Office) -> Reception {
    match office.faxes.as_slice() {
        [FaxOrder::Receive(reception)] => (**reception).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_number_for_faxes_answers_with_g711_and_lends_the_stream() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let reception = received(&office);
    assert_eq!((&*reception.mailbox, reception.spec.keep), ("main", 50));
    assert_eq!((&*reception.tenant, reception.caller.as_str()), ("acme", "0455550001"));
    assert_eq!((reception.utc_offset_s, &*reception.language), (32_400, "ja"));
    assert_eq!(reception.did.as_deref(), Some("0312340002"));
    assert_eq!(office.switch.tables().faxes, 1);
    assert!(office.explained("answered as a fax machine, for box main"));
    let fax = reception.fax;
    office.fax_says(fax, FaxNews::Told("page 1".to_owned()));
    office.fax_says(FaxId(1), FaxNews::Over("none of ours".to_owned()));
    office.run(secs(1));
    assert!(office.explained("fax: page 1"));
    office.fax_says(fax, FaxNews::Over("one page".to_owned()));
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.phone(TRUNK).log);
    assert_eq!(office.faxes.len(), 1, "a fax that is over needs no stop");
    assert_eq!(ending(&only(office.finish())), (CallCause::Plan, 200));
}

#[test]
fn a_machine_of_the_office_tries_itself_at_a_test_number_that_answers_as_one() {
    let test = "[extension.try]\ndial = \"609\"\ndo = { fax = \"main\" }\n[extension.echo]";
    let mut office = Office::planned(|plan| {
        let plan = plan.replacen("[extension.echo]", test, 1);
        format!("{plan}\n[fax_box.main]\nnotify = [\"fax@example.jp\"]\n")
    });
    office.call('F', "609");
    office.run(secs(1));
    let reception = received(&office);
    assert_eq!((&*reception.mailbox, reception.caller.as_str()), ("main", "806"));
    assert!(office.phone('F').heard("answered"), "{:?}", office.explained);
    office.fax_says(reception.fax, FaxNews::Over("one page".to_owned()));
    office.run(secs(1));
    assert!(office.phone('F').heard("bye "), "{:?}", office.phone('F').log);
    assert_eq!(ending(&only(office.finish())), (CallCause::Plan, 200));
}

#[test]
fn a_caller_that_hangs_up_stops_its_fax() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let fax = received(&office).fax;
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert_eq!(office.faxes.last(), Some(&FaxOrder::Stop { fax }));
    // A report that crosses the end is nobody's.
    office.fax_says(fax, FaxNews::Over("too late".to_owned()));
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_caller_that_hangs_up_while_its_stream_is_on_its_way_has_no_fax() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    // The INVITE is there, the stream is open, and what follows waits at the worker.
    office.run(Duration::from_millis(12));
    office.kill();
    office.run(secs(1));
    let begun = office.faxes.iter().filter(|order| matches!(order, FaxOrder::Receive(_))).count();
    let stopped = office.faxes.len() - begun;
    assert!(begun <= stopped, "{:?}", office.faxes);
    office.finish();
}

#[test]
fn an_office_that_speaks_other_codecs_takes_faxes_all_the_same() {
    let mut office = only_fax().turned_to(&[Codec::G722, Codec::Pcma]);
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    received(&office);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_number_that_nobody_answers_is_answered_as_a_fax_after_its_time() {
    let mut office = with_fax("{ box = \"main\", detect = \"off\" }");
    office.all(Does::Rings);
    office.call(TRUNK, "0312340002");
    office.run(secs(100));
    assert!(office.faxes.is_empty(), "detect = off takes none");
    office.give_up(TRUNK);
    office.finish();
}

#[test]
fn the_session_is_refreshed_without_touching_the_fax() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let now = office.now;
    office.phone(TRUNK).offer_again(now, koukan_sip::sdp::Direction::SendRecv);
    office.run(secs(2));
    assert_eq!((office.faxes.len(), office.switch.tables().faxes), (1, 1));
    office.hang_up(TRUNK);
    office.finish();
}

/// What is ordered of a stream that is lent would be lost.
#[test]
fn the_order_to_lend_comes_behind_what_was_agreed() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let orders: Vec<String> =
        office.media.orders.iter().map(|order| format!("{order:?}")).collect();
    let lend = office.media.orders.iter().position(|o| matches!(o, Command::Lend { .. })).unwrap();
    let configured = |order: &Command| matches!(order, Command::Configure { .. });
    assert!(office.media.orders[..lend].iter().any(configured), "{orders:#?}");
    office.hang_up(TRUNK);
    office.finish();
}

/// What was agreed for T.38, when that was ordered.
fn switched(office: &Office) -> Vec<koukan_sip::sdp::AgreedImage> {
    let image = |order: &FaxOrder| match order {
        FaxOrder::Switch { image, .. } => Some(*image),
        _ => None,
    };
    office.faxes.iter().filter_map(image).collect()
}

#[test]
fn t38_is_asked_for_a_moment_after_the_answer_and_a_refusal_changes_nothing() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    office.run(Duration::from_millis(1_400));
    assert!(!office.explained("asks for T.38"));
    office.run(secs(1));
    assert!(office.explained("asks for T.38"));
    assert!(office.explained("T.38: 488; the fax stays in audio"));
    office.run(secs(120));
    assert_eq!(office.phone(TRUNK).requests.len(), 1, "it is asked for once");
    assert!(switched(&office).is_empty());
    assert_eq!(office.switch.tables().faxes, 1);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn every_refusal_of_t38_leaves_the_fax_in_its_audio_and_takes_a_later_offer() {
    for status in [415, 488, 500, 501, 603, 606] {
        let mut office = only_fax();
        office.phone(TRUNK).refuses_t38 = status;
        office.call(TRUNK, "0312340002");
        office.run(secs(3));
        assert!(office.explained(&format!("T.38: {status}; the fax stays in audio")));
        assert_eq!((office.faxes.len(), office.switch.tables().faxes), (1, 1), "{status}");
        let moved = |order: &Command| matches!(order, Command::Reclaim { .. });
        assert!(!office.media.orders.iter().any(moved), "its stream stays where it is");
        let now = office.now;
        office.phone(TRUNK).offer_t38(now);
        office.run(secs(1));
        assert_eq!(switched(&office).len(), 1, "{status}");
        office.hang_up(TRUNK);
        office.finish();
    }
}

#[test]
fn t38_that_is_taken_goes_over_once_and_audio_is_not_taken_back() {
    let mut office = only_fax();
    office.phone(TRUNK).takes_t38 = true;
    office.call(TRUNK, "0312340002");
    office.run(secs(3));
    let media = office.phone(TRUNK).media;
    let [image] = switched(&office)[..] else { panic!("{:?}", office.faxes) };
    assert_eq!((image.remote, image.max_datagram, image.local_tcf), (media, 238, false));
    assert!(matches!(office.faxes[0], FaxOrder::Receive(_)), "{:?}", office.faxes);
    // A refresh in the middle of it changes nothing; an offer of audio would begin it anew.
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.run(secs(1));
    let now = office.now;
    office.phone(TRUNK).offer_again(now, koukan_sip::sdp::Direction::SendRecv);
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("failed 488"), "{:?}", office.phone(TRUNK).log);
    assert_eq!((switched(&office).len(), office.switch.tables().faxes), (1, 1));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn t38_that_the_other_side_asks_for_is_taken_and_not_asked_for_again() {
    let mut office = only_fax();
    office.call(TRUNK, "0312340002");
    office.run(Duration::from_millis(500));
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.run(secs(20));
    assert_eq!(switched(&office).len(), 1, "{:?}", office.faxes);
    assert!(!office.explained("asks for T.38"));
    assert!(office.phone(TRUNK).requests.is_empty());
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn t38_that_crosses_an_offer_of_the_other_side_is_asked_for_again() {
    let mut office = only_fax();
    office.phone(TRUNK).takes_t38 = true;
    office.phone(TRUNK).crosses = 1;
    office.call(TRUNK, "0312340002");
    office.run(secs(3));
    assert!(switched(&office).is_empty() && office.explained("T.38: 491"));
    office.run(secs(10));
    assert_eq!(switched(&office).len(), 1, "{:?}", office.faxes);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn t38_is_refused_where_no_fax_is_received() {
    let mut office = only_fax();
    office.call('A', "600");
    office.run(secs(2));
    let now = office.now;
    office.phone('A').offer_t38(now);
    office.run(secs(1));
    assert!(office.phone('A').heard("failed 488"), "{:?}", office.phone('A').log);
    assert!(office.faxes.is_empty());
    office.hang_up('A');
    office.finish();
}

/// Number 2 serves voice and fax.
fn shared(more: &str) -> Office {
    with_fax(&format!("{{ box = \"main\"{more} }}"))
}

fn sends_cng(office: &mut Office) -> bool {
    let now = office.now;
    let heard = office.media.sends_cng(now);
    office.run(secs(1));
    heard
}

/// S-39.
#[test]
fn s_39_a_calling_tone_on_a_number_for_both_moves_the_caller_and_a_person_talks_on() {
    let mut office = shared("");
    office.phone('A').does = Does::AnswersAtOnce;
    office.call(TRUNK, "0312340002");
    office.run(secs(4));
    assert!(office.faxes.is_empty());
    assert!(sends_cng(&mut office));
    let reception = received(&office);
    assert_eq!(&*reception.mailbox, "main");
    assert!(office.phone('A').heard("bye "), "{:?}", office.phone('A').log);
    assert!(office.explained("the caller is a fax machine: a calling tone"));
    office.fax_says(reception.fax, FaxNews::Over("one page".to_owned()));
    assert_eq!(ending(&only(office.finish())), (CallCause::Plan, 200));

    let mut person = shared(", listen = \"5s\"");
    person.phone('A').does = Does::AnswersAtOnce;
    person.call(TRUNK, "0312340002");
    person.run(secs(9));
    // A tone behind the time is somebody's music.
    sends_cng(&mut person);
    assert!(person.faxes.is_empty() && !person.phone('A').heard("bye "));
    person.hang_up(TRUNK);
    assert_eq!(ending(&only(person.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_fax_machine_that_waits_in_a_queue_is_taken_out_of_it() {
    let mut office = Office::planned(|plan| {
        let morning = "{ from = \"09:00\", to = \"12:00\", do = ";
        let fax = "options = [\"off_hours\", \"fax\"]\nfax = { box = \"main\" }";
        let plan = plan.replacen("options = [\"off_hours\"]", fax, 1).replace(
            &format!("{morning}\"ring\" }}"),
            &format!("{morning}{{ queue = \"help\" }} }}"),
        );
        format!(
            "{plan}\n[fax_box.main]\nnotify = [\"fax@example.jp\"]\nkeep = 50\n\
             [queue.help]\nagents = [\"B\"]\n"
        )
    });
    office.call(TRUNK, "0312340001");
    office.run(secs(4));
    assert!(sends_cng(&mut office), "{:?}", office.explained);
    let reception = received(&office);
    assert_eq!(office.switch.tables().queued, 0);
    let calls = office.switch.calls();
    let rings = calls.iter().flat_map(|call| &call.legs).any(|leg| leg.state == "ringing");
    assert!(!rings, "its phone rings no more: {calls:?}");
    office.fax_says(reception.fax, FaxNews::Over("one page".to_owned()));
    assert_eq!(ending(&only(office.finish())), (CallCause::Plan, 200));
}

#[test]
fn s_39_an_offer_of_t38_on_a_number_for_both_is_a_fax_and_asked_for_again_by_us() {
    let mut office = shared("");
    office.phone(TRUNK).takes_t38 = true;
    office.phone('A').does = Does::AnswersAtOnce;
    office.call(TRUNK, "0312340002");
    office.run(secs(2));
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.run(secs(4));
    assert!(office.explained("the caller is a fax machine: an offer of T.38"));
    assert!(office.phone('A').heard("bye "));
    assert_eq!(switched(&office).len(), 1, "{:?}", office.faxes);
    office.hang_up(TRUNK);
    office.finish();
}

/// S-63: the forwarded leg is let go.
#[test]
fn s_63_a_calling_tone_on_a_forwarded_number_ends_as_a_fax_with_no_leg_left_over() {
    let number = format!(
        "{}\noptions = [\"fax\", \"forwarding\"]\nforward_to = \"09012345678\"\n\
         fax = {{ box = \"main\" }}",
        NUMBER2.replace("mode = \"ring\"", "mode = \"forward\"")
    );
    let mut office = Office::planned(|plan| {
        let plan = plan.replace(NUMBER2, &number);
        let plan =
            plan.split_once("\n[[expect]]").map_or(plan.clone(), |(plan, _)| plan.to_owned());
        format!("{plan}\n[fax_box.main]\n")
    });
    office.phone('A').does = Does::AnswersAtOnce;
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.call(TRUNK, "0312340002");
    office.run(secs(2));
    let legs = office.switch.calls()[0].legs.len();
    assert_eq!(legs, 2, "{:?}", office.explained);
    assert!(sends_cng(&mut office));
    let fax = received(&office).fax;
    let up = |office: &Office| {
        let call = &office.switch.calls()[0];
        call.legs.iter().filter(|leg| leg.state == "up").count()
    };
    assert_eq!(up(&office), 1);
    office.fax_says(fax, FaxNews::Over("one page".to_owned()));
    office.run(secs(1));
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::Plan, 200));
}

#[test]
fn a_first_offer_of_t38_alone_is_taken_by_a_number_for_faxes_and_by_one_for_both() {
    for fax in ["{ box = \"main\", detect = \"only\" }", "{ box = \"main\" }"] {
        let mut office = with_fax(fax);
        office.all(Does::Rings);
        office.call_by_t38(TRUNK, "0312340002");
        office.run(secs(3));
        assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.phone(TRUNK).log);
        assert!(matches!(office.faxes[0], FaxOrder::Receive(_)), "{:?}", office.faxes);
        let [image] = switched(&office)[..] else { panic!("{:?}", office.faxes) };
        let media = office.phone(TRUNK).media;
        assert_eq!((image.remote, image.max_datagram), (media, 238));
        assert!(!office.explained("asks for T.38"), "it is there already");
        assert!(!office.phone('A').heard("acked"), "nobody is rung");
        office.hang_up(TRUNK);
        let cdr = only(office.finish());
        assert_eq!(ending(&cdr), (CallCause::CallerHungUp, 200));
    }
}

/// A number, what a caller makes of its offer, and words of the record.
type Refused = (&'static str, fn(&str) -> String, &'static str);

/// N-12: whoever asks why finds a record and its words, however the refusal came about.
#[test]
fn a_first_offer_of_t38_alone_that_is_refused_leaves_a_record_that_says_why() {
    let cases: [Refused; 3] = [
        ("0312340003", str::to_owned, "it offers T.38 alone, and no fax is taken here"),
        ("0312340002", |offer| offer.replace("udptl", "tcp"), "no sound or fax that we can take"),
        (
            "0312340002",
            |offer| offer.replace("IP4 ", "IP6 ::"),
            "no fax: the caller speaks no T.38",
        ),
    ];
    for (number, own, words) in cases {
        let mut office = only_fax();
        office.call_by_own_t38(TRUNK, number, own);
        office.run(secs(1));
        assert!(office.phone(TRUNK).heard("failed 488"), "{:?}", office.phone(TRUNK).log);
        assert!(office.explained(words), "{words}: {:?}", office.explained);
        assert!(office.faxes.is_empty() && office.switch.calls().is_empty());
        assert!(!office.phone('A').heard("invite"), "nobody is rung");
        let cdr = only(office.finish());
        assert_eq!((cdr.called.as_str(), cdr.answered), (number, None));
        assert_eq!(ending(&cdr), (CallCause::Plan, 488));
    }
    // Nobody speaks T.30: the call was answered, and its record says what became of it.
    let mut office = only_fax();
    office.call_by_t38(TRUNK, "0312340002");
    office.run(secs(1));
    let FaxOrder::Receive(reception) = &office.faxes[0] else { panic!("{:?}", office.faxes) };
    let fax = reception.fax;
    office.fax_says(fax, FaxNews::Over("the process has ended".to_owned()));
    office.run(secs(1));
    assert!(office.explained("fax: the process has ended") && office.phone(TRUNK).heard("bye "));
    assert_eq!(ending(&only(office.finish())), (CallCause::Plan, 200));
}

/// The machine on an adapter takes it live; the box when it does not.
#[test]
fn a_calling_tone_rings_the_machine_of_the_number_before_its_box() {
    let device = "{ box = \"main\", device = \"F\" }";
    let mut office = with_fax(device);
    office.phone('A').does = Does::AnswersAtOnce;
    office.phone('F').does = Does::Answers(500);
    office.call(TRUNK, "0312340002");
    office.run(secs(2));
    assert!(sends_cng(&mut office));
    office.run(secs(2));
    assert!(office.phone('A').heard("bye ") && office.faxes.is_empty());
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    assert!(office.switch.calls()[0].legs.iter().any(|leg| leg.party == "device F"));
    office.hang_up(TRUNK);
    office.finish();

    let mut office = with_fax(device);
    office.phone('A').does = Does::AnswersAtOnce;
    office.phone('F').does = Does::Refuses(486);
    office.call(TRUNK, "0312340002");
    office.run(secs(2));
    assert!(sends_cng(&mut office));
    office.run(secs(2));
    assert_eq!(&*received(&office).mailbox, "main");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_number_that_answers_early_hears_a_machine_while_its_phones_ring() {
    let mut office = shared(", answer_early = true");
    office.phone('A').does = Does::Rings;
    office.call(TRUNK, "0312340002");
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.phone(TRUNK).log);
    assert!(office.explained("answered early"));
    assert!(sends_cng(&mut office));
    assert_eq!(&*received(&office).mailbox, "main");
    assert!(office.phone('A').log.iter().any(|line| line.starts_with("cancelled")));
    office.hang_up(TRUNK);
    office.finish();

    let mut office = shared(", answer_early = true");
    office.phone('A').does = Does::Answers(3_000);
    office.call(TRUNK, "0312340002");
    office.run(secs(6));
    assert_eq!(office.switch.calls()[0].stage, "bridged");
    assert!(office.faxes.is_empty());
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

/// S-40: whoever keeps the fax hears where it is to go on to.
#[test]
fn s_40_a_number_says_which_machine_its_stored_faxes_go_on_to() {
    let mut office = with_fax("{ box = \"main\", detect = \"only\", deliver_to = \"F\" }");
    office.call(TRUNK, "0312340002");
    office.run(secs(1));
    let to = received(&office).deliver_to;
    assert_eq!(to, Some(("number2".into(), "F".into())));
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_trunk_says_when_t38_is_asked_for_or_that_it_is_not() {
    let with = |line: &str| {
        let number = format!(
            "{NUMBER2}\noptions = [\"fax\"]\nfax = {{ box = \"main\", detect = \"only\" }}"
        );
        let profile = "profile = \"jp-ngn\"";
        let mut office = Office::planned(|plan| {
            let plan = plan.replace(NUMBER2, &number);
            let plan = plan.replacen(profile, &format!("{profile}\n{line}"), 1);
            format!("{plan}\n[fax_box.main]\n")
        });
        office.phone(TRUNK).takes_t38 = true;
        office.call(TRUNK, "0312340002");
        office
    };
    let mut late = with("t38_ask = \"8s\"");
    late.run(secs(7));
    assert!(!late.explained("asks for T.38"));
    late.run(secs(2));
    assert_eq!(switched(&late).len(), 1, "{:?}", late.faxes);
    late.hang_up(TRUNK);
    late.finish();

    let mut never = with("t38 = false");
    never.run(secs(20));
    let now = never.now;
    never.phone(TRUNK).offer_t38(now);
    never.run(secs(1));
    assert!(!never.explained("asks for T.38") && switched(&never).is_empty());
    assert!(never.phone(TRUNK).heard("failed 488"), "{:?}", never.phone(TRUNK).log);
    never.hang_up(TRUNK);
    never.finish();
}

#[test]
fn a_first_offer_of_t38_goes_past_the_machine_of_a_number_to_its_box() {
    let mut office = with_fax("{ box = \"main\", device = \"F\", detect = \"only\" }");
    office.all(Does::Rings);
    office.call_by_t38(TRUNK, "0312340002");
    office.run(secs(3));
    assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.phone(TRUNK).log);
    assert_eq!(switched(&office).len(), 1, "{:?}", office.faxes);
    assert!(!office.phone('F').heard("invite"), "its machine is not rung");
    office.hang_up(TRUNK);
    office.finish();
}
