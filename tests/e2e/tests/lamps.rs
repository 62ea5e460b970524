//! The storm of 5,000 lamps (RFC 4235) of the benches against the server as it was built for the
//! tests: every watcher ends right and versions only rise, however fast it is.

use std::process::Command;

use koukan_e2e::server::binary;

#[test]
fn five_thousand_lamps_that_change_at_once_all_end_right() {
    let bench = binary("koukan-bench").expect("the benches are built");
    let output = Command::new(&bench).arg("lamps").output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", bench.display()));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
