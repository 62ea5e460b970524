//! A module in plain C, a small application written from `koukan.h` alone: built against today's
//! header and against every released one, and run by today's host.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;

use std::path::{Path, PathBuf};
use std::process::Command;

use house::{CALL, Host, NOW, Room};
use koukan_abi::ABI_MINOR;
use koukan_base::OpId;
use koukan_switch::{AppEvent, InstanceId, ModuleRequest, OpStatus, Operation};

const MODULE: &str = "greeter";

/// Builds the example against a header, which lies there under its own name.
fn build(room: &Room, header: &Path) -> PathBuf {
    let include = room.directory.join("include");
    std::fs::create_dir_all(&include).unwrap();
    std::fs::copy(header, include.join("koukan.h")).unwrap();
    let file = room.directory.join("greeter.so");
    let abi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(["-shared", "-fPIC", "-fvisibility=hidden", "-I"])
        .arg(&include)
        .arg("-o")
        .arg(&file)
        .arg(abi.join("examples/greeter.c"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

fn headers() -> Vec<(String, PathBuf)> {
    let abi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi");
    let released = (0..ABI_MINOR)
        .map(|minor| (format!("1.{minor}"), abi.join(format!("tests/data/koukan-1.{minor}.h"))));
    let today = ("today".to_owned(), abi.join("include/koukan.h"));
    released.chain([today]).collect()
}

fn play(language: &str, name: &str) -> Operation {
    Operation::Play { prompts: vec![(language.into(), name.into())], times: 1 }
}

impl Host {
    /// The caller is answered and hears the menu: its operation and that of the key.
    fn reach_the_menu(&mut self) -> (InstanceId, OpId, OpId) {
        let instance = self.start(MODULE, "greet", r#"{"x":1,"language":"ja"}"#);
        let (answer, operation) = self.operation();
        assert_eq!(operation, Operation::Answer);
        self.done(instance, answer, OpStatus::Ok, "");
        let (menu, key) = self.menu();
        (instance, menu, key)
    }

    fn menu(&mut self) -> (OpId, OpId) {
        let (menu, operation) = self.operation();
        assert_eq!(operation, play("ja", "menu"));
        let (key, operation) = self.operation();
        assert_eq!(operation, Operation::CollectDigits { min: 1, max: 1, timeout_ms: 8_000 });
        (menu, key)
    }

    fn hangs_up(&mut self, instance: InstanceId) {
        let (op, operation) = self.operation();
        assert_eq!(operation, Operation::HangUp { status: 480 });
        self.done(instance, op, OpStatus::Ok, "");
        self.event(instance, AppEvent::HangUp);
        assert_eq!(self.ended(), Ok(()));
        self.destroy(instance);
        self.assert_empty();
    }
}

#[test]
fn a_key_interrupts_the_menu_and_its_prompt_is_played_whatever_header_it_was_built_with() {
    for (version, header) in headers() {
        let room = Room::new();
        let file = build(&room, &header);
        let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
        let listed = host.modules.list(NOW.time);
        assert_eq!((&*listed[0].version, &*listed[0].state), ("1.0.0", "active"));
        let (instance, menu, key) = host.reach_the_menu();
        host.done(instance, key, OpStatus::Ok, "1");
        assert_eq!(host.request(), Some(ModuleRequest::Cancel { instance, op: menu }));
        assert_eq!(host.request(), None, "it waits for the result of what it cancelled");
        host.done(instance, menu, OpStatus::Cancelled, "");
        let (choice, operation) = host.operation();
        assert_eq!(operation, play("ja", "closed"));
        host.done(instance, choice, OpStatus::Ok, "");
        host.hangs_up(instance);
        println!("built against {version}: served");
    }
}

#[test]
fn who_presses_nothing_hears_the_menu_three_times() {
    let room = Room::new();
    let file = build(&room, &headers().pop().unwrap().1);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    let (instance, mut menu, mut key) = host.reach_the_menu();
    for round in 1..=3 {
        host.done(instance, menu, OpStatus::NotFound, "ja/menu");
        host.done(instance, key, OpStatus::TimedOut, "");
        if round < 3 {
            (menu, key) = host.menu();
        }
    }
    host.hangs_up(instance);
}

#[test]
fn a_caller_who_hangs_up_ends_it_in_every_step() {
    let room = Room::new();
    let file = build(&room, &headers().pop().unwrap().1);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    let instance = host.start(MODULE, "greet", "{}");
    host.operation();
    host.event(instance, AppEvent::HangUp);
    assert_eq!(host.ended(), Ok(()));
    host.destroy(instance);
    let (instance, _, _) = host.reach_the_menu();
    host.event(instance, AppEvent::HangUp);
    assert_eq!(host.ended(), Ok(()));
    host.destroy(instance);
    host.assert_empty();
}
