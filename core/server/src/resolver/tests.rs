//! The resolver against a name server on the loopback that holds a carrier's zone (RFC 3263).

use std::net::UdpSocket as StdSocket;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, Record};
use tokio::net::UdpSocket;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The zone of a carrier: NAPTR to SRV, two targets, one of them with two addresses.
fn zone() -> Vec<Record> {
    let record = |owner: &str, ttl, data| Record::from_rdata(name(owner), ttl, data);
    let srv =
        |priority, weight, port, target| RData::SRV(SRV::new(priority, weight, port, name(target)));
    let a = |last| RData::A(A::new(192, 0, 2, last));
    let naptr = |order, flags: &[u8], service: &[u8], to| {
        let text = |bytes: &[u8]| bytes.to_vec().into_boxed_slice();
        RData::NAPTR(NAPTR::new(order, 1, text(flags), text(service), text(b""), name(to)))
    };
    vec![
        record("ngn.test.", 600, naptr(2, b"s", b"SIP+D2U", "_late.ngn.test.")),
        record("ngn.test.", 600, naptr(1, b"s", b"SIP+D2T", "_tcp.ngn.test.")),
        record("ngn.test.", 600, naptr(1, b"S", b"sip+d2u", "_own.ngn.test.")),
        record("_own.ngn.test.", 600, srv(20, 5, 5080, "b.ngn.test.")),
        record("_own.ngn.test.", 600, srv(10, 7, 5060, "a.ngn.test.")),
        record("_own.ngn.test.", 600, srv(30, 7, 5060, "gone.ngn.test.")),
        record("_sip._udp.plain.test.", 600, srv(1, 0, 5090, "a.ngn.test.")),
        record("a.ngn.test.", 90, a(1)),
        record("a.ngn.test.", 90, a(2)),
        record("b.ngn.test.", 600, a(3)),
        record("bare.test.", 1, a(4)),
        record("troubled.test.", 600, a(5)),
    ]
}

/// A name server on the loopback; what it is asked for.
async fn serve(socket: UdpSocket) {
    let zone = zone();
    let mut buffer = [0; 1500];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else { return };
        let Ok(mut message) = Message::from_vec(&buffer[..count]) else { continue };
        let query = message.queries()[0].clone();
        let owned = |record: &&Record| record.name() == query.name();
        let fits = |record: &&Record| record.record_type() == query.query_type();
        let here = zone.iter().filter(owned).count();
        message.add_answers(zone.iter().filter(owned).filter(fits).cloned());
        message.set_message_type(MessageType::Response);
        if query.name() == &name("_sip._udp.troubled.test.") {
            message.set_response_code(ResponseCode::ServFail);
        } else if here == 0 {
            message.set_response_code(ResponseCode::NXDomain);
        }
        socket.send_to(&message.to_vec().unwrap(), from).await.unwrap();
    }
}

/// What a name stands for: address, priority and weight; and for how many seconds at least.
fn found(wanted: &str, tcp: bool) -> (Vec<(String, u16, Option<u16>)>, u64) {
    let socket = StdSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let server = socket.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::spawn(serve(UdpSocket::from_std(socket).unwrap()));
        let lookup = NameLookup { nameservers: vec![server], v4: true, v6: false };
        let resolver = resolver(&lookup).unwrap();
        let wanted = (Arc::from(wanted), tcp);
        let Ok(known) = look_up(&resolver, &lookup, &wanted).await else {
            return (Vec::new(), 0);
        };
        let seconds = known.until.saturating_duration_since(Instant::now()).as_secs();
        let each = known.found.into_iter();
        (each.map(|f| (f.address.to_string(), f.priority, f.weight)).collect(), seconds)
    })
}

fn at(address: &str, priority: u16, weight: Option<u16>) -> (String, u16, Option<u16>) {
    (address.to_owned(), priority, weight)
}

#[test]
fn a_name_stands_for_what_naptr_srv_and_address_records_say() {
    let (mut hosts, seconds) = found("ngn.test", false);
    hosts.sort();
    let wanted = [
        at("192.0.2.1:5060", 10, Some(7)),
        at("192.0.2.2:5060", 10, Some(7)),
        at("192.0.2.3:5080", 20, Some(5)),
    ];
    assert_eq!(hosts, wanted, "a target that does not exist is passed over");
    assert!((80..=90).contains(&seconds), "the shortest life counts: {seconds}");
    assert_eq!(found("plain.test", false).0.len(), 2, "without NAPTR the usual SRV name");
    assert_eq!(found("plain.test", true).0, [], "no TCP there, and no address of that name");
}

#[test]
fn a_name_without_srv_or_with_a_port_is_a_host() {
    let (hosts, seconds) = found("bare.test", false);
    assert_eq!(hosts, [at("192.0.2.4:5060", 0, None)]);
    assert!((28..=30).contains(&seconds), "looked up no more often than that: {seconds}");
    assert_eq!(found("b.ngn.test:5999", false).0, [at("192.0.2.3:5999", 0, None)]);
    assert_eq!(found("nobody.test", false).0, []);
    assert_eq!(found("troubled.test", false), (Vec::new(), 0), "trouble with SRV is no answer");
}

#[test]
fn the_plans_ranks_come_first_and_srv_ranks_within_them() {
    let host = |address: &str, priority, weight| TrunkHostName {
        address: Arc::from(address),
        priority,
        weight,
    };
    let hosts = [host("ngn.test", 1, 9), host("192.0.2.9", 2, 4), host("late.test:5070", 2, 8)];
    let address = |last: u8| SocketAddr::from(([192, 0, 2, last], 5060));
    let ngn = [
        Found { address: address(1), priority: 20, weight: Some(1) },
        Found { address: address(2), priority: 10, weight: Some(2) },
    ];
    let late = [Found { address: address(3), priority: 0, weight: None }];
    let known = |name: &Arc<str>| match &**name {
        "ngn.test" => Some(ngn.as_slice()),
        "late.test:5070" => Some(late.as_slice()),
        _ => None,
    };
    let ranked = ranked(&hosts, known);
    let each = ranked.iter().map(|host| {
        (host.address.ip().to_string(), host.priority, host.weight, host.name.as_deref())
    });
    let wanted = [
        ("192.0.2.2".to_owned(), 1, 2, Some("ngn.test")),
        ("192.0.2.1".to_owned(), 2, 1, Some("ngn.test")),
        ("192.0.2.3".to_owned(), 3, 8, Some("late.test")),
        ("192.0.2.9".to_owned(), 3, 4, None),
    ];
    assert_eq!(each.collect::<Vec<_>>(), wanted);
}
