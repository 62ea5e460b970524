//! Strangers on the Internet: guessed passwords, scanners, and the good user behind their address.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::{Server, target};
use koukan_e2e::wait::wait_for;

/// A REGISTER with a digest that cannot be right, under a nonce.
fn guess(server: SocketAddr, own: SocketAddr, (user, number): (&str, u32), nonce: &str) -> String {
    format!(
        "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=g{number}\r\n\
         To: <sip:{user}@{server}>\r\nCall-ID: guess-{number}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:{user}@{own}>\r\n\
         Authorization: Digest username=\"{user}\", realm=\"koukan\", nonce=\"{nonce}\", \
         uri=\"sip:{server}\", response=\"{number:032x}\"\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The nonce that a socket is given.
fn nonce(socket: &UdpSocket, server: SocketAddr) -> io::Result<String> {
    let text = guess(server, socket.local_addr()?, ("nobody", 9_999), "");
    let asked: Vec<&str> =
        text.split_inclusive("\r\n").filter(|line| !line.starts_with("Authorization")).collect();
    socket.send_to(asked.concat().as_bytes(), server)?;
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer)?;
    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
    let nonce = text.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(nonce.unwrap_or_default().to_owned())
}

/// Sends guesses within a second, under the nonce that it was given or one that it invents; the
/// statuses that came back within two more.
fn guesses(server: SocketAddr, count: u32, invented: bool) -> io::Result<Vec<String>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let own = socket.local_addr()?;
    let nonce = if invented { "invented".to_owned() } else { nonce(&socket, server)? };
    let begun = Instant::now();
    // No two rounds send the same request: the second would be a loop of the first.
    let first = if invented { 1_000 } else { 0 };
    for number in first..first + count {
        let user = format!("acme-{}", 801 + number % 12);
        socket.send_to(guess(server, own, (&user, number), &nonce).as_bytes(), server)?;
        std::thread::sleep(Duration::from_millis(15));
    }
    println!("{count} guesses in {:.2} s", begun.elapsed().as_secs_f64());
    let mut answers = Vec::new();
    let mut buffer = [0; 2048];
    let quiet = Instant::now() + Duration::from_secs(2);
    while Instant::now() < quiet {
        if let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            answers.push(text.lines().next().unwrap_or_default().to_owned());
        }
    }
    Ok(answers)
}

#[test]
fn sixty_guesses_in_a_second_get_few_answers_and_a_good_user_beside_them_registers() {
    let server = Server::start("guesses").expect("the server starts");
    let answers = guesses(server.sip, 60, true).expect("the loopback works");
    println!("answered under an invented nonce: {answers:?}");
    assert!((1..=10).contains(&answers.len()), "{} answers", answers.len());
    assert!(answers.iter().all(|line| line.contains(" 401 ")), "{answers:?}");
    let bans = server.ctl(&["bans"]).expect("the server answers");
    assert_eq!(bans.as_array().map(Vec::len), Some(0), "anybody may have sent them: {bans}");
    let answers = guesses(server.sip, 60, false).expect("the loopback works");
    println!("answered: {answers:?}");
    assert!((1..=10).contains(&answers.len()), "{} answers", answers.len());
    assert!(answers.iter().all(|line| line.contains(" 403 ")), "{answers:?}");
    let bans = server.ctl(&["bans"]).expect("the server answers");
    println!("{bans}");
    assert_eq!(bans[0]["source"], "127.0.0.1");
    let why = bans[0]["why"].as_str().expect("a reason");
    assert!(why.contains("wrong passwords") && why.contains("acme-80"), "{why}");
    let dropped = bans[0]["dropped"].as_u64().expect("a count");
    assert!(dropped >= 50, "{dropped}");
    // The ban is in force.
    let _a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers all the same");
    server.ctl(&["bans", "lift", "127.0.0.1"]).expect("it is banned");
    assert!(server.ctl(&["bans", "lift", "127.0.0.1"]).is_err(), "once");
    assert_eq!(
        server.ctl(&["bans"]).expect("the server answers").as_array().map(Vec::len),
        Some(0)
    );
    assert!(server.log_tail().contains("is banned for 60 s"));
}

/// An INVITE of nobody.
fn invite(server: SocketAddr, own: SocketAddr, number: u32) -> String {
    format!(
        "INVITE sip:600@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKf{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:flood@{own}>;tag=f{number}\r\nTo: <sip:600@{server}>\r\n\
         Call-ID: flood-{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:flood@{own}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Calls without end until it is told to stop, more and more until some are refused for it; how
/// many were sent, and how often each status came.
fn flood(
    server: SocketAddr,
    (refused, stop): (&AtomicBool, &AtomicBool),
) -> (u32, BTreeMap<String, u32>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    let own = socket.local_addr().expect("its address");
    let mut answers = BTreeMap::new();
    let mut buffer = [0; 2048];
    let mut take = |answers: &mut BTreeMap<String, u32>| {
        while let Ok(length) = socket.recv(&mut buffer) {
            let text =
                String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
            let status = text.split(' ').nth(1).unwrap_or_default();
            let again = if text.contains("\r\nRetry-After: ") { " again" } else { "" };
            *answers.entry(format!("{status}{again}")).or_default() += 1;
        }
    };
    let (mut sent, mut batch, mut faster) = (0, 2, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..batch {
            sent += u32::from(socket.send_to(invite(server, own, sent).as_bytes(), server).is_ok());
        }
        take(&mut answers);
        if answers.contains_key("503 again") {
            refused.store(true, Ordering::Relaxed);
        } else if faster.elapsed() > Duration::from_millis(250) {
            (batch, faster) = ((batch * 2).min(200), Instant::now());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let quiet = Instant::now() + Duration::from_secs(1);
    while Instant::now() < quiet {
        take(&mut answers);
        std::thread::sleep(Duration::from_millis(2));
    }
    (sent, answers)
}

#[test]
fn a_flood_of_calls_is_told_to_come_again_and_a_call_that_is_up_is_served_first() {
    let server = Server::start("flood").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", Duration::from_secs(10)).expect("the echo answers");
    let (refused, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (ended, (sent, answers)) = std::thread::scope(|scope| {
        let flood = scope.spawn(|| flood(server.sip, (&refused, &stop)));
        let begins = || refused.load(Ordering::Relaxed).then_some(());
        let begins = wait_for(Duration::from_secs(20), begins);
        let begun = Instant::now();
        a.hang_up().expect("the control link stands");
        let calls = || server.ctl(&["calls"]).ok()?.as_array().map(Vec::len);
        let gone = || calls().filter(|count| *count == 0);
        let ended = wait_for(Duration::from_secs(10), gone).map(|_| begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        assert!(begins.is_some(), "nothing was refused");
        (ended, flood.join().expect("it ends"))
    });
    let ended = ended.expect("the call ends in the flood");
    let shed = server.metric("koukan_calls_shed_total").expect("it is measured");
    println!("{sent} calls: {answers:?}, {shed} shed; hung up within {ended:?}");
    assert!(ended < Duration::from_secs(2), "{ended:?}");
    assert!(shed > 0.0 && answers.get("503 again").is_some_and(|count| *count > 0));
    assert!(!answers.contains_key("503"), "who is refused hears when to come again");
    let idle = || server.metric("koukan_overloaded").ok().filter(|now| *now < 0.5);
    wait_for(Duration::from_secs(5), idle).expect("it is over");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", Duration::from_secs(10)).expect("calls are taken again");
    a.hang_up().expect("the control link stands");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}

#[test]
fn sipvicious_finds_no_user() {
    let server = Server::start("svwar").expect("the server starts");
    let _a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let scanner = target().expect("a target").join("pjsua2/bin/sipvicious_svwar");
    let names = server.directory.join("names.txt");
    fs::write(&names, "acme-801\nacme-802\nacme-899\nadmin\n").expect("it is written");
    let names = names.to_string_lossy().into_owned();
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        for whom in [["-d", names.as_str()], ["-e", "795-812"]] {
            let output = Command::new(&scanner)
                .args(["-m", method, "-p", &server.sip.port().to_string()])
                .args(whom)
                .arg("127.0.0.1")
                .current_dir(&server.directory)
                .output()
                .expect("sipvicious is installed");
            let words = [output.stdout, output.stderr].concat();
            let words = String::from_utf8_lossy(&words).into_owned();
            println!("{method} {whom:?}: {words}");
            // By OPTIONS it takes names that it made up for users, since all are answered alike.
            let end = if method == "OPTIONS" { "reqauth" } else { "found nothing" };
            assert!(words.contains(end), "{method}: {words}");
            let found = |user: &str| words.contains(&format!("| {user} "));
            let users = (801..=806).flat_map(|n| [n.to_string(), format!("acme-{n}")]);
            assert!(!users.into_iter().any(|user| found(&user)), "{method}: {words}");
        }
    }
    let registered = server.ctl(&["registrations"]).expect("the server answers");
    assert_eq!(registered.as_array().map(Vec::len), Some(1));
    wait_for(Duration::from_secs(5), || server.ctl(&["status"]).ok()).expect("it is well");
}
