//! Who is slow at the API: connections that say nothing, or a byte now and then.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "no phone is needed here")]
mod office;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use office::{Office, json};

#[test]
fn those_who_dribble_are_closed_and_keep_nobody_out() {
    let office = Office::new("slow");
    office.configure(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\n\
         [control]\nhttp = \"127.0.0.1:0\"\n",
    );
    let server = office.start();
    let http = server.http().unwrap();
    // More than there are places for, on both: half say nothing, half begin a request.
    let mut tcp: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(http).unwrap()).collect();
    let mut unix: Vec<UnixStream> =
        (0..60).map(|_| UnixStream::connect(server.socket()).unwrap()).collect();
    for stream in tcp.iter_mut().step_by(2) {
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: ").unwrap();
    }
    for stream in unix.iter_mut().step_by(2) {
        stream.write_all(b"GET /v1/st").unwrap();
    }
    let begun = Instant::now();
    assert_eq!(json(server.socket(), "/v1/status")["pid"], std::process::id());
    assert!(begun.elapsed() < Duration::from_secs(2), "the operator's socket has places left");
    // A byte a second keeps no place either.
    let slow = tcp.first_mut().unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut closed = None;
    while begun.elapsed() < Duration::from_secs(16) && closed.is_none() {
        let gone = slow.write_all(b"x").is_err();
        let mut answer = [0; 64];
        let ended = matches!(slow.read(&mut answer), Ok(0))
            || (answer.starts_with(b"HTTP/1.1 408") || gone);
        closed = ended.then(|| begun.elapsed());
    }
    let closed = closed.expect("it is closed");
    assert!((8..14).contains(&closed.as_secs()), "{closed:?}");
    // Those who waited behind them get their turn: the port answers again.
    let mut late = TcpStream::connect(http).unwrap();
    late.set_read_timeout(Some(Duration::from_secs(14))).unwrap();
    late.write_all(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn no_web_page_has_this_machine_do_anything() {
    let office = Office::new("browser");
    office.configure(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\n\
         [control]\nhttp = \"127.0.0.1:0\"\n",
    );
    let server = office.start();
    let http = server.http().unwrap();
    let status = |headers: &str| {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = format!(
            "POST /v1/tenants/nobody/sent-faxes?to=0355551234 HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             {headers}Content-Type: text/plain\r\nContent-Length: 5\r\n\
             Connection: close\r\n\r\nhello"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("Origin: https://evil.example\r\n"), "403");
    assert_eq!(status("Origin: null\r\n"), "403");
    assert_eq!(status("Sec-Fetch-Site: cross-site\r\n"), "403");
    assert_eq!(status("Sec-Fetch-Site: same-origin\r\n"), "403", "a name that leads here");
    // A program gets an answer to its question: here there is no such office.
    assert_eq!(status(""), "404");
}

#[test]
fn a_page_whose_name_was_made_to_lead_here_reads_nothing() {
    let office = Office::new("rebinding");
    office.configure(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nworkers = 1\n\
         [control]\nhttp = \"127.0.0.1:0\"\n",
    );
    let server = office.start();
    let http = server.http().unwrap();
    // Such a page asks as its own: a browser adds neither Origin nor Sec-Fetch-Site.
    let status = |target: &str, host: &str| {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let own = format!("Host: {http}\r\n");
    assert_eq!(status("/v1/cdrs", "Host: evil.example\r\n"), "421");
    assert_eq!(status("/metrics", &format!("Host: evil.example:{}\r\n", http.port())), "421");
    assert_eq!(status("http://evil.example/v1/cdrs", &own), "421");
    assert_eq!(status("/v1/cdrs", &own), "200");
    assert_eq!(status("/metrics", "Host: localhost\r\n"), "200");
}
