//! A supervisor with real phones: it hears both parties, who hear it when it wants to be heard.

use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::baresip::TONE_DBFS;

use super::{heard_last, office, ring, talking, wait};

#[test]
fn a_supervisor_hears_both_and_is_heard_by_whom_it_wants_to_be() {
    let place = "[device.C]\n";
    let supervises = "[device.C]\nsupervises = [\"B\"]\n";
    let server = office("supervise", &[(place, supervises)]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut c = ring(&server, 'C', 1300.0);
    // Who hears the supervisor: the caller, the colleague.
    let codes = [("*81802", false, false), ("*82802", false, true), ("*83802", true, true)];
    for (code, by_caller, by_colleague) in codes {
        talking(&mut a, &mut b, "802");
        sleep(Duration::from_secs(1));
        c.dial(code).expect("the control link stands");
        wait(&mut c, "CALL_ESTABLISHED");
        sleep(Duration::from_secs(4));
        c.hang_up().expect("the control link stands");
        b.hang_up().expect("the control link stands");
        wait(&mut a, "CALL_CLOSED");
        let told = heard_last(&c, 2.5);
        let (caller, colleague) = (told.steady_dbfs(440.0), told.steady_dbfs(880.0));
        println!("{code}: the supervisor hears {caller:.1} and {colleague:.1} dBFS");
        assert!((caller - TONE_DBFS).abs() < 1.5 && (colleague - TONE_DBFS).abs() < 1.5);
        for (who, phone, heard) in [("caller", &a, by_caller), ("colleague", &b, by_colleague)] {
            let level = heard_last(phone, 2.5).steady_dbfs(1300.0);
            println!("{code}: the {who} hears the supervisor at {level:.1} dBFS");
            let right = if heard { (level - TONE_DBFS).abs() < 1.5 } else { level < -45.0 };
            assert!(right, "the {who} hears the supervisor at {level:.1} dBFS");
        }
        server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    }
}
