//! `koukan.h` and the Rust types say the same: a C11 compiler checks every size, offset and
//! constant, and builds a module with both string macros.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use koukan_abi::{
    ABI_MAJOR, ABI_MINOR, Answer, App1, Audio1, Bridge, CALLER, Call1, Call1Minor1, Call1Minor5,
    Config1, Entry, Event, EventMinor1, Host, Lamp1, Log1, MAGIC, Mail1, Message, Metrics1,
    OBJECTS, Open, Prompt, Question, Record, Recording, Sink1, Sound, Source1, Start, StartMinor1,
    Store1, Str, Wake1, Worker1, event, id, log, record, status,
};

/// One struct's size and offsets as static assertions in C.
macro_rules! layout {
    ($out:ident, $rust:ty, $c:literal, [$($field:ident),+ $(,)?]) => {
        let c = $c;
        writeln!($out, "_Static_assert(sizeof({c}) == {}, \"{c}\");", size_of::<$rust>()).unwrap();
        $(
            let field = stringify!($field).trim_start_matches("r#");
            let at = offset_of!($rust, $field);
            writeln!($out, "_Static_assert(offsetof({c}, {field}) == {at}, \"{c}.{field}\");")
                .unwrap();
        )+
    };
}

/// One struct that has grown: the whole's size, and the offsets of its beginning and of what was
/// added.
macro_rules! grown {
    ($out:ident, $whole:ty, $first:ty, $c:literal, [$($old:ident),+], [$($new:ident),+]) => {
        let c = $c;
        writeln!($out, "_Static_assert(sizeof({c}) == {}, \"{c}\");", size_of::<$whole>()).unwrap();
        for (field, at) in [
            $((stringify!($old).trim_start_matches("r#"), offset_of!($first, $old)),)+
            $((stringify!($new), offset_of!($whole, $new)),)+
        ] {
            writeln!($out, "_Static_assert(offsetof({c}, {field}) == {at}, \"{c}.{field}\");")
                .unwrap();
        }
    };
}

fn structs() -> String {
    let mut out = String::new();
    layout!(out, Str, "kk_str", [ptr, len]);
    layout!(out, Host, "kk_host", [size, ctx, abi_major, abi_minor, reserved, get_extension]);
    layout!(out, Log1, "kk_log_1", [size, write]);
    layout!(out, Wake1, "kk_wake_1", [size, wake, retain, release]);
    layout!(out, Prompt, "kk_prompt", [size, language, name]);
    layout!(out, Recording, "kk_recording", [size, object, max_ms, silence_ms, keys]);
    layout!(out, Lamp1, "kk_lamp_1", [size, set_messages]);
    layout!(
        out,
        Store1,
        "kk_store_1",
        [size, put, get, remove, next, next_tenant, object_size, object_remove]
    );
    layout!(
        out,
        Message,
        "kk_message",
        [size, tenant, id, to, to_len, subject, text, object, file_name]
    );
    layout!(out, Mail1, "kk_mail_1", [size, send]);
    layout!(out, Config1, "kk_config_1", [size, options]);
    layout!(out, Worker1, "kk_worker_1", [size, run]);
    layout!(out, Bridge, "kk_bridge", [size, number, ring_ms, max_ms, keys]);
    layout!(out, Metrics1, "kk_metrics_1", [size, counter, gauge, add, set]);
    layout!(out, Sound, "kk_sound", [size, tenant, bytes, len, from, kind, object, rate, reserved]);
    layout!(out, Audio1, "kk_audio_1", [size, make_prompt]);
    grown!(
        out,
        Call1Minor5,
        Call1,
        "kk_call_1",
        [size, answer, early_media, play, collect_digits, sleep, hang_up, cancel, explain],
        [bridge]
    );
    for (field, at) in
        [("dial", offset_of!(Call1Minor1, dial)), ("record", offset_of!(Call1Minor1, record))]
    {
        writeln!(out, "_Static_assert(offsetof(kk_call_1, {field}) == {at}, \"{field}\");")
            .unwrap();
    }
    grown!(
        out,
        EventMinor1,
        Event,
        "kk_event",
        [size, now_ns, r#type, status, op, text, digit, reserved],
        [date_ms]
    );
    grown!(
        out,
        StartMinor1,
        Start,
        "kk_start",
        [size, now_ns, call, application, arguments],
        [date_ms, tenant]
    );
    layout!(out, Open, "kk_open", [size, options, base, acknowledged]);
    layout!(out, Record, "kk_record", [size, sequence, kind, reserved, text]);
    layout!(out, Sink1, "kk_sink_1", [size, kinds, open, deliver, close]);
    layout!(out, Question, "kk_question", [size, tenant, kind, key, facts, within_ms, reserved]);
    layout!(out, Answer, "kk_answer", [size, buffer, room, len, keep_ms, reserved]);
    layout!(out, Source1, "kk_source_1", [size, open, ask, close]);
    layout!(out, App1, "kk_app_1", [size, start, event, destroy]);
    layout!(
        out,
        Entry,
        "kk_entry",
        [
            magic,
            size,
            abi_major,
            abi_minor,
            flags,
            name,
            version,
            toolchain,
            required,
            required_len,
            init,
            deinit,
            get_factory,
        ]
    );
    out
}

fn numbers() -> String {
    let numbers = [
        ("KK_PENDING", i64::from(status::PENDING)),
        ("KK_OK", i64::from(status::OK)),
        ("KK_E_FAILED", i64::from(status::FAILED)),
        ("KK_E_CANCELLED", i64::from(status::CANCELLED)),
        ("KK_E_HANGUP", i64::from(status::HANGUP)),
        ("KK_E_TIMEOUT", i64::from(status::TIMEOUT)),
        ("KK_E_NOT_FOUND", i64::from(status::NOT_FOUND)),
        ("KK_E_UNSUPPORTED", i64::from(status::UNSUPPORTED)),
        ("KK_E_THREAD", i64::from(status::THREAD)),
        ("KK_E_ARGUMENT", i64::from(status::ARGUMENT)),
        ("KK_E_LIMIT", i64::from(status::LIMIT)),
        ("KK_E_PANIC", i64::from(status::PANIC)),
        ("KK_EVENT_OP_DONE", i64::from(event::OP_DONE)),
        ("KK_EVENT_DIGIT", i64::from(event::DIGIT)),
        ("KK_EVENT_HANG_UP", i64::from(event::HANG_UP)),
        ("KK_EVENT_DRAIN", i64::from(event::DRAIN)),
        ("KK_EVENT_WAKE", i64::from(event::WAKE)),
        ("KK_RECORD_CALL", i64::from(record::CALL)),
        ("KK_RECORD_EVENT", i64::from(record::EVENT)),
        ("KK_LOG_ERROR", i64::from(log::ERROR)),
        ("KK_LOG_WARN", i64::from(log::WARN)),
        ("KK_LOG_INFO", i64::from(log::INFO)),
        ("KK_LOG_DEBUG", i64::from(log::DEBUG)),
        ("KK_ABI_MAJOR", i64::from(ABI_MAJOR)),
        ("KK_ABI_MINOR", i64::from(ABI_MINOR)),
    ];
    let mut out = String::new();
    for (name, value) in numbers {
        writeln!(out, "_Static_assert({name} == ({value}), \"{name}\");").unwrap();
    }
    out
}

/// What a static assertion cannot see is compared when the program runs.
fn main_of_strings() -> String {
    let mut out = String::from("#include <string.h>\nint main(void) {\n");
    out.push_str("    static const unsigned char magic[8] = KK_MAGIC_INIT;\n");
    for (at, byte) in MAGIC.iter().enumerate() {
        writeln!(out, "    if (magic[{at}] != {byte}) return 1;").unwrap();
    }
    let ids = [
        ("KK_ID_APP_1", id::APP_1),
        ("KK_ID_AUDIO_1", id::AUDIO_1),
        ("KK_ID_METRICS_1", id::METRICS_1),
        ("KK_ID_CALL_1", id::CALL_1),
        ("KK_ID_LAMP_1", id::LAMP_1),
        ("KK_ID_LOG_1", id::LOG_1),
        ("KK_ID_MAIL_1", id::MAIL_1),
        ("KK_ID_SINK_1", id::SINK_1),
        ("KK_ID_SOURCE_1", id::SOURCE_1),
        ("KK_ID_STORE_1", id::STORE_1),
        ("KK_ID_TASK_1", id::TASK_1),
        ("KK_OBJECTS", OBJECTS),
        ("KK_CALLER", CALLER),
        ("KK_ID_WAKE_1", id::WAKE_1),
    ];
    for (name, value) in ids {
        writeln!(out, "    if (strcmp({name}, \"{value}\") != 0) return 2;").unwrap();
    }
    out.push_str("    kk_str text = KK_STR(\"four\");\n");
    out.push_str("    return text.len == 4 && kk_module_entry.name.len == 5 ? 0 : 3;\n}\n");
    out
}

const MODULE: &str = r#"
static const kk_str required[] = { KK_STR_INIT(KK_ID_CALL_1), KK_STR_INIT(KK_ID_LOG_1) };
static kk_status init(const kk_host *host) { return host ? KK_OK : KK_E_ARGUMENT; }
static const void *get_factory(kk_str id) { (void)id; return NULL; }
const kk_entry kk_module_entry = {
    KK_MAGIC_INIT, sizeof(kk_entry), KK_ABI_MAJOR, 0, 0,
    KK_STR_INIT("probe"), KK_STR_INIT("1.0.0"), KK_STR_INIT("cc"),
    required, 2, init, NULL, get_factory
};
"#;

fn scratch() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn compile(name: &str, compiler: &str, arguments: &[&str], source: &str) -> PathBuf {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let directory = scratch();
    let (file, program) = (directory.join(name), directory.join(format!("{name}.out")));
    std::fs::write(&file, source).unwrap();
    let output = Command::new(compiler)
        .args(arguments)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(include)
        .arg("-o")
        .arg(&program)
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} does not run: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn the_header_is_iso_c11_and_says_what_the_rust_types_say() {
    let include = "#include \"koukan.h\"\n".to_owned();
    let source = include + &structs() + &numbers() + MODULE + &main_of_strings();
    let program = compile("layout.c", "cc", &["-std=c11"], &source);
    let status = Command::new(program).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_wrong_offset_would_be_noticed() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let file = scratch().join("wrong.c");
    let source = "#include \"koukan.h\"\n_Static_assert(offsetof(kk_entry, size) == 12, \"\");\n";
    std::fs::write(&file, source).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-fsyntax-only", "-I"]).arg(include).arg(&file);
    assert!(!compiler.output().unwrap().status.success());
}
