//! Torture messages and their mutations against the live server, by UDP and TCP, and RTP garbage in
//! a running call: it keeps answering, its memory and its descriptors stay flat, nothing is left.

#![expect(clippy::indexing_slicing, reason = "a panic here is a failed test")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::{Server, answers_options, source_root};
use koukan_e2e::wait::wait_for;

/// How many mutated messages are sent, half by UDP and half by TCP.
const MUTATIONS: usize = 10_000;

/// A small generator of its own, so that a failing run can be repeated from its printed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap_or(0)
    }

    fn mutate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..=self.roll(8) {
            let at = self.roll(bytes.len());
            let value = u8::try_from(self.roll(256)).unwrap_or(0);
            match self.roll(5) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = value,
                2 => bytes.insert(at.min(bytes.len()), value),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {
                    let end = (at + self.roll(40)).min(bytes.len());
                    let copy = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at.min(end)..at.min(end), copy);
                }
            }
        }
        bytes
    }
}

fn torture_messages() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut open = vec![source_root().join("core/sip/tests/data")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("the torture messages are in the tree") {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "dat") {
                found.push(fs::read(&path).expect("a readable file"));
            }
        }
    }
    assert!(found.len() >= 45, "only {} torture messages", found.len());
    found
}

fn by_tcp(server: SocketAddr, message: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(server) else { return };
    // A refusal shows as an error of these calls; only the server's life is judged here.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
    let _ = stream.write_all(message);
    let _ = stream.read(&mut [0; 512]);
}

#[test]
fn torture_messages_and_their_mutations_leave_the_server_answering_and_flat() {
    let mut server = Server::start("hostile").expect("the server starts");
    let messages = torture_messages();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let seed = 0x5eed_0001;
    println!("{} messages, {MUTATIONS} mutations, seed {seed:#x}", messages.len());
    let mut dice = Dice(seed);
    let mut send = |server: SocketAddr, count: usize| {
        for index in 0..count {
            let message = dice.mutate(&messages[index % messages.len()]);
            if index % 2 == 0 {
                socket.send_to(&message, server).expect("loopback takes it");
            } else {
                by_tcp(server, &message);
            }
        }
    };
    for message in &messages {
        socket.send_to(message, server.sip).expect("loopback takes it");
        by_tcp(server.sip, message);
    }
    send(server.sip, MUTATIONS / 5);
    let (warm_rss, warm_files) = server.resources().expect("the server runs");
    send(server.sip, MUTATIONS);
    assert!(server.is_up(), "the server has ended:\n{}", server.log_tail());
    wait_for(Duration::from_secs(5), || answers_options(server.sip).ok()).expect("it answers");
    server.wait_empty(Duration::from_secs(60)).expect("nothing is left");
    let settled = wait_for(Duration::from_secs(40), || {
        let (_, files) = server.resources().ok()?;
        (files <= warm_files).then_some(())
    });
    let (rss, files) = server.resources().expect("the server runs");
    println!("RSS {warm_rss} kB -> {rss} kB, descriptors {warm_files} -> {files}");
    assert!(settled.is_some(), "descriptors grew from {warm_files} to {files}");
    assert!(rss <= warm_rss + warm_rss / 5 + 2048, "RSS grew from {warm_rss} to {rss} kB");
}

#[test]
fn garbage_on_the_media_ports_is_dropped_and_counted_and_the_call_goes_on() {
    let mut server = Server::start("rtp-garbage").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", Duration::from_secs(8)).expect("the echo answers");
    std::thread::sleep(Duration::from_millis(500));
    let log = a.log();
    let port: u16 = log
        .match_indices("m=audio ")
        .filter_map(|(at, _)| log[at + 8..].split_whitespace().next()?.parse().ok())
        .find(|port| (20_000..40_000).contains(port))
        .expect("the server's SDP names its port");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut dice = Dice(0x5eed_0002);
    for _ in 0..5000 {
        let garbage: Vec<u8> =
            (0..dice.roll(1400)).map(|_| u8::try_from(dice.roll(256)).unwrap_or(0)).collect();
        socket.send_to(&garbage, ("127.0.0.1", port)).expect("loopback takes it");
        socket.send_to(&garbage, ("127.0.0.1", port + 1)).expect("loopback takes it");
    }
    socket.send_to(&[0; 65_000], ("127.0.0.1", port)).expect("loopback takes it");
    std::thread::sleep(Duration::from_secs(3));
    a.hang_up().expect("the control link stands");
    let heard = a.heard().expect("A's recording");
    let level = heard.part(heard.seconds() - 2.0, heard.seconds() - 0.2).tone_dbfs(440.0);
    assert!((level + 15.0).abs() <= 1.0, "after the garbage the echo is at {level:.2} dBFS");
    assert!(server.is_up(), "the server has ended:\n{}", server.log_tail());
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");
}
