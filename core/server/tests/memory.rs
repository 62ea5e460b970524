//! What a storm of registrations leaves behind of memory, in a process that does nothing else.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use koukan::os;
use koukan_base::Time;
use koukan_sip::registrar::{ContactEntry, RegisterRequest, Registrar, RegistrarConfig};
use koukan_sip::{Flow, ListenerId, Transport};

/// Phones that register in one storm.
const PHONES: u32 = 20_000;

/// Bytes that a binding may take of the process when the storm is over.
const EACH: u64 = 2_000;

fn register(registrar: &mut Registrar, number: u32) {
    let user = format!("bench-{number}");
    let contact = ContactEntry {
        uri: format!("sip:{user}@127.0.0.1:{}", 20_000 + number % 64).into_bytes(),
        expires: None,
        q: 1_000,
        instance: None,
        reg_id: None,
    };
    let request = RegisterRequest {
        contacts: vec![contact],
        call_id: format!("w{number}").into_bytes(),
        cseq: 2,
        ..RegisterRequest::default()
    };
    let remote = ([127, 0, 0, 1], u16::try_from(20_000 + number % 64).unwrap()).into();
    let listener = ListenerId(0);
    let flow = Flow { transport: Transport::Udp, listener, remote, connection: 0 };
    registrar.register(Time::from_millis(1_000), &user, &request, flow, 1).unwrap();
}

#[test]
fn bindings_of_a_storm_hold_none_of_the_memory_of_its_transactions() {
    os::set_allocator();
    os::trim_memory();
    let before = os::resident_bytes();
    let mut registrar = Registrar::new(RegistrarConfig::default());
    // What a registration and its challenge have of transactions, which end half a minute later.
    let mut transactions = Vec::new();
    for number in 0..PHONES {
        transactions.push([vec![1_u8; 420], vec![2; 700], vec![3; 130]]);
        register(&mut registrar, number);
        transactions.push([vec![4_u8; 380], vec![5; 520], vec![6; 130]]);
    }
    let grown = |now: u64| now.saturating_sub(before) / u64::from(PHONES);
    let full = grown(os::resident_bytes());
    drop(transactions);
    os::trim_memory();
    let scattered = grown(os::resident_bytes());
    registrar.shrink();
    os::trim_memory();
    let laid = grown(os::resident_bytes());
    println!("bytes a phone: {full} in the storm, {scattered} behind it, {laid} laid side by side");
    assert!(laid < EACH && laid < scattered, "{full}, {scattered}, {laid}");
    assert_eq!(registrar.users().count(), usize::try_from(PHONES).unwrap());
}
