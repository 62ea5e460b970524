//! A phone of another office on the same server, which knows everything of a call here but its
//! rights: it takes no ringing and no parked call, watches no lamp, replaces no party and transfers
//! nobody in. And callers whom an office has blocked.

use std::fs;
use std::time::Duration;

use koukan_e2e::caller::Caller;
use koukan_e2e::office::{carrier, phone, phone_spec, user};
use koukan_e2e::ports::free_port;
use koukan_e2e::server::{PASSWORD, Server};
use koukan_e2e::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(10);

/// The sample's office with a park, and beside it a second one with the same extensions.
fn two_offices() -> Server {
    let server = Server::start("tenants").expect("the server starts");
    let acme = server.directory.join("conf/tenants/acme");
    let beta = server.directory.join("conf/tenants/beta");
    fs::remove_file(acme.join("expect.toml")).expect("the sample has expectations");
    let text = fs::read_to_string(acme.join("office.toml")).expect("the sample");
    let plan = text.split_once("\n[[expect]]").map_or(text.as_str(), |(plan, _)| plan);
    let features = "\n[park]\nslots = { first = \"8101\", count = 3 }\n\
                    [extension.park]\ndial = \"700\"\ndo = \"park\"\n\
                    [feature_codes]\npickup = \"**\"\n";
    let plan = format!("{plan}{features}");
    fs::write(acme.join("office.toml"), &plan).expect("it is written");
    let other = plan
        .replace("id = \"acme\"", "id = \"beta\"")
        .replace("03123400", "03987600")
        .replace("0120000001", "0120000002")
        .replace(
            &format!("127.0.0.1:{}", server.trunk_port),
            &format!("127.0.0.1:{}", free_port()),
        );
    fs::create_dir_all(beta.join("secrets")).expect("a directory");
    fs::write(beta.join("office.toml"), other).expect("it is written");
    for device in ["A", "B", "C", "D", "E", "F"] {
        let secret = format!("secrets/{device}");
        fs::copy(acme.join(&secret), beta.join(&secret)).expect("a secret");
    }
    let report = server.ctl(&["reload"]).expect("both are in order");
    println!("{report}");
    server
}

#[test]
fn a_phone_of_another_office_gets_at_nothing_of_a_call_here() {
    let server = two_offices();
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut outside = carrier(&server, "0455550001", 440.0).expect("the carrier starts");
    outside.dial("0312340002").expect("the control link stands");
    a.wait("CALL_INCOMING", LIMIT).expect("A rings");
    let stranger =
        || Caller::new(server.sip, "beta-801", PASSWORD, 0).expect("a phone of the other office");
    let call = |stranger: &mut Caller, number: &str, more: &str| {
        let answer = stranger.ask("INVITE", number, more).expect("an answer");
        println!("INVITE {number} {more:?}: {answer}");
        answer
    };
    // While it rings: pickup by code.
    let status = call(&mut stranger(), "**801", "");
    assert!((400..700).contains(&status), "pickup: {status}");
    assert!(a.history.iter().all(|event| event["type"] != "CALL_CLOSED"), "A rings on");
    a.answer().expect("the control link stands");
    outside.wait("CALL_ESTABLISHED", LIMIT).expect("they talk");
    let stage = || {
        let calls = server.ctl(&["calls"]).expect("an answer");
        let acme = calls.as_array().into_iter().flatten().find(|call| call["tenant"] == "acme");
        acme.map(|call| call["stage"].as_str().unwrap_or_default().to_owned())
    };
    let bridged = || (stage().as_deref() == Some("bridged")).then_some(());
    wait_for(LIMIT, bridged).expect("the call is bridged");
    // Replaces with the identifiers of the call's own dialog, as the wire shows them to nobody.
    let trace = server.ctl(&["trace"]).expect("what was said");
    let answer = trace
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["message"].as_str())
        .find(|text| {
            text.starts_with("SIP/2.0 200") && text.contains("CSeq: ") && {
                text.lines().any(|line| line.starts_with("CSeq:") && line.ends_with("INVITE"))
            }
        })
        .expect("an answered INVITE")
        .to_owned();
    let line = |name: &str| {
        let line = answer.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let tag = |name: &str| {
        let value = line(name);
        value.split("tag=").nth(1).unwrap_or_default().split(';').next().unwrap_or("").to_owned()
    };
    for (from, to) in [("From:", "To:"), ("To:", "From:")] {
        let replaces = format!(
            "Replaces: {};from-tag={};to-tag={}\r\nRequire: replaces\r\n",
            line("Call-ID:"),
            tag(from),
            tag(to)
        );
        let status = call(&mut stranger(), "801", &replaces);
        assert!((400..700).contains(&status), "Replaces: {status}");
    }
    // Lamps of devices, slots and the presence of anybody.
    for target in ["acme-801", "acme-8101", "801"] {
        let more = "Event: dialog\r\nExpires: 300\r\nAccept: application/dialog-info+xml\r\n";
        let status = stranger().ask("SUBSCRIBE", target, more).expect("an answer");
        println!("SUBSCRIBE {target}: {status}");
        if target == "801" {
            continue;
        }
        assert!((400..700).contains(&status), "SUBSCRIBE {target}: {status}");
    }
    // A REFER outside a call, and a number of the other office as if it were one's own.
    let more = "Refer-To: <sip:acme-801@127.0.0.1>\r\n";
    let status = stranger().ask("REFER", "acme-801", more).expect("an answer");
    assert!((400..700).contains(&status), "REFER: {status}");
    for number in ["acme-801", "8101"] {
        let status = call(&mut stranger(), number, "");
        assert!((400..700).contains(&status), "{number}: {status}");
    }
    assert_eq!(stage().as_deref(), Some("bridged"), "the call goes on");
    // Parked by its own phone: the same slot of the other office is empty.
    a.hang_up().expect("the control link stands");
    outside.wait("CALL_CLOSED", LIMIT).expect("it is over");
    let wrong = server.ctl(&["cdrs"]).expect("an answer");
    let acme = wrong.as_array().into_iter().flatten().filter(|cdr| cdr["tenant"] == "acme");
    let parties: Vec<String> = acme.map(|cdr| cdr["legs"].to_string()).collect();
    assert_eq!(parties.len(), 1, "no call of the other office came here: {parties:?}");
    let own = [user('A'), user('B')];
    assert!(!own.is_empty() && !parties[0].contains("beta"), "{parties:?}");
}

#[test]
fn a_blocked_caller_hears_that_it_is_refused_and_rings_nowhere() {
    let server = Server::start("blocked").expect("the server starts");
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let did = "did = \"0312340002\"";
    let text = text.replace(did, &format!("{did}\nblocked = [\"0455550001\"]"));
    fs::write(&file, text).expect("it is written");
    fs::remove_file(file.with_file_name("expect.toml")).expect("the sample has expectations");
    server.ctl(&["reload", "acme"]).expect("it is in order");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut blocked =
        Caller::new(server.sip, "0455550001", "", server.trunk_port).expect("the carrier's port");
    let status = blocked.ask("INVITE", "0312340002", "").expect("an answer");
    assert_eq!(status, 603);
    drop(blocked);
    assert!(a.wait("CALL_INCOMING", Duration::from_secs(1)).is_none(), "A does not ring");
    let cdrs = server.ctl(&["cdrs"]).expect("an answer");
    assert_eq!((&cdrs[0]["status"], &cdrs[0]["cause"]), (&603.into(), &"plan".into()), "{cdrs}");
    let mut other = carrier(&server, "0455550002", 440.0).expect("the carrier starts");
    other.dial("0312340002").expect("the control link stands");
    a.wait("CALL_INCOMING", LIMIT).expect("anybody else rings");
}
