//! A queue with real phones: the caller hears its place and music, an agent who refuses is passed
//! over, the next one talks.

use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::server::source_root;

use super::{assert_tone, office, ring, wait};

#[test]
fn a_caller_hears_its_place_and_the_agent_who_takes_it() {
    let server = office("queue", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut c = ring(&server, 'C', 1300.0);
    a.dial("680").expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    wait(&mut b, "CALL_INCOMING");
    sleep(Duration::from_secs(8));
    b.hang_up().expect("the control link stands");
    wait(&mut c, "CALL_INCOMING");
    assert!(c.log().contains("(help)"), "the queue is not shown");
    c.answer().expect("the control link stands");
    wait(&mut c, "CALL_ESTABLISHED");
    sleep(Duration::from_secs(3));
    c.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert_tone(&a, 2.0, 1300.0);
    assert_tone(&c, 2.0, 440.0);
    let heard = a.heard().expect("A's recording");
    let file = source_root().join("conf/prompts/ja/queue-wait.wav");
    let words = Sound::read_wav(&file).expect("the prompt");
    let (likeness, at) = heard.part(0.0, 8.0).likeness(&words);
    println!("the end of the place is heard at {at:.2} s, likeness {likeness:.3}");
    assert!(likeness > 0.9, "the place was not spoken");
    let music = heard.part(at + words.seconds() + 0.5, at + words.seconds() + 2.5);
    assert!(music.rms_dbfs() > -40.0, "no music behind it: {:.1} dBFS", music.rms_dbfs());
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
