//! Modules' own applications in the dialplan: their keys are checked where the admin wrote them,
//! and a phone that dials them is served, by a module in C too.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the tests of the whole server use the rest")]
mod office;

use std::fs;
use std::path::Path;
use std::process::Command;

use koukan_sip::{Header, Transport};
use office::{Office, Phone, ask, json, sip_address, until};

/// An office with the greeter in C, and one extension.
fn office(extension: &str) -> Office {
    let office = Office::new("actions");
    let abi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi");
    let module = office.directory.join("greeter.so");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-I"])
        .arg(abi.join("include"))
        .arg("-o")
        .arg(&module)
        .arg(abi.join("examples/greeter.c"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    office.configure(&format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmin_expires = \"1s\"\n[media]\nworkers = 1\n\
         [module.greeter]\npath = \"{}\"\ngrants = [\"call\"]\n",
        module.display()
    ));
    let file = office.conf().join("tenants/acme/office.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, format!("{text}{extension}")).unwrap();
    office
}

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\n";

#[test]
fn a_phone_that_dials_a_module_is_answered_by_it() {
    let office = office(
        "[extension.greeting]\ndial = \"610\"\n\
         do = { module = \"greeter\", language = \"en\", on_error = { reject = 486 } }\n",
    );
    let server = office.start();
    assert_eq!(server.report().errors, 0, "{:?}", server.report().findings);
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    let answer = phone.request("INVITE", "610", "Content-Type: application/sdp\r\n", OFFER);
    assert_eq!(answer.status(), Some(200));
    let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
    phone.acknowledge(&answer, "610", &call, phone.cseq());
    let listed = json(server.socket(), "/v1/modules");
    assert_eq!((&listed[0]["instances"], &listed[0]["starts"]), (&1.into(), &1.into()));
    let calls = json(server.socket(), "/v1/calls");
    let id = calls[0]["call"].as_str().unwrap();
    let why = json(server.socket(), &format!("/v1/why/{id}"));
    let said = why["lines"].as_array().unwrap().iter().filter_map(|line| line["text"].as_str());
    let said: Vec<&str> = said.collect();
    assert!(said.iter().any(|line| line.contains("module greeter runs its application greet")));
    let (status, _) = ask(server.socket(), "DELETE", &format!("/v1/calls/{id}"), "");
    assert_eq!(status, 204);
    until("the application is gone", || {
        (json(server.socket(), "/v1/modules")[0]["instances"] == 0).then_some(())
    });
}

#[test]
fn without_its_module_a_call_goes_on_at_its_on_error() {
    let office = office(
        "[extension.greeting]\ndial = \"610\"\n\
         do = { module = \"greeter\", on_error = { reject = 486 } }\n",
    );
    let server = office.start();
    assert_eq!(ask(server.socket(), "DELETE", "/v1/modules/greeter", "").0, 200);
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    let answer = phone.request("INVITE", "610", "Content-Type: application/sdp\r\n", OFFER);
    assert_eq!(answer.status(), Some(486));
    let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
    phone.acknowledge(&answer, "610", &call, phone.cseq());
}

#[test]
fn what_a_module_does_not_take_is_named_where_it_is_written() {
    let wrong = "[extension.a]\ndial = \"610\"\n\
                 do = { module = \"greeter\", language = \"fr\", langauge = \"en\" }\n\
                 [extension.b]\ndial = \"611\"\ndo = { module = \"greter\" }\n\
                 [extension.c]\ndial = \"612\"\ndo = { module = \"greeter\", app = \"great\" }\n";
    let office = office(wrong);
    let outcome = koukan::plans::load(&office.conf(), "koukan", jiff::Timestamp::UNIX_EPOCH);
    let found = outcome.report.findings.join("\n");
    let line = fs::read_to_string(office.conf().join("tenants/acme/office.toml")).unwrap();
    let line = line.lines().position(|line| line == "[extension.a]").unwrap() + 3;
    for (line, column, words) in [
        (line, 39, "extension.a.do.language cannot be \"fr\""),
        (line, 45, "unknown key `langauge` in extension.a.do; did you mean \"language\"?"),
        (line + 3, 17, "unknown module \"greter\"; did you mean \"greeter\"?"),
        (line + 6, 34, "has no application \"great\"; did you mean \"greet\"?"),
    ] {
        let flat = found.replace('\n', " ");
        assert!(found.contains(&format!("office.toml:{line}:{column}  ")), "{words}\n{found}");
        let parts: Vec<&str> = words.split("; ").collect();
        assert!(parts.iter().all(|part| flat.contains(part)), "{words}\n{found}");
    }
    assert_eq!(outcome.report.errors, 4, "{found}");
}
