//! Rows S-100 to S-102 and S-111, and what the guide leaves open where a decision shows it. Each
//! test names its row.

mod office;

use koukan_dialplan::{Capabilities, Notice, Step};
use office::world::{World, at, call_from, call_in, call_out, changed, plans};
use office::{load, sample, wednesday};

/// The status, the cause and the prompt of a call that comes to nothing.
fn refused(decision: &koukan_dialplan::Decision) -> (u16, &str, &str) {
    assert!(decision.steps.is_empty(), "{decision:?}");
    let release = &decision.release;
    let prompt = release.prompt.as_ref().map_or("", |prompt| &prompt.name);
    (release.status, &release.cause, prompt)
}

#[test]
fn s_100_emergency_numbers_are_refused_with_an_announcement_whoever_dials_and_however() {
    let plans = plans(&sample());
    for device in ["A", "B", "C", "D", "E", "F"] {
        for number in ["110", "118", "119"] {
            for dialled in [number.to_owned(), format!("184{number}"), format!("186{number}")] {
                let decision = call_out(&plans, device, &dialled, &World::default());
                let wanted = (403, "blocked:emergency", "refused");
                assert_eq!(refused(&decision), wanted, "{device} dials {dialled}");
            }
        }
    }
}

#[test]
fn s_101_nobody_calls_abroad_nor_what_an_operator_lists() {
    let plans = plans(&sample());
    let cases = [
        ("01014155550001", "blocked:international"),
        ("+14155550001", "blocked:international"),
        ("18401014155550001", "blocked:international"),
        ("00330088010441234567", "blocked:carrier"),
        ("0990123456", "blocked:premium"),
        ("0201234567", "blocked:data"),
        ("117", "blocked:service"),
    ];
    for (dialled, cause) in cases {
        let decision = call_out(&plans, "A", dialled, &World::default());
        assert_eq!(refused(&decision), (403, cause, "refused"), "{dialled}");
    }
    let none = call_out(&plans, "A", "0999", &World::default());
    assert_eq!(refused(&none), (404, "no-class", "unallocated"));
}

#[test]
fn s_102_calls_from_abroad_are_taken_with_their_number() {
    let plans = plans(&sample());
    let called = "0312340002";
    let decision = call_from(&plans, wednesday(), Some("+14155550001"), called, &World::default());
    assert!(matches!(decision.steps.as_slice(), [Step::Ring { .. }, ..]), "{decision:?}");
    assert_eq!(decision.caller.as_deref(), Some("01014155550001"));
}

#[test]
fn s_111_what_is_used_has_been_subscribed() {
    let number1 =
        "options = [\"voicemail\", \"off_hours\", \"fax\", \"forwarding\", \"recording\"]";
    let all = ["voicemail", "off_hours", "fax", "forwarding", "recording"];
    for missing in all {
        let rest: Vec<_> = all.into_iter().filter(|option| *option != missing).collect();
        let text = changed(&[(number1, &format!("options = {rest:?}"))]);
        let report = load(&text, &Capabilities::all()).report;
        let found: Vec<_> = report.errors().map(|error| error.message.as_str()).collect();
        let sentence = format!("number.number1 uses {missing} without its option");
        assert_eq!(found, [sentence.as_str()], "{report}");
    }
}

#[test]
fn s_41_an_office_of_several_devices_reads_faxes_by_the_option_of_an_id() {
    let options = "options = [\"free10\", \"phonebook\", \"cloudfax\", \"fax500\"]";
    let text = changed(&[(options, "options = [\"free10\", \"phonebook\", \"fax500\"]")]);
    let report = load(&text, &Capabilities::all()).report;
    let found: Vec<_> = report.warnings().map(|warning| warning.hint.as_str()).collect();
    assert!(found.iter().any(|hint| hint.ends_with("(S-41)")), "{report}");
}

#[test]
fn decided_the_notice_of_a_recording_comes_on_arrival_or_at_the_answer() {
    for (word, notice) in
        [("arrival", Notice::Arrival), ("answer", Notice::Answer), ("off", Notice::Off)]
    {
        let plans = plans(&changed(&[("notice = \"arrival\"", &format!("notice = \"{word}\""))]));
        let decision = call_in(&plans, wednesday(), "0312340001", &World::default());
        assert_eq!(decision.record.expect("it is recorded").notice, notice);
    }
}

#[test]
fn decided_announcements_and_voicemail_use_no_channel_and_a_full_office_goes_to_voicemail() {
    let plans = plans(&sample());
    let full = World { tenant: 6, ..World::default() };
    let closed = call_in(&plans, at("2026-07-05T10:00:00"), "0312340001", &full);
    assert!(matches!(closed.steps.as_slice(), [Step::Announce { .. }, Step::Voicemail { .. }]));
    assert!(!closed.uses_channel);
    let open = call_in(&plans, wednesday(), "0312340001", &full);
    assert!(matches!(open.steps.as_slice(), [Step::Voicemail { .. }]), "{open:?}");
    // They have a pool of their own.
    let pool = World { pool_is_full: true, ..World::default() };
    let closed = call_in(&plans, at("2026-07-05T10:00:00"), "0312340001", &pool);
    assert_eq!(refused(&closed), (486, "pool", ""));
}

#[test]
fn decided_the_service_104_ended_with_its_last_day() {
    let plans = plans(&sample());
    let dial = |when| {
        let decision = office::world::call_out_at(&plans, at(when), "A", "104", &World::default());
        (decision.steps.len(), decision.release.cause.to_string())
    };
    assert_eq!(dial("2026-03-31T23:59:59").0, 1);
    assert_eq!(dial("2026-04-01T00:00:00"), (0, "no-class".to_owned()));
}
