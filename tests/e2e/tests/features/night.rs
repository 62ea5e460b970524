//! The night key with real phones (S-23): one touch, its lamp, the next call, a kill.

use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::Baresip;
use koukan_e2e::lamp::{Lamp, Shows};
use koukan_e2e::office::carrier;
use koukan_e2e::server::source_root;
use koukan_e2e::wait::wait_for;

use super::{LIMIT, no_call_is_left, office_of_today, ring, wait};

fn incoming(phone: &mut Baresip) -> usize {
    phone.saw("");
    phone.history.iter().filter(|event| event["type"] == "CALL_INCOMING").count()
}

fn presses(phone: &mut Baresip, lamp: &mut Lamp, shows: Shows) {
    phone.dial("*28").expect("the control link stands");
    wait(phone, "CALL_ESTABLISHED");
    wait(phone, "CALL_CLOSED");
    assert!(lamp.comes_to(shows, LIMIT), "{:?}", lamp.shows());
}

#[test]
fn s_23_one_touch_closes_for_the_next_call_its_lamp_follows_and_the_running_call_goes_on() {
    // Open at any hour, but for the key.
    let open = ("mode = \"schedule\"", "mode = \"ring\"");
    let mut server = office_of_today("night", &[open]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    let mut lamp = Lamp::watch(&server, "acme-802", "*28").expect("the lamp is told");
    outside.dial("0312340001").expect("the control link stands");
    wait(&mut a, "CALL_INCOMING");
    wait(&mut b, "CALL_INCOMING");
    a.answer().expect("the control link stands");
    wait(&mut outside, "CALL_ESTABLISHED");
    wait(&mut b, "CALL_CLOSED");

    presses(&mut b, &mut lamp, Shows::Lit);
    assert!(a.wait("CALL_CLOSED", Duration::from_secs(1)).is_none(), "the call goes on");
    outside.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    wait(&mut outside, "CALL_CLOSED");
    let rung = [incoming(&mut a), incoming(&mut b)];
    let before = outside.heard().expect("a recording").seconds();
    outside.dial("0312340001").expect("the control link stands");
    let closed = outside.wait("CALL_CLOSED", Duration::from_secs(40));
    assert!(closed.is_some(), "the announcement does not end:\n{}", outside.log());
    let file = source_root().join("conf/prompts/ja/closed.wav");
    let prompt = Sound::read_wav(&file).expect("the prompt is in the tree");
    let heard = outside.heard().expect("a recording").part(before, f64::MAX);
    let (likeness, _) = heard.likeness(&prompt.part(0.0, 2.5));
    println!("the office is closed: likeness {likeness:.3}");
    assert!(likeness >= 0.9, "likeness {likeness:.3}");
    assert_eq!([incoming(&mut a), incoming(&mut b)], rung, "no phone rings");

    // The key and its lamp outlive a kill.
    let told = lamp.told();
    server.kill().expect("it ran");
    server.run().expect("it starts again");
    let limit = Duration::from_secs(20);
    let again = wait_for(limit, || (lamp.told() > told).then_some(()));
    assert!(again.is_some(), "the lamp is not told again");
    assert_eq!(lamp.shows().0, Shows::Lit, "{:?}", lamp.shows());
    presses(&mut b, &mut lamp, Shows::Dark);
    outside.dial("0312340001").expect("the control link stands");
    wait(&mut a, "CALL_INCOMING");
    outside.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    no_call_is_left(&server);
}
