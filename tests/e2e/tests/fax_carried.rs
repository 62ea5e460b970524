//! Faxes between two machines that nobody here wrote, through the running server (S-17): an
//! adapter of the office and the carrier, in audio on both sides, with T.38 on one of them, and on
//! both. What comes is what was sent, to the picture element.
#![allow(clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use koukan_e2e::fax::{Adapter, Line, Outcome, Sending, T38, Taking, document, page, received};
use koukan_e2e::server::Server;
use koukan_fax::Bitmap;

const LIMIT: Duration = Duration::from_secs(20);
/// Rings the adapters.
const NUMBER: &str = "0312340003";
const OUTSIDE: &str = "0455551234";

/// What came of a fax.
struct Fax {
    server: Server,
    sent: Outcome,
    taken: Outcome,
    came: PathBuf,
    lines: String,
}

fn pages() -> [Bitmap; 2] {
    [page(1, 500), page(2, 300)]
}

/// A fax from outside to the adapter, or from the adapter to the outside: what each makes of T.38.
fn carry(name: &str, from_outside: bool, (sends, takes): (T38, T38)) -> Option<Fax> {
    let server = Server::start(name).expect("the server starts");
    let line = Line::open(&server).expect("the port is free");
    let adapter = Adapter::register(&server, 'E').expect("it is let in");
    let (file, came) = (server.directory.join("sent.tif"), server.directory.join("came.tif"));
    document(&file, &pages()).expect("it is written");
    let taking = Taking::new(&came, takes);
    let (sent, taken) = thread::scope(|scope| {
        let taken = scope.spawn(|| {
            if from_outside {
                adapter.take(&server, &taking, LIMIT)
            } else {
                line.take_for(&server, OUTSIDE, &taking, LIMIT)
            }
        });
        let sent = if from_outside {
            line.send(&server, &Sending::new(NUMBER, &file, sends))
        } else {
            adapter.send(&server, &Sending::new(OUTSIDE, &file, sends))
        };
        (sent, taken.join().expect("it does not panic"))
    });
    let outcome = |outcome: std::io::Result<Outcome>| {
        outcome.unwrap_or_else(|error| panic!("{name}: {error}\n{}", server.log_tail()))
    };
    let (sent, taken) = (outcome(sent), outcome(taken));
    // The BYE of who hung up is remembered for 32 s (RFC 3261, 17.2.2).
    server.wait_empty(2 * LIMIT).expect("nothing is left");
    let records = server.ctl(&["cdrs"]).expect("the records can be read");
    let call = records[0]["call"].as_str().expect("one of the call").to_owned();
    let why = server.ctl(&["why", &call]).expect("it is known");
    let lines = why["lines"].as_array().into_iter().flatten();
    let lines = lines.filter_map(|line| Some(format!("{}\n", line["text"].as_str()?))).collect();
    println!("{name}: {:.1} s, {sent:?}, {taken:?}\n{lines}", sent.seconds);
    Some(Fax { server, sent, taken, came, lines })
}

fn assert_arrived(fax: &Fax) {
    let Fax { server, sent, taken, came, .. } = fax;
    assert_eq!((sent.code, sent.pages), (0, 2), "{sent:?}\n{}", server.log_tail());
    assert_eq!((taken.code, taken.pages), (0, 2), "{taken:?}");
    let came = received(came).expect("it was received");
    assert_eq!(came.len(), 2);
    for (number, (came, sent)) in came.iter().zip(&pages()).enumerate() {
        assert!(came == sent, "page {number} differs");
    }
}

/// Plain audio from end to end: no adaptation, no concealment, one law.
#[test]
fn s_17_a_fax_of_an_adapter_passes_through_to_the_trunk_as_audio() {
    let Some(fax) = carry("fax-through", false, (T38::Refuses, T38::Refuses)) else { return };
    assert_arrived(&fax);
    assert!(!fax.sent.by_t38 && !fax.taken.by_t38);
    assert!(!fax.lines.contains("T.38"), "{}", fax.lines);
}

#[test]
fn s_17_a_fax_from_outside_passes_through_to_an_adapter_as_audio() {
    let Some(fax) = carry("fax-through-in", true, (T38::Refuses, T38::Refuses)) else { return };
    assert_arrived(&fax);
    assert!(!fax.sent.by_t38 && !fax.taken.by_t38);
}

#[test]
fn s_17_a_gateway_carries_a_fax_from_a_trunk_with_t38_to_an_adapter_in_audio() {
    let Some(fax) = carry("fax-gateway-in", true, (T38::Asks, T38::Refuses)) else { return };
    assert_arrived(&fax);
    assert!(fax.sent.by_t38 && !fax.taken.by_t38);
    for part in [
        "trunk carrier goes over to T.38",
        "asks device E for T.38",
        "T.38: 488",
        "a gateway carries the fax between T.38 and audio",
        "fax: page 2 has gone over",
    ] {
        assert!(fax.lines.contains(part), "no {part} in:\n{}", fax.lines);
    }
}

#[test]
fn s_17_a_gateway_carries_a_fax_from_an_adapter_in_audio_to_a_trunk_with_t38() {
    let Some(fax) = carry("fax-gateway-out", false, (T38::Refuses, T38::Asks)) else { return };
    assert_arrived(&fax);
    assert!(!fax.sent.by_t38 && fax.taken.by_t38);
}

#[test]
fn s_17_a_gateway_carries_a_fax_from_an_adapter_with_t38_to_a_trunk_in_audio() {
    let Some(fax) = carry("fax-gateway-t38", false, (T38::Asks, T38::Refuses)) else { return };
    assert_arrived(&fax);
    assert!(fax.sent.by_t38 && !fax.taken.by_t38);
}

#[test]
fn s_17_t38_passes_between_a_trunk_and_an_adapter_that_both_take_it() {
    let Some(fax) = carry("fax-relay", false, (T38::Takes, T38::Asks)) else { return };
    assert_arrived(&fax);
    assert!(fax.sent.by_t38 && fax.taken.by_t38);
    assert!(fax.lines.contains("T.38 passes between both"), "{}", fax.lines);
}
