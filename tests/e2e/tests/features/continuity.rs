//! An outside party that is transferred from phone to phone hears one stream: its own RTP endpoint
//! sees one SSRC, every sequence number, and timestamps that go on, whatever the phones speak.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::baresip::{Baresip, PhoneSpec};
use koukan_e2e::client::Client as _;
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::party::{CALLER, Party};
use koukan_e2e::pjsua::Pjsua;
use koukan_e2e::server::Server;
use koukan_e2e::sipp::{Sipp, SippSpec};
use koukan_e2e::wait::wait_for;

use super::{LIMIT, office};

/// A phone of either kind.
enum Desk {
    Baresip(Baresip),
    Pjsua(Pjsua),
}

impl Desk {
    fn client(&mut self) -> &mut dyn koukan_e2e::client::Client {
        match self {
            Self::Baresip(phone) => phone,
            Self::Pjsua(phone) => phone,
        }
    }

    fn take(&mut self) {
        let phone = self.client();
        assert!(phone.rings(LIMIT), "it does not ring");
        // What rings may be told of twice, the second time of a call that is over.
        let taken = wait_for(LIMIT, || phone.answer().ok());
        assert!(taken.is_some(), "it cannot be answered");
        assert!(phone.connects(LIMIT), "it is not connected");
    }

    fn transfer(&mut self, number: &str) {
        match self {
            Self::Baresip(phone) => phone.transfer(number),
            Self::Pjsua(phone) => phone.transfer(number),
        }
        .expect("the phone can be driven");
    }
}

/// The office with G.722 beside the others.
fn wideband(name: &str) -> Server {
    let mut server = office(name, &[]);
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("there is a configuration");
    let codecs = "[media]\ncodecs = [\"pcmu\", \"pcma\", \"g722\"]\n";
    fs::write(&file, text.replace("[media]\n", codecs)).expect("it can be written");
    server.kill().expect("it runs");
    server.run().expect("it starts again");
    server
}

#[test]
fn ten_transfers_between_phones_of_unlike_codecs_are_one_stream_to_the_outside() {
    let server = wideband("continuity");
    let spec = |name, codecs| PhoneSpec { codecs, ..phone_spec(&server, name) };
    let baresip = |name: char, codecs| {
        let started = phone(&server, &format!("phone-{name}"), &spec(name, codecs));
        Desk::Baresip(started.expect("it registers"))
    };
    let mut wide = Pjsua::start(&server.directory.join("pjsua"), &spec('D', &["G722"]))
        .expect("PJSUA2 starts");
    assert!(wide.registered(Duration::from_secs(20)), "it registers");
    let mut desks = [
        ("804", Desk::Pjsua(wide)),
        ("802", baresip('B', &["PCMA"])),
        ("803", baresip('C', &["PCMU"])),
    ];
    let party = Party::start().expect("a port is free");
    let scenario = CALLER.replace("MEDIA_PORT", &party.port().to_string());
    let trunk = server.trunk_port;
    let caller = SippSpec {
        scenario: &scenario,
        server: server.sip,
        port: trunk,
        service: "0312340003",
        calls: 1,
    };
    let more = ["-timeout", "180s", "-trace_msg"];
    let mut sipp = Sipp::start_with(&server.directory.join("sipp"), &caller, &more)
        .expect("sipp is installed");
    desks[0].1.take();
    for transfer in 0..10 {
        sleep(Duration::from_secs(1));
        let next = (transfer + 1) % desks.len();
        let number = desks[next].0;
        desks[transfer % desks.len()].1.transfer(number);
        desks[next].1.take();
        assert!(desks[transfer % desks.len()].1.client().clears(LIMIT), "transfer {transfer}");
    }
    sleep(Duration::from_secs(1));
    desks[10 % 3].1.client().hang_up().expect("the phone can be driven");
    assert!(sipp.succeeded(Duration::from_secs(10)), "the caller is released");
    let heard = party.stop().expect("the endpoint ran");
    println!("{}", heard.checked(500).expect("one stream without a gap"));
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
