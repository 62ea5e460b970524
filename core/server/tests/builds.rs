//! Builds side by side: new calls go to the new one, the old one keeps its own until they end, and
//! is gone from the process then. And modules that break the contract meanwhile.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;
#[expect(dead_code, reason = "the tests of the whole server use the rest")]
mod office;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use house::{CALL, Host, NOW, Room, announcements, built, faulty};
use koukan::modules::ChangeRefused;
use koukan_switch::{AppEvent, InstanceId, ModuleRequest, Now, OpStatus, Operation};
use office::{Office, ask, json};

const MODULE: &str = "unruly";

fn after(time: Duration) -> Now {
    Now { time: NOW.time + time, ..NOW }
}

impl Host {
    /// Loads the module's file again.
    fn replace(&mut self, room: &Room, path: &Path, grants: &str) -> usize {
        let config = room.config(&[(MODULE, path, grants)]);
        let loaded = self.modules.loader().load(&config.modules[0]).unwrap();
        self.modules.install(NOW, loaded, false).unwrap().build.unwrap()
    }

    /// The states of every build, the oldest first.
    fn states(&self) -> Vec<String> {
        self.modules.list(NOW.time).into_iter().map(|build| build.state).collect()
    }

    /// Waits for the reaper until the builds are in these states.
    fn wait_for(&mut self, states: &[&str]) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.states() != states {
            assert!(Instant::now() < until, "{:?} and not {states:?}", self.states());
            self.modules.handle_housekeeping(NOW);
            std::thread::yield_now();
        }
    }
}

/// The builds that the map of this process shows below a room.
fn mapped(room: &Room) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let below = room.directory.join("data/modules").display().to_string();
    let own = maps.lines().filter_map(|line| line.split(' ').find(|part| part.starts_with(&below)));
    own.collect::<std::collections::BTreeSet<_>>().len()
}

/// A module as packages have it: without its debug information.
fn stripped(room: &Room, module: &Path) -> PathBuf {
    let file = room.directory.join("stripped.so");
    let status = Command::new("strip").arg("-s").arg("-o").arg(&file).arg(module).status().unwrap();
    assert!(status.success());
    file
}

#[test]
fn calls_in_flight_stay_with_the_old_build_and_new_ones_go_to_the_new_one() {
    let room = Room::new();
    let old = room.compiled(MODULE, &[]);
    let mut host = room.load(&[(MODULE, &old, CALL)]).unwrap();
    let before = host.start(MODULE, "early", "{}");
    let (op, _) = host.operation();
    let new = room.compiled(MODULE, &["-DUNRULY_VERSION=\"2\""]);
    host.replace(&room, &new, CALL);
    assert_eq!(host.states(), ["draining", "active"]);
    let versions: Vec<_> = host.modules.list(NOW.time).into_iter().map(|b| b.version).collect();
    assert_eq!(versions, ["1", "2"]);
    assert_eq!(mapped(&room), 2);

    // The new build has started nothing yet; the old one serves its call to the end.
    assert_eq!(host.words(MODULE, "counts"), "started 0 destroyed 0");
    assert_eq!(host.states(), ["draining", "active"]);
    host.done(before, op, OpStatus::Ok, "");
    assert_eq!(host.ended(), Ok(()));
    host.wait_for(&["closed", "active"]);
    assert_eq!(mapped(&room), 1);
    host.assert_empty();
}

#[test]
fn an_application_hears_that_its_build_drains() {
    let room = Room::new();
    let file = room.compiled(MODULE, &[]);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    for _ in 0..3 {
        host.start(MODULE, "drains", "{}");
        host.operation();
    }
    host.replace(&room, &file, CALL);
    for _ in 0..3 {
        assert_eq!(host.ended(), Ok(()));
    }
    host.wait_for(&["closed", "active"]);
}

#[test]
fn past_its_time_a_draining_build_loses_its_calls_to_the_plan() {
    let room = Room::new();
    let file = room.compiled(MODULE, &[]);
    let grants = format!("{CALL}\ndrain = \"60s\"");
    let mut host = room.load(&[(MODULE, &file, &grants)]).unwrap();
    let instance = host.start(MODULE, "lingers", "{}");
    host.operation();
    host.replace(&room, &file, &grants);
    assert_eq!(host.modules.poll_timeout(), Some(after(Duration::from_secs(60)).time));
    assert_eq!(host.modules.poll_request(after(Duration::from_secs(59))), None);
    let ended = host.modules.poll_request(after(Duration::from_secs(60)));
    let Some(ModuleRequest::Ended { instance: who, result: Err(why) }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(who, instance);
    assert_eq!(&*why, "its build was replaced, and the time to end has passed");
    host.wait_for(&["closed", "active"]);
    // What the switch orders for it now finds nobody.
    host.event(instance, AppEvent::HangUp);
    host.destroy(instance);
    host.assert_empty();
}

#[test]
fn an_unloaded_module_has_no_new_calls_and_can_be_loaded_again() {
    let room = Room::new();
    let file = room.compiled(MODULE, &[]);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    let config = room.config(&[(MODULE, &file, CALL)]);
    let load = |host: &Host| host.modules.loader().load(&config.modules[0]).unwrap();
    let second = load(&host);
    let refused = host.modules.install(NOW, second, true);
    assert_eq!(refused, Err(ChangeRefused::Loaded(MODULE.to_owned())));
    let changed = host.modules.unload(NOW, MODULE).unwrap();
    assert_eq!((changed.build, changed.calls), (None, 0));
    assert!(!host.modules.fills_role(MODULE));
    assert_eq!(host.words(MODULE, "counts"), "no loaded module fills the role unruly");
    let none = ChangeRefused::NotLoaded(MODULE.to_owned());
    assert_eq!(host.modules.unload(NOW, MODULE), Err(none.clone()));
    let third = load(&host);
    assert_eq!(host.modules.install(NOW, third, false), Err(none));
    host.wait_for(&["closed"]);
    assert_eq!((mapped(&room), room.copies()), (0, 0));
    let fourth = load(&host);
    host.modules.install(NOW, fourth, true).unwrap();
    assert_eq!(host.words(MODULE, "counts"), "started 0 destroyed 0");
}

#[test]
fn a_file_that_cannot_be_loaded_leaves_the_old_build_in_service() {
    let room = Room::new();
    let file = room.compiled(MODULE, &[]);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    fs::write(&file, "no library").unwrap();
    let config = room.config(&[(MODULE, &file, CALL)]);
    let refusal = host.modules.loader().load(&config.modules[0]).unwrap_err();
    assert!(refusal.to_string().contains("is no ELF shared object"), "{refusal}");
    assert_eq!(host.words(MODULE, "counts"), "started 0 destroyed 0");
    assert_eq!((host.states(), room.copies()), (vec!["active".to_owned()], 1));
}

#[test]
fn the_file_must_be_the_one_that_the_configuration_means() {
    let room = Room::new();
    let file = room.compiled(MODULE, &[]);
    let wrong = format!("{CALL}\nsha256 = \"{}\"", "0".repeat(64));
    let Err(error) = room.load(&[(MODULE, &file, &wrong)]) else { panic!("it was loaded") };
    let words = error.to_string();
    let found = words.split("has the SHA-256 ").nth(1).and_then(|rest| rest.get(..64)).unwrap();
    let right = format!("{CALL}\nsha256 = \"{found}\"");
    assert!(room.load(&[(MODULE, &file, &right)]).is_ok());
}

#[test]
fn a_build_that_is_to_be_kept_stays_mapped_and_says_so() {
    let room = Room::new();
    let file = room.compiled(MODULE, &[]);
    let keep = format!("{CALL}\nunload = \"keep\"");
    let mut host = room.load(&[(MODULE, &file, &keep)]).unwrap();
    host.modules.unload(NOW, MODULE).unwrap();
    host.wait_for(&["closed, kept mapped"]);
    assert_eq!(mapped(&room), 1);
}

#[test]
fn a_build_whose_thread_runs_is_closed_after_the_thread() {
    let room = Room::new();
    let file = room.compiled(MODULE, &["-DUNRULY_THREAD=1500"]);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    host.modules.unload(NOW, MODULE).unwrap();
    host.wait_for(&["stuck: 1 threads run still"]);
    assert_eq!(mapped(&room), 1);
    host.wait_for(&["closed"]);
    assert_eq!(mapped(&room), 0);
}

#[test]
fn a_build_whose_waker_is_held_is_not_closed() {
    let room = Room::new();
    let file = room.compiled(MODULE, &["-DUNRULY_WAKER"]);
    let grants = format!("{CALL}\ndrain = \"60s\"");
    let mut host = room.load(&[(MODULE, &file, &grants)]).unwrap();
    host.modules.unload(NOW, MODULE).unwrap();
    host.modules.handle_housekeeping(after(Duration::from_secs(59)));
    assert_eq!(host.states(), ["draining"]);
    host.modules.handle_housekeeping(after(Duration::from_secs(60)));
    host.wait_for(&["stuck: 1 wakers are held"]);
    assert_eq!(mapped(&room), 1);
}

#[test]
fn a_thread_that_ran_a_build_may_end_after_it_is_gone() {
    let room = Room::new();
    let file = room.compiled(MODULE, &["-DUNRULY_KEY"]);
    // `init` sets a value of this thread whose destructor is code of the build.
    let host = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
            host.modules.unload(NOW, MODULE).unwrap();
            host.wait_for(&["closed"]);
            assert_eq!(mapped(&room), 0);
            host
        });
        thread.join().unwrap()
    });
    assert_eq!(host.states(), ["closed"]);
}

#[test]
fn rusts_own_keys_do_not_outlive_their_build() {
    let room = Room::new();
    let file = stripped(&room, &faulty());
    std::thread::scope(|scope| {
        let run = || {
            let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
            host.start(MODULE, "current", "{}");
            host.operation();
            host.modules.unload(NOW, MODULE).unwrap();
            host.modules.poll_request(after(Duration::from_secs(600)));
            host.wait_for(&["closed"]);
            assert_eq!(mapped(&room), 0);
        };
        scope.spawn(run).join().unwrap();
    });
}

#[test]
fn a_thread_local_with_a_destructor_keeps_the_library_until_its_thread_ends() {
    let room = Room::new();
    let file = stripped(&room, &faulty());
    let mut host = std::thread::scope(|scope| {
        let run = || {
            let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
            host.start(MODULE, "local", "{}");
            host.operation();
            host.modules.unload(NOW, MODULE).unwrap();
            host.modules.poll_request(after(Duration::from_secs(600)));
            host.wait_for(&["closed, still mapped"]);
            assert_eq!(mapped(&room), 1);
            host
        };
        scope.spawn(run).join().unwrap()
    });
    // The next closing of any library lets it go.
    let other = room.compiled(MODULE, &[]);
    let config = room.config(&[(MODULE, &other, CALL)]);
    let loaded = host.modules.loader().load(&config.modules[0]).unwrap();
    host.modules.install(NOW, loaded, true).unwrap();
    host.modules.unload(NOW, MODULE).unwrap();
    host.wait_for(&["closed", "closed"]);
    assert_eq!(mapped(&room), 0);
}

/// A caller of the voicemail module as the switch plays it: every operation goes well, and the
/// message ends with the call.
#[derive(Debug, Default)]
struct Callers {
    /// Operations that were started and have had no result.
    waiting: VecDeque<(InstanceId, u64, Operation)>,
    ended: usize,
    failed: Vec<String>,
}

impl Callers {
    fn take(&mut self, host: &mut Host) {
        while let Some(request) = host.request() {
            match request {
                ModuleRequest::Start { instance, op, operation } => {
                    self.waiting.push_back((instance, op.0, operation));
                }
                ModuleRequest::Ended { result: Ok(()), .. } => self.ended += 1,
                ModuleRequest::Ended { result: Err(why), .. } => self.failed.push(why.to_string()),
                ModuleRequest::Cancel { .. }
                | ModuleRequest::Messages { .. }
                | ModuleRequest::Answered { .. } => {}
            }
        }
    }

    /// Gives the oldest operation its result.
    fn step(&mut self, host: &mut Host) -> bool {
        let Some((instance, op, operation)) = self.waiting.pop_front() else { return false };
        let op = koukan_base::OpId(op);
        match operation {
            Operation::Record { path, .. } => {
                fs::create_dir_all(Path::new(&*path).parent().unwrap()).unwrap();
                fs::write(&*path, vec![0; 8_000]).unwrap();
                host.done(instance, op, OpStatus::HangUp, "5000");
                host.event(instance, AppEvent::HangUp);
            }
            _ => host.done(instance, op, OpStatus::Ok, ""),
        }
        self.take(host);
        true
    }
}

const KEEPS: &str = "grants = [\"call\", \"store\"]";

#[test]
fn a_thousand_calls_in_voicemail_outlive_the_replacement_of_their_build() {
    let room = Room::new();
    let file = stripped(&room, &built(&["-p", "koukan-voicemail"], "libvoicemail.so"));
    let mut host = room.load(&[(MODULE, &file, KEEPS)]).unwrap();
    let mut callers = Callers::default();
    let call = |host: &mut Host, callers: &mut Callers, number: usize| {
        let plan = format!(
            r#"{{"mailbox":"box{}","language":"ja","max_message_ms":30000,"max_messages":1000,
            "keep_ms":604800000,"notify":[],"caller":"0455550001","called":"0312340001",
            "utc_offset_s":32400}}"#,
            number % 100
        );
        host.start(MODULE, "voicemail", &plan);
        callers.take(host);
    };
    for number in 0..1_000 {
        call(&mut host, &mut callers, number);
        // Some wait for their answer, some hear the greeting, some leave their message.
        for _ in 0..number % 3 {
            callers.step(&mut host);
        }
    }
    let under_way = 1_000 - callers.ended;
    assert!(under_way > 300, "{under_way} calls under way");
    host.replace(&room, &file, KEEPS);
    let listed = host.modules.list(NOW.time);
    assert_eq!((listed[0].state.as_str(), listed[0].instances), ("draining", under_way));
    assert_eq!(mapped(&room), 2);
    for number in 1_000..1_200 {
        call(&mut host, &mut callers, number);
        callers.step(&mut host);
    }
    while callers.step(&mut host) {}
    assert_eq!((callers.ended, &*callers.failed), (1_200, &[] as &[String]));
    host.wait_for(&["closed", "active"]);
    let listed = host.modules.list(NOW.time);
    assert_eq!((listed[0].starts, listed[1].starts), (1_000, 200));
    assert_eq!(mapped(&room), 1, "the old build is in the process still");
    println!("1,200 calls, {under_way} of them under way at the replacement: none lost");
}

#[test]
fn what_makes_no_sense_ends_one_application_and_nothing_is_destroyed_twice() {
    let room = Room::new();
    let mut host = room.load(&[(MODULE, &room.compiled(MODULE, &[]), CALL)]).unwrap();
    let good = host.start(MODULE, "early", "{}");
    let (good_op, _) = host.operation();
    // Unknown statuses end the application, whatever it stored beside them.
    assert_eq!(host.words(MODULE, "garbage-start"), "an unknown status");
    assert_eq!(host.words(MODULE, "negative"), "an unknown status");
    host.start(MODULE, "twice", "{}");
    assert_eq!(host.ended(), Ok(()));
    let garbage = host.start(MODULE, "garbage-event", "{}");
    let (op, _) = host.operation();
    host.done(garbage, op, OpStatus::Ok, "");
    assert_eq!(host.ended(), Err("an unknown status".to_owned()));
    // An instance of nothing lives and dies as any other.
    let null = host.start(MODULE, "null", "{}");
    host.event(null, AppEvent::Digit(b'1'));
    host.destroy(null);
    // One that never completes ends with its call.
    let never = host.start(MODULE, "lingers", "{}");
    host.operation();
    host.event(never, AppEvent::HangUp);
    host.destroy(never);
    host.done(good, good_op, OpStatus::Ok, "");
    assert_eq!(host.ended(), Ok(()));
    assert_eq!(host.words(MODULE, "counts"), "started 4 destroyed 4");
    host.assert_empty();
}

#[test]
fn a_callback_that_stays_too_long_is_counted_against_its_build() {
    let room = Room::new();
    let mut host = room.load(&[(MODULE, &room.compiled(MODULE, &[]), CALL)]).unwrap();
    let slow = host.start(MODULE, "slow", "{}");
    let (op, _) = host.operation();
    host.done(slow, op, OpStatus::Ok, "");
    let build = &host.modules.list(NOW.time)[0];
    assert_eq!(build.too_long, 1);
    assert!(build.slowest_us >= 30_000, "{build:?}");
    host.destroy(slow);
}

/// Where an application of a module panics, and what its reason says then; none when the host
/// destroys it and hears no reason.
const PANICS: &[(&str, &str, Option<&str>)] = &[
    ("at_once", "start", Some("at once")),
    ("payload", "start", None),
    ("arguments", "start", Some("the arguments")),
    ("message", "start", Some("the message")),
    ("later", "done", Some("later")),
    ("destructor", "done", Some("a destructor")),
    ("on_digit", "digit", Some("a digit")),
    ("on_hang_up", "hang-up", Some("a hang-up")),
    ("on_drain", "drain", Some("a drain")),
    ("held", "destroy", None),
];

#[test]
fn a_panic_at_every_entry_point_ends_its_own_application_alone() {
    let room = Room::new();
    let file = stripped(&room, &faulty());
    for (application, entry, words) in PANICS {
        let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
        let good = host.start(MODULE, "good", "{}");
        let (answer, _) = host.operation();
        let bad = host.start(MODULE, application, "{}");
        let mut requests = Vec::new();
        while let Some(request) = host.request() {
            requests.push(request);
        }
        let op = requests.iter().find_map(|request| match request {
            ModuleRequest::Start { op, .. } => Some(*op),
            _ => None,
        });
        match *entry {
            "start" => {}
            "done" => host.done(bad, op.unwrap(), OpStatus::Ok, ""),
            "digit" => host.event(bad, AppEvent::Digit(b'5')),
            "hang-up" => host.event(bad, AppEvent::HangUp),
            "drain" => host.event(bad, AppEvent::Drain),
            _ => host.destroy(bad),
        }
        while let Some(request) = host.request() {
            requests.push(request);
        }
        let ended = requests.iter().find_map(|request| match request {
            ModuleRequest::Ended { instance, result } => Some((*instance, result.clone())),
            _ => None,
        });
        match ended {
            None => assert_eq!(*entry, "destroy", "{application} has not ended"),
            Some((instance, result)) => {
                let why = result.unwrap_err();
                let ends = words.is_none_or(|words| why.ends_with(words));
                assert!(instance == bad && ends, "{application}: {why}");
            }
        }
        host.done(good, answer, OpStatus::Ok, "");
        let (digits, _) = host.operation();
        host.done(good, digits, OpStatus::Ok, "42");
        let (hang_up, _) = host.operation();
        host.done(good, hang_up, OpStatus::Ok, "");
        assert_eq!(host.ended(), Ok(()), "beside {application}");
        host.assert_empty();
        println!("panic in {application} ({entry}): its own application alone");
        host.modules.unload(NOW, MODULE).unwrap();
        host.wait_for(&["closed"]);
    }
    assert_eq!(mapped(&room), 0);
}

#[test]
fn modules_are_loaded_replaced_and_unloaded_over_the_api() {
    let office = Office::new("modules");
    let room = Room::new();
    let file = stripped(&room, &announcements());
    let copy = office.directory.join("announcements.so");
    fs::copy(&file, &copy).unwrap();
    let base = "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\n";
    let module = format!(
        "[module.announcements]\npath = \"{}\"\nrole = \"announcements\"\n{CALL}\n",
        copy.display()
    );
    office.configure(base);
    let server = office.start();
    let socket = server.socket().to_owned();
    let post = |path: &str| ask(&socket, "POST", &format!("/v1/modules/{path}"), "");
    let (status, words) = post("announcements/load");
    assert!(
        status == 404 && words.contains("koukan.toml has no [module.announcements]"),
        "{words}"
    );

    // What was added to the file is loaded without a restart.
    office.configure(&format!("{base}{module}"));
    let (status, words) = post("announcements/replace");
    assert!(status == 404 && words.contains("is not loaded"), "{status} {words}");
    let (status, words) = post("announcements/load");
    assert_eq!(status, 200, "{words}");
    assert_eq!(post("announcements/load").0, 409);
    let (status, words) = post("announcements/replace");
    assert!(status == 200 && words.contains("\"calls\":0"), "{status} {words}");
    let states = |count: usize| {
        let listed = json(&socket, "/v1/modules");
        let states = listed.as_array().unwrap().iter().filter_map(|m| m["state"].as_str());
        let states: Vec<String> = states.map(str::to_owned).collect();
        (states.len() == count).then_some(states)
    };
    let wait_closed = |count: usize, last: &str| {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let now = states(count).unwrap();
            let (end, before) = now.split_last().unwrap();
            if end == last && before.iter().all(|state| state == "closed") {
                return;
            }
            assert!(Instant::now() < until, "{now:?}");
            std::thread::yield_now();
        }
    };
    wait_closed(2, "active");

    // A file that is no module leaves the build in service that is.
    fs::write(&copy, "no module").unwrap();
    let (status, words) = post("announcements/replace");
    assert!(status == 422 && words.contains("is no ELF shared object"), "{status} {words}");
    wait_closed(2, "active");
    assert_eq!(ask(&socket, "DELETE", "/v1/modules/announcements", "").0, 200);
    assert_eq!(ask(&socket, "DELETE", "/v1/modules/announcements", "").0, 404);
    wait_closed(2, "closed");
}
