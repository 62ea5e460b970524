//! A hundred random days with one datagram in ten lost: whatever happens, every call ends, every
//! table is empty and every call has exactly one final record.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::Method;
use koukan_sip::sdp::Direction;
use koukan_switch::{FaxNews, FaxOrder};
use office::modules::Script;
use office::{Does, Office, Phone, SERVER, TRUNK};

const PHONES: [char; 7] = ['A', 'B', 'C', 'D', 'E', 'F', TRUNK];
const NUMBERS: [&str; 23] = [
    "0312340001",
    "0312340002",
    "0312340003",
    "0455550001",
    "801",
    "804",
    "802",
    "600",
    "601",
    "119",
    "8101",
    "8102",
    "8103",
    "700",
    "*5",
    "*58102",
    "**804",
    "**",
    "**8101",
    "650",
    "620",
    "620",
    "620",
];

/// Every feature of the desk: slots, codes, a group, phones that forward.
fn plan(plan: &str) -> String {
    plan.replace("[device.D]\n", "[device.D]\nforward = { busy = \"802\", no_answer = \"8101\" }\n")
        .replace("[device.B]\n", "[device.B]\nforward = { unreachable = \"804\" }\n")
        .replace(
            "[extension.echo]",
            "[park]\nslots = { first = \"8101\", count = 3 }\nreturn_after = \"10s\"\n\
             [extension.park]\ndial = \"700\"\ndo = \"park\"\n\
             [extension.menu]\ndial = \"620\"\ndo = { menu = \"front\" }\n\
             [menu.front]\nprompt = \"lunch\"\ndirect_extensions = [\"B\"]\n\
             digits = { 1 = { group = \"desk\" }, 2 = \"park\", 3 = { announce = \"lunch\" } }\n\
             [group.desk]\ndial = \"650\"\nmembers = [\"A\", \"C\", \"D\"]\npickup = true\n\
             no_answer = \"park\"\n[feature_codes]\npark = \"*5\"\npickup = \"**\"\n\
             [extension.echo]",
        )
}

fn habit(office: &mut Office) -> Does {
    let ms = u64::from(office.dice(8_000));
    match office.dice(10) {
        0 => Does::Rings,
        1 => Does::Nothing,
        2 => Does::Refuses(486),
        3 => Does::RefusesAfter(ms, 603),
        4 => Does::AnswersAtOnce,
        5 => Does::EarlyThenAnswers(ms),
        6 => Does::AnswersRubbish,
        _ => Does::Answers(ms),
    }
}

fn pick(office: &mut Office) -> char {
    PHONES[usize::try_from(office.dice(7)).unwrap()]
}

/// A phone without the calls that it does not know any more.
fn living(office: &mut Office, name: char) -> &mut Phone {
    let phone = office.phone(name);
    phone.up.retain(|dialog| phone.ua.flow(*dialog).is_some());
    phone
}

fn refer(office: &mut Office, name: char) {
    let number = NUMBERS[usize::try_from(office.dice(23)).unwrap()];
    let now = office.now;
    let phone = living(office, name);
    if !phone.up.is_empty() {
        phone.refer(now, &format!("<sip:{number}@{SERVER}>"), &[]);
    }
}

/// A phone with two calls puts them through to each other.
fn put_through(office: &mut Office, name: char) {
    let now = office.now;
    let phone = living(office, name);
    if phone.up.len() > 1 {
        let replaces = phone.replaced().replace(';', "%3B").replace('=', "%3D");
        phone.refer(now, &format!("<sip:x@{SERVER}?Replaces={replaces}>"), &[]);
    }
}

/// A phone takes over a call of another one, ringing or up.
fn pick_up(office: &mut Office, name: char) {
    let from = pick(office);
    let phone = living(office, from);
    let dialog = phone.up.first().copied().or(phone.ringing);
    let Some(dialog) = dialog.filter(|dialog| phone.ua.identity(*dialog).is_some()) else {
        return;
    };
    let replaces = phone.replaces(dialog).into_bytes();
    office.phone(name).headers = vec![("Replaces", replaces)];
    office.call(name, "804");
    office.phone(name).headers.clear();
}

fn act(office: &mut Office) {
    let name = pick(office);
    match office.dice(24) {
        22 => {
            let (now, takes) = (office.now, office.dice(2) == 0);
            let phone = living(office, name);
            phone.takes_t38 = takes;
            if !phone.up.is_empty() {
                phone.offer_t38(now);
            }
        }
        23 => {
            // Whoever carries a fax gives up.
            if let Some(FaxOrder::Carry(carried)) = office.faxes.last().cloned() {
                office.fax_says(carried.fax, FaxNews::Over("the process has ended".to_owned()));
            }
        }
        17..=21 => {
            let (now, media) = (office.now, office.phone(name).media);
            let key = b"1238"[usize::try_from(office.dice(4)).unwrap()];
            if office.media.of(media).is_some() {
                office.media.press(now, media, key);
            }
        }
        12 => refer(office, name),
        13 => put_through(office, name),
        14 => pick_up(office, name),
        15 => {
            let now = office.now;
            let target =
                ["lamps", "804", "acme-801", "8101"][usize::try_from(office.dice(4)).unwrap()];
            office.phone(name).subscribe(now, target, "dialog", 120);
        }
        16 => {
            let now = office.now;
            let phone = living(office, name);
            if !phone.up.is_empty() {
                phone.in_dialog(now, Method::Update, None);
            }
        }
        0..=4 => {
            let number = NUMBERS[usize::try_from(office.dice(23)).unwrap()];
            office.phone(name).late_offer = name == TRUNK && number == "0312340003";
            office.call(name, number);
        }
        5 => office.give_up(name),
        6 | 7 => office.hang_up(name),
        8 => {
            let now = office.now;
            let direction =
                if office.dice(2) == 0 { Direction::SendOnly } else { Direction::SendRecv };
            let phone = living(office, name);
            if !phone.up.is_empty() {
                phone.offer_again(now, direction);
            }
        }
        9 => {
            office.phone(name).does = habit(office);
        }
        10 if office.dice(4) == 0 && !office.switch.calls().is_empty() => {
            office.kill();
        }
        _ if name != TRUNK => office.register(name, &[]),
        _ => {}
    }
}

/// One day; the number of calls that it had, and how often each feature was used in it.
fn day(seed: u64) -> (usize, [usize; 6]) {
    let mut office = Office::seeded_and_planned(seed, plan);
    office.loss_percent = 10;
    for name in PHONES {
        office.phone(name).does = habit(&mut office);
    }
    for name in 'A'..='F' {
        office.register(name, &[]);
    }
    office.modules.script = match seed % 5 {
        0 => Some(Script::Fails("rain")),
        _ => None,
    };
    for _ in 0..60 {
        let ms = u64::from(office.dice(3_000));
        office.run(Duration::from_millis(ms));
        act(&mut office);
    }
    if seed.is_multiple_of(3) {
        let name = pick(&mut office);
        office.vanish(name);
    }
    // Everybody goes home; what was answered late is hung up too.
    for _ in 0..40 {
        for name in PHONES {
            office.phone(name).does = Does::Refuses(480);
            office.give_up(name);
            office.hang_up(name);
        }
        office.run(Duration::from_secs(10));
    }
    let used = FEATURES
        .map(|feature| office.explained.iter().filter(|(_, text)| text.contains(feature)).count());
    (office.finish().len(), used)
}

/// What the explain log says of each feature.
const FEATURES: [&str; 6] = [
    "parked in slot",
    "takes the call",
    "nobody took it out",
    "the caller pressed",
    " forwards to ",
    "goes over to T.38",
];

#[test]
fn a_hundred_lossy_days_leave_nothing_behind() {
    let days = (1..=100).inspect(|seed| println!("day {seed}")).map(day);
    let (calls, used) = days.fold((0, [0; 6]), |(calls, used), (more, here)| {
        (calls + more, std::array::from_fn(|at| used[at] + here[at]))
    });
    println!("{calls} calls in 100 days, {FEATURES:?}: {used:?}");
    assert!(used.iter().all(|count| *count >= 4), "{used:?}");
    assert!(calls > 1_000, "{calls}");
}

#[test]
fn a_seed_replays_the_same_day() {
    let run = || {
        let mut office = Office::seeded_and_planned(7, plan);
        office.loss_percent = 10;
        for name in 'A'..='F' {
            office.register(name, &[]);
        }
        for _ in 0..40 {
            office.run(Duration::from_millis(700));
            act(&mut office);
        }
        let did = office.did.clone();
        let explained = office.explained.clone();
        (did, explained)
    };
    assert_eq!(run(), run());
}
