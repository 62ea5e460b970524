//! `cargo xtask new-module`: what it makes builds without a warning, passes its own tests, and is
//! loaded and run by the host.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;

use std::fs;
use std::path::Path;
use std::process::Command;

use house::{CALL, Room, built};
use koukan_switch::{ModuleRequest, OpStatus, Operation};

/// A workspace of the new module alone, with the dependencies of ours.
fn workspace(root: &Path) {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let text = fs::read_to_string(ours.join("Cargo.toml")).unwrap();
    let (before, behind) = text.split_once("members = [\n").unwrap();
    let (_, behind) = behind.split_once("\n]\n").unwrap();
    let text = format!("{before}members = [\n    \"modules/none\",\n]\n{behind}");
    let here = format!("path = \"{}/", ours.display());
    fs::write(root.join("Cargo.toml"), text.replace("path = \"", &here)).unwrap();
    fs::copy(ours.join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let is_clean = !told.contains("warning");
    assert!(output.status.success() && is_clean, "{command:?}\n{told}");
}

#[test]
fn a_new_module_builds_passes_its_tests_and_is_loaded() {
    let room = Room::new();
    let root = room.directory.join("root");
    fs::create_dir_all(&root).unwrap();
    workspace(&root);
    let xtask = built(&["-p", "xtask"], "xtask");
    run(Command::new(xtask).args(["new-module", "fresh"]).arg(&root));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    fs::write(root.join("Cargo.toml"), manifest.replace("    \"modules/none\",\n", "")).unwrap();
    // The dependencies that this build has made are used again.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    for step in ["build", "test"] {
        run(Command::new(env!("CARGO"))
            .args([step, "--quiet", "--offline", "-p", "koukan-fresh", "--target-dir"])
            .arg(target)
            .current_dir(&root));
    }
    let mut host = room.load(&[("fresh", &target.join("debug/libfresh.so"), CALL)]).unwrap();
    let arguments = r#"{"prompt":{"language":"ja","name":"closed"}}"#;
    let instance = host.start("fresh", "fresh", arguments);
    let (answer, _) = host.operation();
    host.done(instance, answer, OpStatus::Ok, "");
    let (play, operation) = host.operation();
    let prompts = vec![("ja".into(), "closed".into())];
    assert_eq!(operation, Operation::Play { prompts, times: 1 });
    let (digits, _) = host.operation();
    host.done(instance, digits, OpStatus::Ok, "7");
    assert_eq!(host.request(), Some(ModuleRequest::Cancel { instance, op: play }));
    let (_, operation) = host.operation();
    assert_eq!(operation, Operation::HangUp { status: 480 });
    host.destroy(instance);
    host.start("fresh", "fresh", r#"{"promt":{}}"#);
    let why = host.ended().unwrap_err();
    assert!(why.contains("unknown field `promt`"), "{why}");
}
