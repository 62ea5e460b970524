//! The health check (N-18): it calls with sound through the server itself and names the hop that
//! fails; and what operators see of queues whose agents come and go.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::{office, ring, wait};

fn hops(outcome: &Value) -> Vec<&str> {
    let hops = outcome.get("hops").and_then(Value::as_array).map(Vec::as_slice);
    hops.unwrap_or_default().iter().filter_map(|hop| hop.get("hop")?.as_str()).collect()
}

#[test]
fn the_health_check_hears_itself_and_names_the_hop_that_fails() {
    let server = office("selftest", &[]);
    let outcome = server.ctl(&["selftest", "acme"]).expect("every hop is well");
    println!("{outcome:#}");
    assert_eq!(outcome["ok"], true, "{outcome}");
    let all =
        ["listener", "account", "plan", "media from the server", "sound", "hang-up", "record"];
    assert_eq!(hops(&outcome), all);

    let fails = |arguments: &[&str], hop: &str| {
        let words = server.ctl(arguments).expect_err("a hop fails").to_string();
        assert!(words.contains(&format!("{hop}: failed")), "{words}");
    };
    fails(&["selftest", "acme", "--number", "899"], "plan");
    // An extension that speaks, and does not let who calls hear itself.
    fails(&["selftest", "acme", "--number", "601", "--device", "B"], "sound");
    let words = server.ctl(&["selftest", "nobody"]).expect_err("there is none").to_string();
    assert!(words.contains("no such tenant or device"), "{words}");
    // The server has another secret than the file now says.
    let secret = server.directory.join("conf/tenants/acme/secrets/A");
    fs::write(&secret, "another-one").expect("the secret can be written");
    fails(&["selftest", "acme"], "account");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn an_agent_logs_out_by_a_code_and_operators_see_who_waits_and_for_whom() {
    let server = office("agents", &[]);
    let (mut a, mut b) = (ring(&server, 'A', 440.0), ring(&server, 'B', 880.0));
    let mut c = ring(&server, 'C', 1300.0);
    let states = || -> Vec<String> {
        let queues = server.ctl(&["queues"]).expect("the server answers");
        let agents = queues[0]["agents"].as_array().cloned().unwrap_or_default();
        let text = |agent: &Value, key: &str| agent[key].as_str().unwrap_or_default().to_owned();
        agents.iter().map(|a| format!("{} {}", text(a, "device"), text(a, "state"))).collect()
    };
    assert_eq!(states(), ["B free", "C free"]);
    b.dial("*45").expect("the control link stands");
    wait(&mut b, "CALL_ESTABLISHED");
    wait(&mut b, "CALL_CLOSED");
    assert_eq!(states(), ["B away", "C free"]);
    a.dial("680").expect("the control link stands");
    wait(&mut c, "CALL_INCOMING");
    let queues = server.ctl(&["queues"]).expect("the server answers");
    assert_eq!(queues[0]["callers"][0]["caller"], "801", "{queues}");
    assert_eq!(queues[0]["callers"][0]["rings"][0], "C", "{queues}");
    assert!(!b.saw("CALL_INCOMING"), "who has logged out is not called");
    c.answer().expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    a.hang_up().expect("the control link stands");
    wait(&mut c, "CALL_CLOSED");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
