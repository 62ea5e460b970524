//! What an operator gets wrong at the start is refused with its cause, and what an admin gets wrong
//! in the dialplan is named by file, line and column.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use koukan_e2e::server::{Server, binary};
use koukan_e2e::wait::wait_for;

/// `koukan ARGUMENTS`, which must end by itself within 20 s.
fn koukan(arguments: &[&str]) -> Output {
    let mut process = Command::new(binary("koukan").expect("the server is built"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    if wait_for(Duration::from_secs(20), || process.try_wait().ok().flatten()).is_none() {
        process.kill().expect("it runs");
        panic!("koukan {arguments:?} does not end");
    }
    process.wait_with_output().expect("its output")
}

fn words(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

fn stopped(name: &str) -> (Server, String) {
    let mut server = Server::start(name).expect("the server starts");
    server.kill().expect("it ran");
    let conf = server.directory.join("conf").to_string_lossy().into_owned();
    (server, conf)
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_names_the_first() {
    let server = Server::start("second").expect("the server starts");
    let conf = server.directory.join("conf");
    let output = koukan(&["run", &conf.to_string_lossy()]);
    let text = words(&output);
    assert!(!output.status.success(), "{text}");
    let pid = server.pid().expect("it runs").to_string();
    assert!(text.contains(&pid), "the running server's pid {pid} is not named:\n{text}");
}

#[test]
fn a_port_in_use_is_named() {
    let (server, conf) = stopped("port");
    let _taken = UdpSocket::bind(server.sip).expect("the server is gone");
    let output = koukan(&["run", &conf]);
    let text = words(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(&server.sip.to_string()), "the address is not named:\n{text}");
    assert!(text.to_lowercase().contains("in use"), "the cause is not named:\n{text}");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let (server, conf) = stopped("unwritable");
    let data = server.directory.join("data");
    fs::remove_dir_all(&data).expect("it is there");
    fs::write(&data, "a file where a directory should be").expect("it can be written");
    let output = koukan(&["run", &conf]);
    let text = words(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(&*data.to_string_lossy()), "the directory is not named:\n{text}");
}

#[test]
fn a_module_that_is_none_is_refused_without_running_and_the_server_says_why() {
    let (server, conf) = stopped("module");
    let file = server.directory.join("conf/koukan.toml");
    let text = fs::read_to_string(&file).expect("it is there");
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("path = "))
        .expect("a module is configured")
        .trim_matches('"')
        .to_owned();
    let wrong = server.directory.join("wrong.so");
    fs::write(&wrong, "this is no shared object").expect("it can be written");
    fs::write(&file, text.replace(&path, &wrong.to_string_lossy())).expect("it can be written");
    let output = koukan(&["run", &conf]);
    let text = words(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("wrong.so") && text.contains("ELF"), "the cause is not named:\n{text}");
}

#[test]
fn a_wrong_option_of_a_module_is_named_before_anything_is_loaded() {
    let (server, conf) = stopped("options");
    let file = server.directory.join("conf/koukan.toml");
    let before = fs::read_to_string(&file).expect("it is there");
    let module = binary("libcdr.so").expect("it is built");
    let table = format!(
        "[module.cdr]\npath = \"{}\"\ngrants = [\"records\"]\n\
         options = {{ fiel = \"x\", events = \"no\" }}\n",
        module.display()
    );
    fs::write(&file, format!("{before}{table}")).expect("it can be written");
    let line = before.lines().count() + 4;
    for command in ["check", "run"] {
        let output = koukan(&[command, &conf]);
        let text = words(&output);
        assert!(!output.status.success(), "{text}");
        for (column, said) in [
            (1, "`module.cdr.options` has no `file`"),
            (13, "the module \"cdr\" takes no option \"fiel\""),
            (34, "`module.cdr.options.events` cannot be \"no\""),
        ] {
            let place = format!("koukan.toml:{line}:{column}  {said}");
            assert!(text.contains(&place), "{place}\n{text}");
        }
        println!("{command}: {text}");
    }
    let right = table.replace("fiel = \"x\", events = \"no\"", "file = \"cdr.jsonl\"");
    fs::write(&file, format!("{before}{right}")).expect("it can be written");
    let output = koukan(&["check", &conf]);
    assert!(output.status.success(), "{}", words(&output));
}

#[test]
fn wrong_lines_of_a_dialplan_are_all_named_by_file_line_and_column() {
    let (server, conf) = stopped("broken");
    let tenant = server.directory.join("conf/tenants/acme");
    let broken = tenant.join("zz-broken.toml");
    fs::write(
        &broken,
        "[extension.x]\ndail = \"650\"\n\n[extension.y]\ndial = \"651\"\ndo = \"ecko\"\n",
    )
    .expect("it can be written");
    let output = koukan(&["check", &conf]);
    let text = words(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("zz-broken.toml:2:1"), "{text}");
    assert!(text.contains("dial"), "{text}");
    assert!(text.contains("zz-broken.toml:6:6"), "{text}");
    assert!(text.contains("echo"), "{text}");
    fs::remove_file(&broken).expect("it is there");
    let output = koukan(&["check", &conf]);
    assert!(output.status.success(), "{}", words(&output));
}

#[test]
fn what_a_tree_must_not_hold_is_named_and_the_check_ends_soon() {
    let (server, conf) = stopped("tree");
    let tenant = server.directory.join("conf/tenants/acme");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(tenant.join(name), bytes).expect("it can be written");
    };
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(tenant.join("secrets/A"), open).expect("it is ours");
    let check = || {
        let begun = Instant::now();
        let output = koukan(&["check", &conf]);
        println!("checked in {:.2} s", begun.elapsed().as_secs_f64());
        assert_eq!(output.status.code(), Some(1), "{}", words(&output));
        words(&output)
    };
    let text = check();
    assert!(text.contains("secrets/A may be read by others (mode 0644)"), "{text}");
    let line = text.lines().find(|line| line.contains("may be read")).unwrap_or_default();
    let place: Vec<&str> = line.split_whitespace().next().unwrap_or_default().split(':').collect();
    assert!(
        matches!(place.as_slice(), [file, _, "10", ..] if file.ends_with("office.toml")),
        "{line}"
    );

    symlink("/etc/hostname", tenant.join("zz-link.toml")).expect("it can be made");
    write("zz-long.toml", &vec![b'#'; (1 << 20) + 1]);
    write("zz-latin.toml", b"# good\n# caf\xe9\n");
    write("zz-deep.toml", format!("schema = 1\nx = {}", "[".repeat(1_000_000)).as_bytes());
    let text = check();
    for part in [
        "zz-link.toml  is a link that leads out of the tenant's directory",
        "zz-long.toml  cannot be read: the file is longer than 1048576 bytes",
        "zz-latin.toml  cannot be read: line 2 is not UTF-8",
        "zz-deep.toml:2:",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    assert!(text.len() < 100_000, "{} bytes", text.len());

    for name in ["zz-link.toml", "zz-long.toml", "zz-latin.toml", "zz-deep.toml"] {
        fs::remove_file(tenant.join(name)).expect("it is there");
    }
    let wrong: String =
        (0..25_000).map(|n| format!("[extension.x{n}]\ndail = \"6{n}\"\n")).collect();
    let whole = &wrong.as_bytes()[..wrong.len().min((1 << 20) - 100)];
    let end = whole.iter().rposition(|byte| *byte == b'[').expect("there are many");
    write("zz-wide.toml", &whole[..end]);
    let text = check();
    assert!(text.contains("zz-wide.toml:2:1") && text.len() < 200_000, "{} bytes", text.len());
}

#[test]
fn a_watch_checks_the_office_again_that_was_written() {
    let (server, conf) = stopped("watch");
    let log = server.directory.join("watch.txt");
    let out = fs::File::create(&log).expect("it can be made");
    let mut watch = Command::new(binary("koukan").expect("the server is built"))
        .args(["check", &conf, "--watch"])
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a second handle"))
        .stderr(out)
        .spawn()
        .expect("it starts");
    let said = |words: &str| {
        let text = || fs::read_to_string(&log).unwrap_or_default();
        let found = wait_for(Duration::from_secs(10), || text().contains(words).then_some(()));
        assert!(found.is_some(), "no {words} in:\n{}", text());
    };
    said("conf: 1 tenants");
    let broken = server.directory.join("conf/tenants/acme/zz-broken.toml");
    fs::write(&broken, "schema = 1\n[extension.x]\ndail = \"650\"\ndo = \"echo\"\n")
        .expect("it can be written");
    said("zz-broken.toml:3:1");
    said("acme again: 1 tenants, 6 devices, 1 errors");
    fs::remove_file(&broken).expect("it is there");
    said("acme again: 1 tenants, 6 devices, 0 errors");
    watch.kill().expect("it runs");
    watch.wait().expect("it ends");
}

#[test]
fn a_reload_with_a_broken_file_keeps_the_old_plan_and_says_where() {
    let server = Server::start("reload").expect("the server starts");
    let broken = server.directory.join("conf/tenants/acme/zz-broken.toml");
    fs::write(&broken, "[extension.x\n").expect("it can be written");
    let error = server.ctl(&["reload"]).expect_err("a broken plan is not taken").to_string();
    assert!(error.contains("zz-broken.toml:1:"), "{error}");
    fs::write(&broken, "[extension.x]\ndial = \"650\"\ndo = \"echo\"\n")
        .expect("it can be written");
    server.ctl(&["reload"]).expect("a good plan is taken");
}
