//! Holidays in plans: provisional years, closing days from a calendar file, the end of the data,
//! and the picture of a week with a hole in it.

mod office;

use koukan_dialplan::{Capabilities, Loaded, Plans, TenantSource};
use office::world::{World, at, call_in, changed, plans};
use office::{load_files, sample, wednesday};

fn with_calendar(calendar: &str) -> Loaded {
    let text = changed(&[("\"yearly:08-13..08-15\"]", "\"ics:closing.ics\"]")]);
    let files = [
        ("conf/tenants/acme/office.toml", text.as_str()),
        ("conf/tenants/acme/closing.ics", calendar),
    ];
    load_files(&files, &Capabilities::all())
}

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n\
    DTSTART;VALUE=DATE:20260706\r\nDTEND;VALUE=DATE:20260708\r\nSUMMARY:Inventory\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20250601\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\n\
    END:VCALENDAR\r\n";

#[test]
fn closing_days_come_from_a_calendar_file() {
    let Loaded { plans, report, .. } = with_calendar(CALENDAR);
    assert!(report.is_ok(), "{report}");
    let closed = |day: &str| {
        let decision =
            call_in(&plans, at(&format!("{day}T10:00:00")), "0312340001", &World::default());
        decision.outcome().announces.is_some()
    };
    let days = ["2026-07-03", "2026-07-06", "2026-07-07", "2026-07-08", "2026-06-01", "2027-06-01"];
    assert_eq!(days.map(closed), [false, true, true, false, true, true]);
}

#[test]
fn errors_of_a_calendar_file_stand_at_its_lines() {
    let broken = CALENDAR.replace("20260708", "20260745");
    let report = with_calendar(&broken).report;
    insta::assert_snapshot!(report.to_string());
    let missing = changed(&[("\"yearly:08-13..08-15\"]", "\"ics:closing.ics\"]")]);
    let report = load_files(&[("office.toml", &missing)], &Capabilities::all()).report;
    let messages: Vec<_> = report.errors().map(|error| error.message.as_str()).collect();
    assert_eq!(messages, ["there is no calendar file \"closing.ics\""]);
}

#[test]
fn a_year_that_is_not_gazetted_is_marked_in_simulation_and_check() {
    let plans = plans(&sample());
    let reason = |when: &str| {
        let decision = call_in(&plans, at(when), "0312340001", &World::default());
        decision.lines().into_iter().find(|line| line.contains("schedule: ")).expect("a reason")
    };
    let known = "number.number1.schedule: office: holiday (Marine Day), no cell, the default says announce closed";
    assert_eq!(reason("2026-07-20T10:00:00"), known);
    let provisional = known.replace("Marine Day", "Marine Day, provisional until gazetted");
    assert_eq!(reason("2027-07-19T10:00:00"), provisional);
    let source = TenantSource {
        name: String::from("acme"),
        files: vec![(String::from("office.toml"), sample())],
    };
    let later = at("2027-01-01T10:00:00");
    let report = Plans::load(&[source], &[], &Capabilities::all(), later).report;
    let warnings: Vec<_> = report.warnings().map(|found| found.message.as_str()).collect();
    let expected = [
        "the national holidays of 2027 are provisional",
        "the dated closing days of schedule.office end on 2027-01-03",
    ];
    assert!(expected.iter().all(|wanted| warnings.contains(wanted)), "{report}");
}

#[test]
fn a_hole_between_two_cells_is_drawn_in_the_week() {
    let text =
        changed(&[("{ from = \"12:00\", to = \"13:00\", do = { announce = \"lunch\" } },", "")]);
    let text = text.replace("lunch = { file = \"sounds/lunch.wav\" }\n", "");
    let report = load_files(&[("office.toml", &text)], &Capabilities::all()).report;
    assert!(report.is_ok());
    insta::assert_snapshot!(report.to_string());
    assert_eq!(office::load(&sample(), &Capabilities::all()).report.to_string(), "");
    let _ = wednesday();
}
