//! Many offices in one server, each a little different from the others, with the stations that are
//! its phones and its carrier.

use std::fs;
use std::io;

use koukan_e2e::ear;
use koukan_e2e::ports::free_port;
use koukan_e2e::server::{PASSWORD, Server, binary, source_root, write_secret};
use koukan_e2e::stations::{Place, Stations};

/// The plan of every office, with what differs left open.
const PLAN: &str = include_str!("../data/simulated.toml");

/// The devices of an office, by their names in the plan.
pub(crate) const DEVICES: [char; 6] = ['A', 'B', 'C', 'D', 'E', 'F'];

/// Where the offices stand.
const ZONES: [&str; 5] =
    ["Asia/Tokyo", "America/New_York", "Europe/Berlin", "Asia/Tokyo", "Australia/Sydney"];

/// An office with its stations.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) id: String,
    /// In two digits.
    number: String,
    phones: Vec<Place>,
    pub(crate) carrier: Place,
    /// The phones that are registered.
    pub(crate) registered: [bool; DEVICES.len()],
}

impl Office {
    /// Its numbers: three and the toll-free one.
    pub(crate) fn did(&self, place: usize) -> String {
        match place {
            3 => format!("01201{}001", self.number),
            place => format!("0312{}000{}", self.number, place + 1),
        }
    }

    pub(crate) fn phone(&self, device: usize) -> Place {
        self.phones[device]
    }

    /// The device that a station is.
    pub(crate) fn device_at(&self, place: Place) -> Option<char> {
        let found = self.phones.iter().position(|phone| *phone == place)?;
        DEVICES.get(found).copied()
    }
}

/// A server with `count` offices, running.
pub(crate) fn start(count: usize) -> io::Result<(Server, Stations, Vec<Office>)> {
    let mut server = Server::unstarted("simulated")?;
    let mut stations = Stations::new(server.sip)?;
    let prompts = server.directory.join("prompts");
    ear::write_prompts(&source_root().join("conf/prompts"), &prompts)?;
    let mut offices = Vec::new();
    for index in 0..count {
        let (id, number) = (format!("t{index:02}"), format!("{index:02}"));
        let directory = server.directory.join("conf/tenants").join(&id);
        fs::create_dir_all(directory.join("secrets"))?;
        fs::create_dir_all(directory.join("sounds"))?;
        write_secret(&directory.join("secrets/phone"), PASSWORD)?;
        ear::write_own(&directory.join("sounds/ours.wav"))?;
        let port = free_port();
        fs::write(directory.join("office.toml"), plan(index, port))?;
        let users = (1..=DEVICES.len()).map(|device| format!("{id}-80{device}"));
        let phones = users.map(|user| stations.add(0, &user, PASSWORD));
        let phones = phones.collect::<io::Result<_>>()?;
        let carrier = stations.add(port, "carrier", "")?;
        let registered = [false; DEVICES.len()];
        offices.push(Office { id, number, phones, carrier, registered });
    }
    fs::write(server.directory.join("conf/koukan.toml"), configuration(&server)?)?;
    server.run()?;
    Ok((server, stations, offices))
}

fn configuration(server: &Server) -> io::Result<String> {
    let (first, _) = server.media_ports();
    Ok(format!(
        "[server]\ndata = \"{directory}/data\"\n\
         [sip]\nlisten = [\"udp:{sip}\"]\n\
         [media]\nworkers = 1\nports = \"{first}-{last}\"\n\
         prompts = \"{directory}/prompts\"\nrtp_timeout = \"10m\"\n\
         [control]\nsocket = \"{directory}/data/koukan.sock\"\n\
         [module.announcements]\npath = \"{announcements}\"\nrole = \"announcements\"\n\
         grants = [\"call\"]\n\
         [module.voicemail]\npath = \"{voicemail}\"\nrole = \"voicemail\"\n\
         grants = [\"call\", \"store\", \"mail\"]\n\
         [defence]\ntrusted = [\"127.0.0.0/8\"]\n[limits]\noverload_ms = 10000\n\
         [log]\nlevel = \"warn\"\n[test]\nclock = true\n",
        directory = server.directory.display(),
        sip = server.sip,
        last = first + 2_000,
        announcements = binary("libannouncements.so")?.display(),
        voicemail = binary("libvoicemail.so")?.display(),
    ))
}

/// What makes an office another one than its neighbours.
fn plan(index: usize, port: u16) -> String {
    let pick = |choices: &[&str]| choices[index % choices.len()].to_owned();
    let words = [
        ("ID", format!("t{index:02}")),
        ("NN", format!("{index:02}")),
        ("ZONE", pick(&ZONES)),
        ("LANGUAGE", pick(&["ja", "en"])),
        ("CHANNELS", pick(&["\"per-id\"", "1", "\"per-id\"", "2"])),
        ("PRIVACY", pick(&["false", "false", "true"])),
        ("STEP", pick(&["0s", "never", "1s"])),
        ("STRATEGY", pick(&["strategy = \"all\"", "strategy = \"sequence\", step = \"1s\""])),
        (
            "FULL",
            pick(&[
                "busy_announcement = true",
                "voicemail = { box = \"main\", after = \"5s\" }",
                "no_answer = { forward = \"0455550008\" }",
            ]),
        ),
        ("BLOCK", pick(&["true", "false"])),
        ("TEMPLATE", pick(&["1", "2", "3"])),
        ("PORT", port.to_string()),
        ("PROFILE", pick(&["jp-ngn", "jp-ngn", "e164", "interconnect"])),
        (
            "LIMITS",
            pick(&[
                "",
                "[limits]\noutside_concurrent = 1\nforwards_per_number = 1",
                "[limits]\noutside_yen_per_day = \"150\"\noutside_minutes_per_day = 30",
                "",
                "[limits]\ntollfree_concurrent = 1\n\
                 night = { from = \"22:00\", to = \"06:00\", outside_concurrent = 0 }",
            ]),
        ),
    ];
    words.into_iter().fold(PLAN.to_owned(), |text, (word, value)| {
        let word = format!("@{word}@");
        assert!(text.contains(&word), "the plan has no {word}");
        text.replace(&word, &value)
    })
}
