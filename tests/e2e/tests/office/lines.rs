//! An office of three IDs from outside: as many calls as IDs, the fixed prompt for one more, a line
//! that is free at once (S-07, S-08); desk phones before apps (S-12).

use std::fs;
use std::time::{Duration, Instant};

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::{Server, source_root};

const LIMIT: Duration = Duration::from_secs(8);
const NUMBER: &str = "0312340001";
const ALL: &str = "{ devices = [\"A\", \"B\", \"C\"], strategy = \"all\", timeout = \"40s\" }";

/// Two desk phones and an app; who is in a call is left alone.
fn plan(server: &Server, ring: &str) -> String {
    let device = |name: &str, ext: &str, kind: &str| {
        format!(
            "[device.{name}]\next = \"{ext}\"\nkind = \"{kind}\"\n\
             secret = \"file:secrets/{name}\"\nbusy = \"one\"\n"
        )
    };
    let devices = [("A", "801", "desk"), ("B", "802", "desk"), ("C", "803", "app")];
    let devices: String = devices.iter().map(|(name, ext, kind)| device(name, ext, kind)).collect();
    format!(
        "schema = 1\n[tenant]\nid = \"acme\"\ntimezone = \"Asia/Tokyo\"\nlanguage = \"ja\"\n\
         verified = true\nchannels = \"per-id\"\n{devices}\
         [number.main]\ndid = \"{NUMBER}\"\nrole = \"contract\"\nmode = \"ring\"\nring = {ring}\n\
         busy_announcement = true\n\
         [trunk.carrier]\naddress = \"127.0.0.1:{}\"\nprofile = \"jp-ngn\"\n\
         [class]\nfixed = {{ prefix = [\"03\", \"04\"], digits = 10 }}\n\
         [outbound]\ndefault_trunk = \"carrier\"\n",
        server.trunk_port
    )
}

fn plan_again(server: &Server, ring: &str) {
    let file = server.directory.join("conf/tenants/acme/office.toml");
    fs::write(file, plan(server, ring)).expect("the plan can be written");
    server.ctl(&["reload", "acme"]).expect("the plan is in order");
}

struct Lines {
    server: Server,
    outside: Baresip,
    /// A, B and C.
    phones: Vec<Baresip>,
}

fn lines(name: &str, ring: &str) -> Lines {
    let server = Server::start(name).expect("the server starts");
    // The sample's expectations speak of the sample.
    let expectations = server.directory.join("conf/tenants/acme/expect.toml");
    fs::write(expectations, "schema = 1\n").expect("the file can be written");
    plan_again(&server, ring);
    let start = |name: char| {
        let started = phone(&server, &format!("phone-{name}"), &phone_spec(&server, name));
        started.expect("it registers")
    };
    let phones = ['A', 'B', 'C'].map(start).into();
    let outside = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    Lines { server, outside, phones }
}

fn incoming(phone: &mut Baresip) -> usize {
    phone.saw("");
    phone.history.iter().filter(|event| event["type"] == "CALL_INCOMING").count()
}

#[expect(clippy::indexing_slicing, reason = "what is missing is a failed test")]
impl Lines {
    fn calls(&mut self) {
        self.outside.dial(NUMBER).expect("the control link stands");
    }

    fn hear(&mut self, index: usize, event: &str) {
        let phone = &mut self.phones[index];
        phone
            .wait(event, LIMIT)
            .unwrap_or_else(|| panic!("no {event} at {index}:\n{}", phone.log()));
    }

    fn outside_hears(&mut self, event: &str) -> String {
        let told = self.outside.wait(event, LIMIT);
        told.unwrap_or_else(|| panic!("no {event} outside:\n{}", self.outside.log()))
    }

    /// Outside calls, everybody who is free rings, the first of them answers.
    fn comes_in(&mut self, free: &[usize]) {
        self.calls();
        for index in free {
            self.hear(*index, "CALL_INCOMING");
        }
        self.phones[free[0]].answer().expect("the control link stands");
        self.outside_hears("CALL_ESTABLISHED");
        self.hear(free[0], "CALL_ESTABLISHED");
        for index in &free[1..] {
            self.hear(*index, "CALL_CLOSED");
        }
    }

    /// Every ID has a call: two that came in, and one that went out.
    fn fill(&mut self) {
        self.comes_in(&[0, 1, 2]);
        self.comes_in(&[1, 2]);
        self.phones[2].dial("0455550001").expect("the control link stands");
        self.outside_hears("CALL_INCOMING");
        self.outside.answer().expect("the control link stands");
        self.hear(2, "CALL_ESTABLISHED");
        self.outside_hears("CALL_ESTABLISHED");
        let status = self.server.ctl(&["status"]).expect("the server answers");
        assert_eq!(status["tables"]["calls"], 3, "{status}");
    }

    /// Who called hears the prompt to its end, and is refused as busy.
    fn is_told_busy(&mut self) {
        let closed = self.outside.wait("CALL_CLOSED", Duration::from_secs(30));
        let reason = closed.unwrap_or_else(|| panic!("{}", self.outside.log()));
        assert!(reason.contains("486"), "{reason}");
    }

    /// Calls that are up or ring; here each has a channel.
    fn taken(&self) -> u64 {
        let status = self.server.ctl(&["status"]).expect("the server answers");
        status["tables"]["calls"].as_u64().unwrap_or_default()
    }

    fn rung(&mut self) -> Vec<usize> {
        self.phones.iter_mut().map(incoming).collect()
    }
}

#[test]
fn s_07_calls_are_as_many_as_ids_and_whatever_ends_one_frees_its_channel_at_once() {
    let mut lines = lines("s07", ALL);
    lines.fill();
    lines.calls();
    lines.is_told_busy();
    // A party hangs up: the next call rings at once, at whom it has left.
    lines.phones[0].hang_up().expect("the control link stands");
    lines.outside_hears("CALL_CLOSED");
    lines.calls();
    lines.hear(0, "CALL_INCOMING");
    // The caller gives up while it rings, and calls again.
    lines.outside.hang_up().expect("the control link stands");
    lines.hear(0, "CALL_CLOSED");
    lines.outside_hears("CALL_CLOSED");
    // The phone refuses.
    lines.calls();
    lines.hear(0, "CALL_INCOMING");
    lines.phones[0].hang_up().expect("the control link stands");
    let reason = lines.outside_hears("CALL_CLOSED");
    assert!(reason.contains("486"), "{reason}");
    lines.comes_in(&[0]);
    assert_eq!(lines.taken(), 3, "all are taken again");
    // A phone without power frees its own, when its sound is missed.
    drop(lines.phones.remove(1));
    let closed = lines.outside.wait("CALL_CLOSED", Duration::from_secs(20));
    assert!(closed.is_some(), "a phone without power is noticed");
    assert_eq!(lines.taken(), 2, "two calls of three are left");
    // C calls outside beside its own call, by the channel that the dead phone had.
    lines.phones[1].dial("0455550001").expect("the control link stands");
    lines.outside_hears("CALL_INCOMING");
    lines.phones[1].hang_up().expect("the control link stands");
    for phone in &mut lines.phones {
        phone.hang_up().expect("the control link stands");
    }
    lines.server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn s_08_when_all_channels_are_taken_the_caller_hears_so_and_no_phone_rings() {
    let mut lines = lines("s08", ALL);
    lines.fill();
    let rung = lines.rung();
    lines.calls();
    lines.is_told_busy();
    assert_eq!(lines.rung(), rung, "no phone rings");
    // Those who talk have not noticed.
    for phone in &mut lines.phones {
        assert!(phone.wait("CALL_CLOSED", Duration::from_millis(50)).is_none());
        phone.hang_up().expect("the control link stands");
    }
    lines.server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    let file = source_root().join("conf/prompts/ja/lines-busy.wav");
    let prompt = Sound::read_wav(&file).expect("the prompt is in the tree");
    // The call that was refused came last, and with it the last recording.
    let heard = lines.outside.heard().expect("a recording");
    let heard = heard.part(heard.seconds() - prompt.seconds() - 3.0, f64::MAX);
    let (likeness, _) = heard.likeness(&prompt.part(0.5, 3.0));
    let (end, _) = heard.likeness(&prompt.part(prompt.seconds() - 2.5, prompt.seconds() - 0.5));
    println!("the prompt is heard: likeness {likeness:.3}, of its end {end:.3}");
    assert!(likeness >= 0.9 && end >= 0.9, "likeness {likeness:.3}, of its end {end:.3}");
}

impl Lines {
    /// Outside calls: after how many seconds each phone rings, when it does within `limit`.
    fn ring_times(&mut self, limit: Duration) -> Vec<Option<f64>> {
        let begin = Instant::now();
        self.calls();
        let mut times = vec![None; self.phones.len()];
        while begin.elapsed() < limit && times.iter().any(Option::is_none) {
            for (phone, time) in self.phones.iter_mut().zip(&mut times) {
                if time.is_none() && phone.wait("CALL_INCOMING", Duration::ZERO).is_some() {
                    *time = Some(begin.elapsed().as_secs_f64());
                }
            }
        }
        times
    }

    fn gives_up(&mut self) {
        self.outside.hang_up().expect("the control link stands");
        self.outside_hears("CALL_CLOSED");
        let silent = |server: &Server| {
            server.ctl(&["calls"]).is_ok_and(|calls| calls == serde_json::json!([]))
        };
        let silent = koukan_e2e::wait::wait_for(LIMIT, || silent(&self.server).then_some(()));
        assert!(silent.is_some(), "the call is over");
    }
}

/// Desk phones first, the app after `step`.
fn tiers(step: &str) -> String {
    format!(
        "{{ devices = [\"A\", \"B\", \"C\"], strategy = \"priority\", \
         tiers = [[\"desk\", \"ata\"], [\"app\"]], step = \"{step}\", timeout = \"30s\" }}"
    )
}

#[test]
fn s_12_desk_phones_come_before_the_app_as_the_step_says() {
    let mut lines = lines("s12", &tiers("0s"));
    let times = lines.ring_times(LIMIT);
    println!("0s: {times:?}");
    let all: Vec<f64> = times.iter().flatten().copied().collect();
    assert_eq!(all.len(), 3, "all ring: {times:?}");
    let (first, last) = all.iter().fold((f64::MAX, 0.0_f64), |(a, b), t| (a.min(*t), b.max(*t)));
    assert!(last - first < 1.5, "at once: {times:?}");
    lines.gives_up();

    plan_again(&lines.server, &tiers("4s"));
    let times = lines.ring_times(Duration::from_secs(9));
    println!("4s: {times:?}");
    let [Some(a), Some(b), Some(c)] = times[..] else { panic!("all ring: {times:?}") };
    assert!(a < 2.5 && b < 2.5 && (3.9..6.5).contains(&c), "the app after 4 s: {times:?}");
    lines.gives_up();

    plan_again(&lines.server, &tiers("never"));
    let times = lines.ring_times(Duration::from_secs(7));
    println!("never: {times:?}");
    assert!(matches!(times[..], [Some(_), Some(_), None]), "the app is silent: {times:?}");
    // Both desk phones refuse: now it is the app's turn.
    for index in [0, 1] {
        lines.phones[index].hang_up().expect("the control link stands");
    }
    lines.hear(2, "CALL_INCOMING");
    lines.gives_up();

    // Without power they give no sign of life, and the app rings after three seconds.
    let app = lines.phones.remove(2);
    lines.phones = vec![app];
    let times = lines.ring_times(Duration::from_secs(9));
    println!("never, the desk phones are off: {times:?}");
    assert!(times[0].is_some_and(|at| (2.5..6.5).contains(&at)), "{times:?}");
    lines.gives_up();
    lines.server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
