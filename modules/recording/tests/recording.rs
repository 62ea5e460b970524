//! The module on a fake host: each sample in its place, over gaps, hand-overs and a full disk.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

use koukan_sdk::fake::TapRun;
use koukan_sdk::{Encoding, TapEnd, Tapped};
use recording::Recording;

fn tapped() -> Tapped<'static> {
    Tapped { tenant: "acme", sample_rate: 8_000, channels: 2, ..Tapped::default() }
}

fn run(first: u64) -> TapRun<Recording> {
    TapRun::open("{}", &Tapped { first, ..tapped() }).unwrap()
}

#[test]
fn both_directions_stand_beside_each_other_in_mu_law() {
    let mut run = run(0);
    run.give(&[0, 32_767, -32_768, 0]).unwrap();
    assert_eq!(run.encoding(), Some(Encoding::Ulaw));
    assert_eq!(run.written(), [0xff, 0x80, 0x00, 0xff]);
    run.close(TapEnd::Over);
}

#[test]
fn what_was_not_given_is_silence_in_its_place() {
    let mut run = run(0);
    run.give(&[32_767; 4]).unwrap();
    run.skip(3);
    run.give(&[32_767; 2]).unwrap();
    assert_eq!(run.written()[4..], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0x80]);
    run.close(TapEnd::Over);
}

#[test]
fn another_build_goes_on_where_the_one_before_ended() {
    let mut run = run(8_000);
    run.give(&[0; 160]).unwrap();
    assert_eq!(run.written().len(), 160, "nothing is put before it");
    run.close(TapEnd::PassedOn);
}

#[test]
fn a_full_disk_ends_it_and_what_was_written_is_kept() {
    let mut run = run(0);
    run.give(&[0; 160]).unwrap();
    run.set_full(true);
    assert!(run.give(&[0; 160]).is_err());
    assert_eq!(run.written().len(), 160);
    run.close(TapEnd::Failed(koukan_sdk::status::FAILED));
}

#[test]
fn options_that_it_does_not_have_are_refused() {
    assert!(TapRun::<Recording>::open("{\"codec\":\"opus\"}", &tapped()).is_err());
}
