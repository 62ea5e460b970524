//! What the module border costs by itself, as two function pointers meet: an event, an await, a
//! call of the host, a call's memory, loading and unloading. What a whole server adds to it stands
//! in `core/server/benches/host.rs`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says where")]

use std::ffi::c_void;
use std::fs;
use std::hint::black_box;
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use criterion::{Criterion, criterion_group, criterion_main};
use koukan_abi as abi;
use koukan_abi::{Status, Str, event, id, status};
use libloading::os::unix::Library;

/// A library of this workspace as packages have it.
fn released(arguments: &[&str], file: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--release"]).args(arguments).arg("--target-dir").arg(target);
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    target.join("release").join(file)
}

fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The application in C.
fn in_c() -> PathBuf {
    let file = own("border.so");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-Wall", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-I"]);
    cc.arg(here.join("../abi/include")).arg("-o").arg(&file).arg(here.join("benches/border.c"));
    assert!(cc.status().unwrap().success());
    file
}

unsafe extern "C" fn log(_: *const abi::Host, _: u64, _: u32, _: Str) {}
unsafe extern "C" fn wake(_: *const abi::Host, _: u64) -> Status {
    status::OK
}
unsafe extern "C" fn held(_: *const abi::Host) {}

/// An operation that is always the first.
unsafe extern "C" fn plain(_: *const abi::Host, _: u64, op: *mut u64) -> Status {
    // SAFETY: the module's place for one number.
    unsafe { op.write(1) };
    status::OK
}
unsafe extern "C" fn play(
    _: *const abi::Host,
    _: u64,
    _: *const abi::Prompt,
    _: usize,
    _: u32,
    _: *mut u64,
) -> Status {
    status::UNSUPPORTED
}
unsafe extern "C" fn collect(
    _: *const abi::Host,
    _: u64,
    _: u8,
    _: u8,
    _: u32,
    _: *mut u64,
) -> Status {
    status::UNSUPPORTED
}
unsafe extern "C" fn sleep(host: *const abi::Host, call: u64, _: u32, op: *mut u64) -> Status {
    // SAFETY: the same arguments.
    unsafe { plain(host, call, op) }
}
unsafe extern "C" fn hang_up(_: *const abi::Host, _: u64, _: u16, _: *mut u64) -> Status {
    status::UNSUPPORTED
}
unsafe extern "C" fn cancel(_: *const abi::Host, _: u64, _: u64) -> Status {
    status::OK
}
unsafe extern "C" fn explain(_: *const abi::Host, _: u64, _: Str) -> Status {
    status::OK
}

static LOG: abi::Log1 = abi::Log1 { size: size_of::<abi::Log1>(), write: log };
static WAKE: abi::Wake1 =
    abi::Wake1 { size: size_of::<abi::Wake1>(), wake, retain: held, release: held };
static CALLS: abi::Call1 = abi::Call1 {
    size: size_of::<abi::Call1>(),
    answer: plain,
    early_media: plain,
    play,
    collect_digits: collect,
    sleep,
    hang_up,
    cancel,
    explain,
};

unsafe extern "C" fn get_extension(_: *const abi::Host, wanted: Str) -> *const c_void {
    // SAFETY: the module's text, which lives through the call.
    let bytes = unsafe { std::slice::from_raw_parts(wanted.ptr, wanted.len) };
    match bytes {
        b"kk.log/1" => ptr::from_ref(&LOG).cast(),
        b"kk.wake/1" => ptr::from_ref(&WAKE).cast(),
        b"kk.call/1" => ptr::from_ref(&CALLS).cast(),
        _ => ptr::null(),
    }
}

/// A module without a host around it.
struct Bare {
    entry: abi::Entry,
    app: abi::App1,
    event: unsafe extern "C" fn(abi::Instance, *const abi::Event) -> Status,
    library: Library,
}

impl Bare {
    fn new(file: &Path) -> Self {
        let host = Box::leak(Box::new(abi::Host {
            size: size_of::<abi::Host>(),
            ctx: ptr::null_mut(),
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            reserved: 0,
            get_extension,
        }));
        // SAFETY: a module of ours, which has no constructors.
        let library = unsafe { Library::new(file) }.unwrap();
        // SAFETY: the symbol is a data object of this type.
        let entry = unsafe { library.get::<*const abi::Entry>(b"kk_module_entry") };
        let entry: *const abi::Entry = *entry.unwrap();
        // SAFETY: constant data of a library that stays.
        let entry = unsafe { entry.read() };
        // SAFETY: the module's function with a host that is never freed.
        assert_eq!(unsafe { entry.init.unwrap()(host) }, status::OK);
        // SAFETY: the module's function with a text that lives through the call.
        let table = unsafe { entry.get_factory.unwrap()(Str::borrow(id::APP_1)) };
        // SAFETY: the table of this id.
        let app = unsafe { table.cast::<abi::App1>().read() };
        Self { entry, app, event: app.event.unwrap(), library }
    }

    fn start(&self, application: &str, arguments: &str) -> abi::Instance {
        let start = abi::Start {
            size: size_of::<abi::Start>(),
            now_ns: 1,
            call: 7,
            application: Str::borrow(application),
            arguments: Str::borrow(arguments),
        };
        let mut instance = ptr::null_mut();
        // SAFETY: the module's function; the struct and the place live through the call.
        let begun = unsafe { self.app.start.unwrap()(&raw const start, &raw mut instance) };
        assert_eq!(begun, status::PENDING);
        instance
    }

    fn unload(self) {
        if let Some(deinit) = self.entry.deinit {
            // SAFETY: no instance of it is left.
            unsafe { deinit() };
        }
        self.library.close().unwrap();
    }

    fn event(&self, instance: abi::Instance, kind: u32, digit: u8) -> Status {
        let event = abi::Event {
            size: size_of::<abi::Event>(),
            now_ns: 2,
            r#type: kind,
            status: status::OK,
            op: 1,
            text: Str::borrow(""),
            digit: u32::from(digit),
            reserved: 0,
        };
        // SAFETY: the module's function with what its `start` stored.
        unsafe { (self.event)(instance, black_box(&raw const event)) }
    }
}

fn calls(c: &mut Criterion) {
    let module = Bare::new(&in_c());
    let instance = module.start("any", "{}");
    let mut group = c.benchmark_group("border");
    group.bench_function("event to a module in C", |b| {
        b.iter(|| module.event(instance, event::DIGIT, b'1'));
    });
    group.bench_function("event with 1000 calls of the host", |b| {
        b.iter(|| module.event(instance, event::DIGIT, b'9'));
    });
    let module =
        Bare::new(&released(&["-p", "koukan-sdk", "--example", "loops"], "examples/libloops.so"));
    let instance = module.start("loops", "{}");
    group.bench_function("completion, await, next operation in Rust", |b| {
        b.iter(|| module.event(instance, event::OP_DONE, 0));
    });
    group.finish();
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn memory(_: &mut Criterion) {
    let module = Bare::new(&released(&["-p", "koukan-voicemail"], "libvoicemail.so"));
    let arguments = "{\"mailbox\":\"main\",\"language\":\"ja\",\"max_message_ms\":30000,\
                     \"max_messages\":15,\"keep_ms\":604800000,\"notify\":[],\
                     \"caller\":\"0455550001\",\"called\":\"0312340001\",\"utc_offset_s\":32400}";
    // What is made once, and heaps that grow in pieces, are there already.
    for _ in 0..2_000 {
        black_box(module.start("voicemail", arguments));
    }
    let (calls, before) = (20_000, resident());
    for _ in 0..calls {
        black_box(module.start("voicemail", arguments));
    }
    let bytes = resident().saturating_sub(before) / calls;
    println!("memory of a voicemail call on the module's side: {bytes} bytes");
    assert!(bytes <= 1_344, "twice what the plan says is the bound");
}

fn load_and_unload(c: &mut Criterion) {
    let file = released(&["-p", "koukan-announcements"], "libannouncements.so");
    let stripped = own("stripped.so");
    let mut strip = Command::new("strip");
    assert!(strip.arg("-s").arg("-o").arg(&stripped).arg(&file).status().unwrap().success());
    c.bench_function("border/load and unload a stripped module", |b| {
        b.iter(|| Bare::new(&stripped).unload());
    });
}

criterion_group!(benches, calls, memory, load_and_unload);
criterion_main!(benches);
