//! An office that is drained, backed up and brought up elsewhere, by the commands that an operator
//! types (N-08).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::{Server, binary};
use koukan_e2e::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(8);

/// `koukan ctl ARGUMENTS` of a server, begun.
fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("koukan").expect("it is built"));
    let socket = server.directory.join("data/koukan.sock");
    command.arg("ctl").arg("--socket").arg(socket).args(arguments);
    command
}

#[test]
fn a_server_drains_names_what_is_up_and_ends_with_the_last_call() {
    let mut server = Server::start("drain").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("the echo answers");
    let draining = command(&server, &["drain", "--deadline", "5m", "--by", "night shift"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let up = || server.ctl(&["drain", "--show"]).ok().filter(|report| report["draining"] == true);
    let report = wait_for(LIMIT, up).expect("it drains");
    println!("{report}");
    assert_eq!(report["by"], "night shift");
    assert_eq!(report["calls"][0]["stage"], "echo");
    b.dial("600").expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("a new call is refused");
    let refused = server.metric("koukan_calls_refused_draining_total").expect("it is measured");
    assert!(refused >= 1.0, "{refused}");
    let _c = phone(&server, "c", &phone_spec(&server, 'C')).expect("phones register meanwhile");
    std::thread::sleep(Duration::from_secs(2));
    assert!(server.is_up(), "a call is up");
    let hung_up = Instant::now();
    a.hang_up().expect("the control link stands");
    let ended = wait_for(Duration::from_secs(15), || (!server.is_up()).then(|| hung_up.elapsed()));
    println!("ended {ended:?} after the last call");
    ended.unwrap_or_else(|| panic!("it does not end:\n{}", server.log_tail()));
    let output = draining.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{told}");
    assert!(output.status.success());
    for words in ["no new calls are taken; the end is at 20", "echo", "the server has ended"] {
        assert!(told.contains(words), "no \"{words}\" in {told}");
    }
    assert!(server.log_tail().contains("drained: nothing is up any more"));
}

/// The office whose third number has a box that answers after five seconds.
fn with_a_box(server: &Server) {
    let file = server.directory.join("conf/tenants/acme/office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let number = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }";
    assert!(text.contains(number), "the sample has no {number}");
    let with_box = "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\n\
                    options = [\"voicemail\"]\nvoicemail = { box = \"main\", after = \"5s\" }";
    let text =
        format!("{}\n[voicemail_box.main]\nmax_message = \"8s\"\n", text.replace(number, with_box));
    fs::write(&file, text).expect("it is written");
    server.ctl(&["reload", "acme"]).expect("it is in order");
}

fn messages(data: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(data.join("objects/voicemail/acme")).into_iter().flatten().flatten();
    let file = |path: std::path::PathBuf| {
        Some((path.file_name()?.to_string_lossy().into_owned(), fs::read(&path).ok()?))
    };
    let mut files: Vec<_> = entries.filter_map(|entry| file(entry.path())).collect();
    files.sort();
    files
}

#[test]
fn a_backup_of_a_running_office_serves_the_same_office_elsewhere() {
    let mut server = Server::start("backup").expect("the server starts");
    with_a_box(&server);
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    let mut caller = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    caller.dial("0312340003").expect("the control link stands");
    caller.wait("CALL_CLOSED", Duration::from_secs(50)).expect("the message is taken");
    let before = messages(&server.directory.join("data"));
    assert_eq!(before.len(), 1, "a message");
    server.ctl(&["set", "acme", "number.number1.mode", "ring"]).expect("it is flipped");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    b.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("A is connected");

    // While a call is up; it goes on.
    let backup = server.directory.join("backup");
    let made = server.ctl(&["backup", &backup.to_string_lossy()]).expect("a backup is made");
    println!("{made}");
    let again = server.ctl(&["backup", &backup.to_string_lossy()]).expect_err("it is there");
    assert!(again.to_string().contains("is not empty"), "{again}");
    assert_eq!(server.ctl(&["calls"]).expect("an answer").as_array().map(Vec::len), Some(1));
    let cdrs = |server: &Server| {
        let list = server.ctl(&["cdrs"]).expect("the records can be read");
        let list = list.as_array().expect("a list").clone();
        list.iter().map(|cdr| cdr["call"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let calls: Vec<String> = cdrs(&server);
    server.kill().expect("it ran");
    drop(a);

    // The sample's paths are whole ones: the restored configuration still names the old place.
    let home = server.directory.join("elsewhere");
    let conf = home.join("conf");
    let restore = || {
        let mut command = Command::new(binary("koukan").expect("it is built"));
        command.arg("restore").arg(&backup).arg(&conf).output().expect("it runs")
    };
    let refused = restore();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("is not empty"), "{words}");
    let file = conf.join("koukan.toml");
    let text = fs::read_to_string(&file).expect("the configuration is restored");
    let old = server.directory.join("data").display().to_string();
    fs::write(&file, text.replace(&old, &home.join("data").display().to_string())).expect("edited");
    let restored = restore();
    let words = String::from_utf8_lossy(&restored.stdout).into_owned();
    println!("{words}{}", String::from_utf8_lossy(&restored.stderr));
    assert!(restored.status.success());

    server.move_to(&home);
    server.run().expect("the restored office starts");
    assert_eq!(messages(&home.join("data")), before, "the message, byte for byte");
    let settings = server.ctl(&["get", "acme", "number.number1.mode"]).expect("an answer");
    assert!(settings.to_string().contains("\"ring\""), "{settings}");
    assert_eq!(cdrs(&server), calls, "every call that the backup knew, and no other");
    let registered = server.ctl(&["registrations"]).expect("an answer");
    assert_eq!(registered.as_array().map(Vec::len), Some(2), "{registered}");
    let mut a = phone(&server, "a2", &phone_spec(&server, 'A')).expect("A registers again");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings although it did not register again");
    b.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("A is connected");
    a.hang_up().expect("the control link stands");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
