//! What a whole module host adds to the border (`core/sdk/benches/border.rs`): its books, its watch
//! over time, its threads; and a build's way from the file into service and out of the process.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where")]

#[path = "../tests/house/mod.rs"]
#[expect(dead_code, reason = "the tests of modules use the rest")]
mod house;

use std::path::{Path, PathBuf};
use std::process::Command;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use house::{CALL, Room};
use koukan_switch::{AppEvent, ModuleRequest, OpStatus};

/// A library of this workspace as packages have it.
fn released(arguments: &[&str], file: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--release"]).args(arguments).arg("--target-dir").arg(target);
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    target.join("release").join(file)
}

fn loops() -> PathBuf {
    released(&["-p", "koukan-sdk", "--example", "loops"], "examples/libloops.so")
}

/// The application in C.
fn in_c(room: &Room) -> PathBuf {
    let file = room.directory.join("border.so");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-Wall", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-I"]);
    cc.arg(here.join("../abi/include"))
        .arg("-o")
        .arg(&file)
        .arg(here.join("../sdk/benches/border.c"));
    assert!(cc.status().unwrap().success());
    file
}

fn through_the_host(c: &mut Criterion) {
    let room = Room::new();
    let modules = [("border", &*in_c(&room), CALL), ("loops", &*loops(), CALL)];
    let mut host = room.load(&modules).unwrap();
    let mut group = c.benchmark_group("host");
    let instance = host.start("border", "any", "{}");
    group.bench_function("event to a module in C", |b| {
        b.iter(|| host.event(instance, AppEvent::Digit(b'1')));
    });
    group.bench_function("event with 1000 calls of the host", |b| {
        b.iter(|| host.event(instance, AppEvent::Digit(b'9')));
    });
    let instance = host.start("loops", "loops", "{}");
    let (mut op, _) = host.operation();
    group.bench_function("completion, await, next operation in Rust", |b| {
        b.iter(|| {
            host.done(instance, op, OpStatus::Ok, "");
            let Some(ModuleRequest::Start { op: next, .. }) = host.request() else { panic!() };
            op = next;
        });
    });
    group.finish();
}

fn load_and_unload(c: &mut Criterion) {
    let room = Room::new();
    let file = released(&["-p", "koukan-announcements"], "libannouncements.so");
    let stripped = room.directory.join("stripped.so");
    let mut strip = Command::new("strip");
    assert!(strip.arg("-s").arg("-o").arg(&stripped).arg(&file).status().unwrap().success());
    let modules = [("announcements", &*stripped, CALL)];
    let host = room.load(&modules).unwrap();
    let config = room.config(&modules);
    let (loader, config) = (host.modules.loader(), config.modules.first().unwrap());
    c.bench_function("load and unload a stripped module", |b| {
        b.iter_batched(|| (), |()| drop(loader.load(config).unwrap()), BatchSize::PerIteration);
    });
}

criterion_group!(benches, through_the_host, load_and_unload);
criterion_main!(benches);
