//! A thousand random operations of fifty phones a seed: calls, holds, transfers, slots, pickups,
//! menus, rooms, queues, pages. After every one the switch is held against itself and against its
//! media: every leg is in exactly one call, every bridge and every room has its streams, places and
//! channels are held by whom they are counted for. In the end nothing is left.
//!
//! `KOUKAN_SEEDS=17-17` replays a seed; without it a few are run. `cargo xtask features` runs all.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::fmt::Write as _;
use std::time::Duration;

use koukan_media::Source;
use koukan_sip::sdp::Direction;
use koukan_switch::RoomOrder;
use office::{Does, Office, Phone, SERVER, TRUNK};

const PHONES: u8 = 50;
const OPERATIONS: u32 = 1_000;
/// The seeds of a run that names none.
const FEW: std::ops::RangeInclusive<u64> = 1..=10;

/// What is dialled besides colleagues.
const NUMBERS: [&str; 30] = [
    "0312340001",
    "0312340002",
    "0455550001",
    "670",
    "670",
    "671",
    "671",
    "680",
    "680",
    "690",
    "650",
    "620",
    "600",
    "700",
    "8101",
    "8102",
    "8103",
    "*5",
    "*3",
    "*3",
    "*58102",
    "**",
    "**650",
    "*80840",
    "*80650",
    "*81833",
    "*82834",
    "*81845",
    "*83843",
    "999",
];

/// What callers press: keys of a menu, PINs, orders in a room.
const KEYS: [&str; 12] =
    ["1", "2", "3", "4", "4711#", "0815#", "*1", "*2", "*3", "*4", "*9841#", "*90455550001#"];

fn plan() -> String {
    let mut text = String::from(
        "schema = 1\n[tenant]\nid = \"acme\"\ntimezone = \"Asia/Tokyo\"\nlanguage = \"ja\"\n\
         verified = true\nchannels = 30\n",
    );
    let name = |number: u32| format!("p{number}");
    for number in 0..u32::from(PHONES) {
        let (ext, name) = (833 + number, name(number));
        let forward = match number % 10 {
            3 => "forward = { busy = \"840\", no_answer = \"8101\", after = \"5s\" }\n",
            7 => "busy = \"one\"\n",
            _ => "supervises = [\"p0\", \"p1\", \"p8\", \"p10\", \"p11\", \"p12\"]\n",
        };
        let _ = write!(
            text,
            "[device.{name}]\next = \"{ext}\"\nkind = \"desk\"\nsecret = \"env:X\"\n{forward}"
        );
    }
    let list = |from: u32, to: u32| {
        let names: Vec<String> = (from..to).map(|number| format!("\"{}\"", name(number))).collect();
        names.join(", ")
    };
    let _ = write!(
        text,
        r#"
[number.main]
did = "0312340001"
role = "contract"
mode = "ring"
ring = {{ devices = [{few}], strategy = "all", timeout = "20s" }}
[number.front]
did = "0312340002"
role = "additional"
mode = "schedule"
schedule = "always"
options = ["off_hours"]
[schedule.always]
default = {{ menu = "front" }}
[announcement.front]
prompt = "front"
[menu.front]
prompt = "front"
digits = {{ 1 = {{ group = "desk" }}, 2 = "park", 3 = {{ conference = "open" }}, 4 = {{ queue = "help" }} }}
direct_extensions = ["p5"]
on_timeout = {{ queue = "help" }}
[group.desk]
dial = "650"
members = [{few}]
pickup = true
[room.open]
announce = true
max_members = 12
[room.shut]
pin = "env:4711"
moderator_pin = "env:0815"
[queue.help]
agents = [{agents}]
announce_position = true
wrap_up = "5s"
max_wait = "40s"
max_callers = 5
overflow = "park"
[park]
slots = {{ first = "8101", count = 5 }}
return_after = "15s"
hold_after = "4s"
[feature_codes]
park = "*5"
three_way = "*3"
pickup = "**"
intercom = "*80"
monitor = "*81"
whisper = "*82"
barge = "*83"
[extension.open]
dial = "670"
do = {{ conference = "open" }}
[extension.shut]
dial = "671"
do = {{ conference = "shut", on_error = "echo" }}
[extension.help]
dial = "680"
do = {{ queue = "help" }}
[extension.page]
dial = "690"
do = {{ page = "desk" }}
[extension.front]
dial = "620"
do = {{ menu = "front" }}
[extension.echo]
dial = "600"
do = "echo"
[extension.park]
dial = "700"
do = "park"
[trunk.carrier]
address = "127.0.0.1:5070"
profile = "jp-ngn"
numbers = ["main", "front"]
[class]
fixed = {{ prefix = ["03", "04"], digits = 10 }}
[outbound]
default_trunk = "carrier"
"#,
        few = list(0, 5),
        agents = list(10, 14),
    );
    text
}

fn below(office: &mut Office, sides: usize) -> usize {
    usize::try_from(office.dice(u32::try_from(sides).unwrap())).unwrap()
}

fn pick(office: &mut Office) -> char {
    match office.dice(12) {
        0 => TRUNK,
        _ => char::from(b'a' + u8::try_from(office.dice(u32::from(PHONES))).unwrap()),
    }
}

fn habit(office: &mut Office) -> Does {
    let ms = u64::from(office.dice(4_000));
    match office.dice(10) {
        0 | 1 => Does::Rings,
        2 => Does::Refuses(486),
        3 => Does::RefusesAfter(ms, 603),
        4 => Does::AnswersAtOnce,
        _ => Does::Answers(ms),
    }
}

fn number(office: &mut Office) -> String {
    match office.dice(3) {
        0 => (833 + office.dice(u32::from(PHONES))).to_string(),
        _ => NUMBERS[below(office, NUMBERS.len())].to_owned(),
    }
}

/// A phone without the calls that it does not know any more.
fn living(office: &mut Office, name: char) -> &mut Phone {
    let phone = office.phone(name);
    phone.up.retain(|dialog| phone.ua.flow(*dialog).is_some());
    phone
}

fn act(office: &mut Office) {
    let name = pick(office);
    let now = office.now;
    match office.dice(24) {
        0..=5 => {
            let called = number(office);
            // A carrier's number is dialled, not called, by the carrier.
            let called = if name == TRUNK && !called.starts_with("031") {
                "0312340002".to_owned()
            } else {
                called
            };
            office.call(name, &called);
        }
        6 | 7 => {
            let direction =
                if office.dice(3) == 0 { Direction::SendRecv } else { Direction::SendOnly };
            let phone = living(office, name);
            if !phone.up.is_empty() {
                phone.offer_again(now, direction);
            }
        }
        8..=10 => {
            let target = number(office);
            let phone = living(office, name);
            if !phone.up.is_empty() {
                phone.refer(now, &format!("<sip:{target}@{SERVER}>"), &[]);
            }
        }
        11 | 12 => {
            let phone = living(office, name);
            if phone.up.len() > 1 {
                let replaces = phone.replaced().replace(';', "%3B").replace('=', "%3D");
                phone.refer(now, &format!("<sip:x@{SERVER}?Replaces={replaces}>"), &[]);
            }
        }
        13 => take_over(office, name),
        14..=16 => {
            for key in KEYS[below(office, KEYS.len())].bytes() {
                let (now, media) = (office.now, office.phone(name).media);
                if office.media.of(media).is_some() {
                    office.media.press(now, media, key);
                }
            }
        }
        17 => order_in_room(office),
        18 => office.give_up(name),
        19 | 20 => office.hang_up(name),
        21 if office.dice(20) == 0 && !office.switch.calls().is_empty() => {
            office.kill();
        }
        _ => office.phone(name).does = habit(office),
    }
}

/// A phone takes over a call of another one, ringing or up.
fn take_over(office: &mut Office, name: char) {
    let from = pick(office);
    let phone = living(office, from);
    let dialog = phone.up.first().copied().or(phone.ringing);
    let known = dialog.filter(|dialog| phone.ua.identity(*dialog).is_some());
    let Some(dialog) = known.filter(|_| name != TRUNK) else { return };
    let replaces = phone.replaces(dialog).into_bytes();
    office.phone(name).headers = vec![("Replaces", replaces)];
    office.call(name, "840");
    office.phone(name).headers.clear();
}

fn order_in_room(office: &mut Office) {
    let rooms = office.switch.rooms();
    if rooms.is_empty() {
        return;
    }
    let room = &rooms[below(office, rooms.len())];
    let member = room.members[below(office, room.members.len())].call.clone();
    let order = match office.dice(7) {
        0 => RoomOrder::Lock(office.dice(2) == 0),
        1 => RoomOrder::Hush(office.dice(2) == 0),
        2 => RoomOrder::Mute(member),
        3 => RoomOrder::Unmute(member),
        4 => RoomOrder::PutOut(member),
        _ => RoomOrder::Dial("845".to_owned()),
    };
    // A room without a moderator dials nobody.
    let _ = office.order_in_room(&room.room, &order);
}

/// The switch against itself, and against the media that it ordered.
fn hold(office: &Office) -> Result<(), String> {
    office.switch.audit()?;
    for (one, other) in office.switch.bridges() {
        let source = |stream| office.media.stream(stream).map(|known| known.source);
        if source(one) != Some(Source::Stream(other)) || source(other) != Some(Source::Stream(one))
        {
            return Err(format!(
                "the bridge of {one} and {other} has {:?} and {:?}",
                source(one),
                source(other)
            ));
        }
    }
    for (stream, room) in office.switch.attending() {
        let joined = office.media.stream(stream).and_then(|known| known.room);
        if joined.is_none_or(|(known, _)| known != room) {
            return Err(format!("{stream} is a member of {room:?} and is in {joined:?}"));
        }
    }
    Ok(())
}

/// What the explain log says of each feature.
const FEATURES: [&str; 11] = [
    "parked in slot",
    "takes the call",
    "nobody took it out",
    "the caller pressed",
    "transfers to",
    "comes into room",
    "into the room as call",
    "waits in queue",
    "agent ",
    "a wrong PIN",
    "supervises the call",
];

/// One seed: the calls that there were, and how often each feature was used.
fn run(seed: u64) -> (usize, [usize; 11]) {
    let mut office = Office::crowd(seed, PHONES, &plan());
    let names: Vec<char> = office.phones.keys().copied().collect();
    for name in &names {
        office.phone(*name).does = habit(&mut office);
        if *name != TRUNK {
            office.register(*name, &[]);
        }
    }
    office.run(Duration::from_secs(2));
    for operation in 0..OPERATIONS {
        act(&mut office);
        if let Err(wrong) = hold(&office) {
            panic!("seed {seed}, operation {operation}: {wrong}");
        }
        let ms = u64::from(office.dice(400));
        office.run(Duration::from_millis(ms));
        if let Err(wrong) = hold(&office) {
            panic!("seed {seed}, behind operation {operation}: {wrong}");
        }
    }
    for _ in 0..40 {
        for name in &names {
            office.phone(*name).does = Does::Refuses(480);
            office.give_up(*name);
            office.hang_up(*name);
        }
        office.run(Duration::from_secs(5));
    }
    let used = FEATURES
        .map(|feature| office.explained.iter().filter(|(_, text)| text.contains(feature)).count());
    (office.finish().len(), used)
}

#[test]
fn a_thousand_operations_of_fifty_phones_leave_every_leg_in_one_call_and_nothing_behind() {
    let seeds = match std::env::var("KOUKAN_SEEDS") {
        Ok(range) => {
            let (first, last) = range.split_once('-').expect("KOUKAN_SEEDS=FIRST-LAST");
            first.parse().expect("a number")..=last.parse().expect("a number")
        }
        Err(_) => FEW,
    };
    let (mut calls, mut used, mut count) = (0, [0; 11], 0);
    for seed in seeds {
        let (more, here) = run(seed);
        println!("seed {seed}: {more} calls, {here:?}");
        (calls, count) = (calls + more, count + 1);
        used = std::array::from_fn(|at| used[at] + here[at]);
    }
    println!("{count} seeds, {} operations, {calls} calls", count * OPERATIONS);
    println!("{FEATURES:?}: {used:?}");
    assert!(count < 10 || used.iter().all(|count| *count >= 3), "{FEATURES:?}: {used:?}");
}

#[test]
fn a_seed_replays_the_same_operations() {
    let begin = || {
        let mut office = Office::crowd(7, PHONES, &plan());
        for name in ('a'..='z').take(usize::from(PHONES)) {
            office.register(name, &[]);
        }
        for _ in 0..80 {
            act(&mut office);
            office.run(Duration::from_millis(200));
        }
        (office.did.clone(), office.explained.clone())
    };
    assert_eq!(begin(), begin());
}
