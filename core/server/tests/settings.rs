//! Live settings and reloads of a whole server in this process, through its API.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod office;

use std::fs;
use std::path::Path;

use koukan_sip::{Header, Transport};
use office::{Office, Phone, ask, json, sip_address, wait_empty};
use serde_json::{Value, json};

const MAIN: &str = "/v1/tenants/acme/settings/main";

fn put(socket: &Path, key: &str, value: &str) -> (u16, Value) {
    let body = json!({ "value": value, "by": "tester" }).to_string();
    let (status, answer) = ask(socket, "PUT", &format!("/v1/tenants/acme/settings/{key}"), &body);
    (status, serde_json::from_str(&answer).unwrap())
}

fn setting(socket: &Path, key: &str) -> Value {
    json(socket, &format!("/v1/tenants/acme/settings/{key}"))
}

#[test]
fn a_setting_is_flipped_listed_kept_over_a_restart_and_given_back() {
    let office = Office::new("settings");
    let server = office.start();
    let socket = server.socket().to_owned();
    let before = setting(&socket, "main.closed");
    assert_eq!((&before["value"], &before["by"]), (&json!("off"), &Value::Null));
    let (status, written) = put(&socket, "main.closed", "on");
    assert_eq!(
        (status, written[0]["key"].as_str()),
        (200, Some("number.main.closed")),
        "{written}"
    );
    assert_eq!(put(&socket, "A.dnd", "on").0, 200);
    server.stop();

    let server = office.start();
    let listed = json(&socket, "/v1/tenants/acme/settings");
    assert_eq!(listed["aside"], json!([]));
    let keys: Vec<&str> =
        listed["settings"].as_array().unwrap().iter().map(|s| s["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        [
            "number.main.mode",
            "number.main.forward_to",
            "number.main.closed",
            "device.A.caller_id",
            "device.A.forward_always",
            "device.A.forward_busy",
            "device.A.forward_no_answer",
            "device.A.forward_unreachable",
            "device.A.dnd",
            "device.B.caller_id",
            "device.B.forward_always",
            "device.B.forward_busy",
            "device.B.forward_no_answer",
            "device.B.forward_unreachable",
            "device.B.dnd",
        ]
    );
    let mode = &listed["settings"][0];
    assert!(mode["place"].as_str().unwrap().ends_with("acme/office.toml:18"), "{mode}");
    let closed = setting(&socket, "number.main.closed");
    assert_eq!((&closed["value"], &closed["by"]), (&json!("on"), &json!("tester")));
    assert_eq!(closed["default"], "off");
    let (status, given_back) = ask(&socket, "DELETE", &format!("{MAIN}.closed?by=me"), "");
    assert!(status == 200 && given_back.contains("\"by\":\"me\""), "{given_back}");
    let history = json(&socket, "/v1/tenants/acme/setting-history");
    let told: Vec<(&str, &str, Option<&str>)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["key"].as_str().unwrap(), c["by"].as_str().unwrap(), c["value"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("number.main.closed", "me", None),
            ("device.A.dnd", "tester", Some("on")),
            ("number.main.closed", "tester", Some("on")),
        ]
    );
    drop(server);
}

#[test]
fn what_cannot_be_set_is_refused_with_the_reason() {
    let office = Office::new("refused");
    let server = office.start();
    let socket = server.socket();
    let cases = [
        ("nobody.closed", "on", 404, "there is no number \"nobody\""),
        ("main.colour", "red", 404, "there is no setting \"main.colour\""),
        ("main.closed", "perhaps", 422, "expected on or off"),
        ("main.off_hours", "on", 403, "has no option \"off_hours\""),
        ("A.caller_id", "nobody", 404, "there is no number \"nobody\""),
    ];
    for (key, value, expected, words) in cases {
        let (status, answer) = put(socket, key, value);
        assert_eq!(status, expected, "{key}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{key}: {answer}");
    }
    // S-27: before the office is verified.
    let file = office.conf().join("tenants/acme/office.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("verified = true", "verified = false")).unwrap();
    assert_eq!(ask(socket, "POST", "/v1/reload/acme", "").0, 200);
    let (status, answer) = put(socket, "main.off_hours", "on");
    assert_eq!(status, 403);
    assert!(answer["error"].as_str().unwrap().contains("before the office is verified"));
    assert_eq!(ask(socket, "GET", "/v1/tenants/nobody/settings", "").0, 404);
    assert_eq!(ask(socket, "PUT", &format!("{MAIN}.closed"), "{\"value\": 1}").0, 422);
    let long = json!({ "value": "on", "by": "x".repeat(65) }).to_string();
    assert_eq!(ask(socket, "PUT", &format!("{MAIN}.closed"), &long).0, 400);
    assert_eq!(json(socket, "/v1/tenants/acme/setting-history"), json!([]));
}

/// A second office beside the first.
fn second(office: &Office, did: &str) -> std::path::PathBuf {
    let directory = office.conf().join("tenants/second");
    fs::create_dir_all(directory.join("secrets")).unwrap();
    for device in ["A", "B"] {
        let from = office.conf().join("tenants/acme/secrets").join(device);
        fs::copy(from, directory.join("secrets").join(device)).unwrap();
    }
    let text = fs::read_to_string(office.conf().join("tenants/acme/office.toml")).unwrap();
    let text = text.replace("\"acme\"", "\"two\"").replace("0312340001", did);
    let file = directory.join("office.toml");
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn one_office_is_read_again_and_the_generation_before_is_brought_back() {
    let office = Office::new("generations");
    fs::write(
        office.conf().join("trunks.toml"),
        "schema = 1\n[trunk.carrier]\naddress = \"127.0.0.1:5999\"\n",
    )
    .unwrap();
    let server = office.start();
    let socket = server.socket();
    let file = second(&office, "0312340009");
    let post = |path: &str| {
        let (status, answer) = ask(socket, "POST", path, "");
        (status, serde_json::from_str::<Value>(&answer).unwrap())
    };
    assert_eq!(post("/v1/rollback").0, 409);
    assert_eq!(post("/v1/reload/nobody").0, 404);
    assert_eq!(post("/v1/reload/..").0, 404);
    // By its directory, since it has no id yet.
    let (status, joined) = post("/v1/reload/second");
    assert_eq!((status, &joined["tenants"]), (200, &json!(2)), "{joined}");
    assert!(joined["changes"].to_string().contains("0312340009"), "{joined}");
    // An error in another office's files is not looked at; one in its own changes nothing.
    fs::write(office.conf().join("tenants/acme/zz.toml"), "[extension.x\n").unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("mode = \"ring\"", "mode = \"rong\"")).unwrap();
    let (status, refused) = post("/v1/reload/two");
    assert_eq!(status, 422);
    assert!(refused["findings"][0].as_str().unwrap().contains("office.toml:18:8"), "{refused}");
    fs::write(&file, text.replace(r#"["A", "B"]"#, r#"["A"]"#)).unwrap();
    let put = json!({ "value": "main" }).to_string();
    assert_eq!(ask(socket, "PUT", "/v1/tenants/two/settings/B.caller_id", &put).0, 200);
    let (status, fewer) = post("/v1/reload/two");
    assert_eq!(status, 200, "{fewer}");
    let changes = fewer["changes"].to_string();
    assert!(changes.contains("now  rings A, then hangup"), "{changes}");
    assert_eq!(post("/v1/reload").0, 422, "the broken office is seen by a whole reload");

    let list = json(socket, "/v1/generations");
    let brought = |list: &Value| {
        let all = list.as_array().unwrap().iter();
        all.map(|one| (one["number"].as_u64().unwrap(), one["what"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let names = |list: &[(u64, &str)]| {
        list.iter().map(|(number, what)| (*number, (*what).to_owned())).collect::<Vec<_>>()
    };
    let all = names(&[(3, "reload two"), (2, "reload second"), (1, "start")]);
    assert_eq!(brought(&list), all);
    let (status, back) = post("/v1/rollback");
    assert_eq!(status, 200);
    assert!(back["changes"].to_string().contains("now  rings A, B, then hangup"), "{back}");
    // Before there was that office: its setting is kept aside, and named.
    let (status, back) = post("/v1/rollback");
    assert_eq!((status, &back["tenants"]), (200, &json!(1)));
    assert!(back["aside"].to_string().contains("two: device.B.caller_id = main"), "{back}");
    assert_eq!(brought(&json(socket, "/v1/generations")), names(&[(1, "start")]));
    let aside = json(socket, "/v1/tenants/two/settings");
    assert_eq!(aside["aside"][0]["key"], "device.B.caller_id");
    // A directory that is gone takes its office out.
    assert_eq!(post("/v1/reload/second").0, 200);
    assert_eq!(json(socket, "/v1/tenants/two/settings")["aside"], json!([]));
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
    let (status, gone) = post("/v1/reload/two");
    assert_eq!((status, &gone["tenants"]), (200, &json!(1)), "{gone}");
}

#[test]
fn reloads_at_once_come_one_after_the_other() {
    let office = Office::new("serial");
    let server = office.start();
    let socket = server.socket();
    std::thread::scope(|scope| {
        let reload = |path: &'static str| scope.spawn(move || ask(socket, "POST", path, "").0);
        let both = ["/v1/reload", "/v1/reload/acme", "/v1/reload", "/v1/reload/acme"].map(reload);
        assert!(both.into_iter().all(|reload| reload.join().unwrap() == 200));
    });
    let numbers: Vec<u64> = json(socket, "/v1/generations")
        .as_array()
        .unwrap()
        .iter()
        .map(|generation| generation["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}

#[test]
fn a_flipped_setting_holds_for_the_next_call() {
    let office = Office::new("next");
    let server = office.start();
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 40000 RTP/AVP 0\r\n";
    let mut a = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    assert_eq!(a.request("REGISTER", "acme-801", "Expires: 60\r\n", "").status(), Some(200));
    assert_eq!(put(server.socket(), "A.dnd", "on").0, 200);
    let mut b = Phone::new(sip_address(&server, Transport::Udp), "acme-802");
    let answer = b.request("INVITE", "801", "Content-Type: application/sdp\r\n", offer);
    assert_eq!(answer.status(), Some(486));
    let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
    b.acknowledge(&answer, "801", &call, b.cseq());
    wait_empty(server.socket());
}
