//! Torture messages and their mutations against the live server, by UDP and TCP, RTP garbage in a
//! running call, and mixed traffic with rubbish in between: it keeps answering, its memory and its
//! descriptors stay flat, nothing is left.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use koukan_e2e::garbage::{Dice, by_tcp, torture_messages};
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::{Server, answers_options};
use koukan_e2e::soak;
use koukan_e2e::wait::wait_for;

/// How many mutated messages are sent, half by UDP and half by TCP.
const MUTATIONS: usize = 10_000;

#[test]
fn torture_messages_and_their_mutations_leave_the_server_answering_and_flat() {
    let mut server = Server::start("hostile").expect("the server starts");
    let messages = torture_messages().expect("the torture messages are in the tree");
    assert!(messages.len() >= 45, "only {} torture messages", messages.len());
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
        let garbage = dice.noise(1400);
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

#[test]
fn mixed_traffic_leaves_empty_tables_and_flat_memory() {
    let report = soak::run(Duration::from_secs(40)).expect("the server and sipp start");
    println!("{}", report.text);
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
}
