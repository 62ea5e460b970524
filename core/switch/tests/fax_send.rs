//! Faxes that go (S-34 to S-36), as the switch sees them: a call of a fax box behind the outbound
//! gate, the machine that answers in its first place, its stream lent.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_media::Command;
use koukan_switch::{CallCause, Destination, FaxCall, FaxId, FaxNews, FaxOrder, NotSent};
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NUMBER2: &str = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\n\
                       mode = \"ring\"";

const FAX: FaxId = FaxId::outgoing(7);

fn office() -> Office {
    planned(str::to_owned)
}

fn planned(more: impl Fn(&str) -> String) -> Office {
    let number = format!("{NUMBER2}\noptions = [\"fax\"]\nfax = {{ box = \"main\" }}");
    Office::planned(|plan| {
        let plan = more(&plan.replace(NUMBER2, &number));
        format!("{plan}\n[fax_box.main]\n")
    })
}

fn sends(office: &mut Office, to: &str, t38: bool) {
    let call = FaxCall {
        fax: FAX,
        tenant: "acme".into(),
        number: "number2".into(),
        to: Destination::Number(to.into()),
        t38,
        app: None,
    };
    office.send_fax(&call);
}

fn not_sent(office: &Office) -> NotSent {
    match office.faxes.as_slice() {
        [FaxOrder::NotSent { fax, why, .. }] if *fax == FAX => why.clone(),
        other => panic!("{other:?}\n{:#?}", office.explained),
    }
}

fn begun(office: &Office) -> usize {
    office.faxes.iter().filter(|order| matches!(order, FaxOrder::Send { .. })).count()
}

#[test]
fn a_machine_that_answers_gets_the_first_place_and_its_stream_is_lent() {
    let mut office = office();
    office.phone(TRUNK).does = Does::Answers(500);
    sends(&mut office, "0355551234", true);
    office.run(secs(2));
    assert!(matches!(office.faxes[..], [FaxOrder::Send { fax: FAX, .. }]), "{:?}", office.faxes);
    assert!(office.explained("fax box main calls 0355551234"));
    assert!(office.explained("asked by fax"));
    let lent = |order: &Command| matches!(order, Command::Lend { .. });
    assert_eq!(office.media.orders.iter().filter(|order| lent(order)).count(), 1);
    assert_eq!(office.switch.calls()[0].stage, "fax main");
    assert_eq!(office.switch.tables().faxes, 1);
    office.fax_says(FAX, FaxNews::Over("sent".to_owned()));
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("bye "), "{:?}", office.phone(TRUNK).log);
    assert_eq!(office.faxes.len(), 1, "a fax that is over needs no stop");
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::Plan, 200));
    assert_eq!(
        (&*cdr.direction, &*cdr.caller, &*cdr.called),
        ("outbound", "0312340002", "0355551234")
    );
    assert!(cdr.answered.is_some());
    let parties: Vec<&str> = cdr.legs.iter().map(|leg| leg.party.as_str()).collect();
    assert_eq!(parties, ["fax box main", "trunk carrier"]);
}

#[test]
fn only_g711_is_offered_and_the_office_s_number_is_shown() {
    let mut office = office();
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    sends(&mut office, "0355551234", true);
    office.run(secs(1));
    let invite = office.phone(TRUNK).invite.clone().unwrap();
    let sdp = String::from_utf8(invite.sdp().unwrap().to_vec()).unwrap();
    assert!(sdp.contains("m=audio") && sdp.contains(" RTP/AVP 0 8\r\n"), "{sdp}");
    assert!(!sdp.contains("telephone-event") && !sdp.contains("crypto"), "{sdp}");
    office.fax_says(FAX, FaxNews::Over("sent".to_owned()));
    office.finish();
}

#[test]
fn whoever_is_busy_unknown_or_silent_says_why_once() {
    for (does, status) in [
        (Does::Refuses(486), 486),
        (Does::RefusesAfter(900, 404), 404),
        (Does::Refuses(603), 603),
        (Does::Rings, 480),
    ] {
        let mut office = office();
        office.phone(TRUNK).does = does;
        sends(&mut office, "0355551234", true);
        office.run(secs(90));
        assert_eq!(not_sent(&office), NotSent::Failed { status });
        assert_eq!(office.switch.tables().faxes, 0);
        office.finish();
    }
}

/// Every attempt asks the gate, as a fax.
#[test]
fn the_gate_refuses_a_fax_as_it_refuses_a_phone() {
    let mut office = office();
    sends(&mut office, "0990123456", true);
    office.run(secs(1));
    let NotSent::Refused { status: 403, cause } = not_sent(&office) else {
        panic!("{:?}", office.faxes)
    };
    assert!(cause.starts_with("blocked:"), "{cause}");
    assert!(office.switch.calls().is_empty());
    let only_fixed = |plan: &str| {
        plan.replace("default_trunk =", "allow = { fax = [\"fixed\"] }\ndefault_trunk =")
    };
    let mut office = planned(only_fixed);
    sends(&mut office, "09012345678", true);
    office.run(secs(1));
    let NotSent::Refused { status: 403, cause } = not_sent(&office) else {
        panic!("{:?}", office.faxes)
    };
    assert_eq!(&*cause, "not-allowed:mobile");
}

#[test]
fn a_number_that_sends_nothing_any_more_is_refused() {
    let mut office = Office::open();
    sends(&mut office, "0355551234", true);
    office.run(secs(1));
    assert!(matches!(not_sent(&office), NotSent::Refused { status: 403, .. }));
}

#[test]
fn a_cancelled_fax_is_hung_up_wherever_it_is() {
    for wait in [100, 400, 3_000] {
        let mut office = office();
        office.phone(TRUNK).does = Does::Answers(1_000);
        sends(&mut office, "0355551234", true);
        office.run(Duration::from_millis(wait));
        office.fax_says(FAX, FaxNews::Over("cancelled".to_owned()));
        office.run(secs(2));
        let told = office.faxes.iter().any(|order| matches!(order, FaxOrder::NotSent { .. }));
        assert!(!told, "{:?}", office.faxes);
        assert!(office.switch.calls().is_empty());
        office.finish();
    }
}

#[test]
fn a_machine_that_hangs_up_stops_its_fax() {
    let mut office = office();
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    sends(&mut office, "0355551234", true);
    office.run(secs(1));
    assert_eq!(begun(&office), 1);
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert_eq!(office.faxes.last(), Some(&FaxOrder::Stop { fax: FAX }));
    assert!(only(office.finish()).answered.is_some());
}

#[test]
fn t38_is_asked_for_by_us_taken_from_the_other_side_and_neither_when_audio_is_wanted() {
    let switched = |office: &Office| {
        office.faxes.iter().filter(|order| matches!(order, FaxOrder::Switch { .. })).count()
    };
    let mut office = office();
    (office.phone(TRUNK).does, office.phone(TRUNK).takes_t38) = (Does::AnswersAtOnce, true);
    sends(&mut office, "0355551234", true);
    office.run(secs(2));
    assert!(!office.explained("asks for T.38"), "the side that was called should ask");
    office.run(secs(2));
    assert!(office.explained("asks for T.38"));
    assert_eq!((begun(&office), switched(&office)), (1, 1));
    office.hang_up(TRUNK);
    office.finish();

    let mut office = self::office();
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    sends(&mut office, "0355551234", true);
    office.run(secs(1));
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.run(secs(5));
    assert!(!office.explained("asks for T.38"));
    assert_eq!(switched(&office), 1);
    office.hang_up(TRUNK);
    office.finish();

    let mut office = self::office();
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    sends(&mut office, "0355551234", false);
    office.run(secs(5));
    let now = office.now;
    office.phone(TRUNK).offer_t38(now);
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("failed 488"), "{:?}", office.phone(TRUNK).log);
    assert_eq!(switched(&office), 0);
    office.hang_up(TRUNK);
    office.finish();
}

/// S-40: a machine of the office takes a fax as any other.
#[test]
fn s_40_a_machine_behind_an_adapter_is_rung_for_a_fax() {
    let mut office = office();
    office.phone('F').does = Does::AnswersAtOnce;
    let call = FaxCall {
        fax: FAX,
        tenant: "acme".into(),
        number: "number2".into(),
        to: Destination::Device("F".into()),
        t38: true,
        app: None,
    };
    office.send_fax(&call);
    office.run(secs(1));
    assert_eq!(begun(&office), 1, "{:#?}", office.explained);
    office.fax_says(FAX, FaxNews::Over("sent".to_owned()));
    office.run(secs(1));
    assert!(office.phone('F').heard("bye "));
    assert_eq!(only(office.finish()).direction, "internal");
}

#[test]
fn a_server_that_stops_says_that_nothing_was_sent() {
    let mut office = office();
    office.phone(TRUNK).does = Does::Rings;
    sends(&mut office, "0355551234", true);
    office.run(secs(1));
    office.stop();
    assert!(matches!(not_sent(&office), NotSent::Failed { .. }));
    sends(&mut office, "0355551234", true);
    assert_eq!(office.faxes.len(), 2);
}

#[test]
fn no_machine_is_called_while_the_server_drains() {
    let mut office = office();
    office.switch.set_draining(true);
    sends(&mut office, "0355551234", true);
    office.run(secs(1));
    assert_eq!(not_sent(&office), NotSent::Failed { status: 503 });
    assert!(!office.phone(TRUNK).heard("invite"));
    assert!(office.switch.is_drained());
}

#[test]
fn faxes_that_are_sent_leave_half_of_an_office_s_lines_to_its_callers() {
    let mut office = office();
    office.phone(TRUNK).does = Does::Rings;
    let call = |office: &mut Office, number: u64| {
        office.send_fax(&FaxCall {
            fax: FaxId::outgoing(number),
            tenant: "acme".into(),
            number: "number2".into(),
            to: Destination::Number(format!("035555123{number}").into()),
            t38: false,
            app: None,
        });
    };
    // The office has six devices, and with them six lines.
    (0..4).for_each(|number| call(&mut office, number));
    let refused = NotSent::Refused { status: 486, cause: "channels:fax".into() };
    let told = |order: &FaxOrder| {
        matches!(order, FaxOrder::NotSent { fax, call: None, why }
        if *fax == FaxId::outgoing(3) && *why == refused)
    };
    assert!(matches!(&office.faxes[..], [order] if told(order)), "{:?}", office.faxes);
    office.run(secs(90));
    assert_eq!(office.faxes.len(), 4, "the three rang in vain");
    office.faxes.clear();
    call(&mut office, 5);
    office.run(secs(1));
    assert!(office.faxes.is_empty(), "the lines are free again");
    office.run(secs(90));
    office.finish();
}

/// What a fax of an app to outside costs: the words about its pages, and its price.
fn fax_of_app(office: &mut Office, app: Option<&str>, pages: u32) -> String {
    let before = office.finals().len();
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.send_fax(&FaxCall {
        fax: FAX,
        tenant: "acme".into(),
        number: "number2".into(),
        to: Destination::Number("0355551234".into()),
        t38: false,
        app: app.map(Into::into),
    });
    office.run(secs(30));
    (1..=pages).for_each(|page| office.fax_says(FAX, FaxNews::Confirmed(page)));
    office.run(secs(29));
    office.fax_says(FAX, FaxNews::Over("sent".to_owned()));
    office.run(secs(70));
    let finals = office.finals();
    assert_eq!(finals.len(), before + 1);
    let charge = finals[before].legs.iter().find_map(|leg| leg.charge.clone()).unwrap();
    assert_eq!(charge.leg, "fax-out");
    assert_eq!(charge.device.as_deref(), app);
    let price = charge.price.unwrap();
    assert_eq!(finals[before].price.as_deref(), Some(&*price.amount));
    price.text
}

/// The option of app C makes three pages of a month free; a minute costs 40.
fn office_of_free_pages(plan: &str) -> String {
    let rate = "  { leg = \"fax-out\", class = [\"fixed\"], price = \"20\", per = \"30s\" },\n]\n";
    let option = "option.fax3 = { free_pages = 3, per = \"month\", from = [\"app\"] }";
    plan.replacen("]\n# The first ten minutes", &format!("{rate}# The first ten minutes"), 1)
        .replacen("option.free10 =", &format!("{option}\noption.free10 ="), 1)
        .replacen("options = [\"free10\"]", "options = [\"free10\", \"fax3\"]", 1)
}

/// S-43: the count goes on from fax to fax, over a restart, and begins anew with the month.
#[test]
fn s_43_pages_of_an_app_are_counted_and_free_until_its_option_is_used_up() {
    let mut office = planned(office_of_free_pages);
    let paid = "2 x 20 for each 30 s = 40";
    let first = fax_of_app(&mut office, Some("C"), 2);
    assert!(first.contains("2 of 2 pages free (fax3): 0 x 20"), "{first}");
    assert!(office.explained("pages of the app C in 2026-07: 2 more, 2 with those"));
    // Whoever has no app or no option pays, and takes none of C's pages.
    for other in [None, Some("D")] {
        let words = fax_of_app(&mut office, other, 2);
        assert!(words.ends_with(paid) && !words.contains("pages"), "{words}");
    }
    let second = fax_of_app(&mut office, Some("C"), 2);
    assert!(second.contains("1 of 2 pages free (fax3): 1 x 20 for each 30 s = 20"), "{second}");
    // Behind a restart the count is what it was.
    let notes: Vec<koukan_switch::Note> = office
        .did
        .iter()
        .filter_map(|did| match did {
            office::Did::Record(koukan_switch::Record::Note(note)) => Some(note.clone()),
            _ => None,
        })
        .collect();
    let mut again = planned(office_of_free_pages);
    again.switch.restore_fax_pages(&notes);
    let third = fax_of_app(&mut again, Some("C"), 1);
    assert!(third.ends_with(paid) && !third.contains("pages"), "{third}");
    // The month closes on the 25th.
    again.date += secs(27 * 86_400);
    let next = fax_of_app(&mut again, Some("C"), 1);
    assert!(next.contains("1 of 1 pages free (fax3)"), "{next}");
}
