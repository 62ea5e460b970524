//! Properties of messages and of the user agent (RFC 3261): no bytes panic, what is printed is
//! read again, and no order of operations leaves a table filled.

#[path = "support/dialog_ops.rs"]
mod dialog_ops;
#[path = "support/ops.rs"]
mod ops;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/registrar_ops.rs"]
mod registrar_ops;
#[path = "support/subscription_ops.rs"]
mod subscription_ops;
#[path = "support/typed.rs"]
mod typed;
#[path = "support/walk.rs"]
mod walk;

use koukan_base::Time;
use koukan_sip::{Counts, Framed, Framer, Message, Scanner, Transport};
use proptest::prelude::*;

const INVITE: &[u8] = include_bytes!("data/wsinv.dat");
const PLAIN: &[u8] = include_bytes!("data/sdp01.dat");

/// Feeds bytes to a user agent and lets every timer run out.
fn survive(bytes: &[u8]) {
    let mut agent = peer::agent(Transport::Udp);
    agent.handle_bytes(Time::ZERO, peer::flow(Transport::Udp), bytes);
    while agent.poll_action().is_some() {}
}

/// The message again, in its plainest form.
fn print(message: &Message) -> Vec<u8> {
    let mut text = match message.status() {
        Some(status) => {
            [b"SIP/2.0 ", status.to_string().as_bytes(), b" ", message.reason_phrase()].concat()
        }
        None => [message.method_name(), b" ", message.request_uri(), b" SIP/2.0"].concat(),
    };
    text.extend(b"\r\n");
    for (name, value) in message.lines() {
        text.extend([name, b": ", value, b"\r\n"].concat());
    }
    [text.as_slice(), b"\r\n", message.body()].concat()
}

fn assert_round_trip(message: &Message) {
    let again = Message::from_datagram(&mut Scanner::new(), &print(message)).expect("printed");
    assert_eq!(again.status(), message.status());
    assert_eq!(again.method_name(), message.method_name());
    assert_eq!(again.request_uri(), message.request_uri());
    assert_eq!(again.reason_phrase(), message.reason_phrase());
    assert!(again.lines().eq(message.lines()));
    assert_eq!(again.body(), message.body());
}

#[test]
fn a_message_cut_at_any_length_or_with_any_byte_flipped_never_panics() {
    for whole in [INVITE, PLAIN] {
        for length in 0..whole.len() {
            let cut = &whole[..length];
            // A description that lost whole lines at its end looks as an ALG leaves it.
            let at_line = cut.ends_with(b"\r\n") && whole.len() - length <= 64;
            assert!(walk::walk(cut).is_err() || at_line, "cut at {length}");
            survive(cut);
        }
        let mut bytes = whole.to_vec();
        for at in 0..bytes.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                bytes[at] ^= mask;
                if let Ok(message) = walk::walk(&bytes) {
                    assert_round_trip(&message);
                }
                survive(&bytes);
                bytes[at] ^= mask;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = walk::walk(&bytes);
        survive(&bytes);
    }

    #[test]
    fn no_text_that_looks_like_sip_panics(
        lines in proptest::collection::vec("[A-Za-z-]{0,9}[ \t]?:?[ -~\u{e9}\r\n\t]{0,40}", 0..20),
        end in "(\r\n|\n|)(\r\n|\n|)",
    ) {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\n{}{end}", lines.join("\r\n"));
        if let Ok(message) = walk::walk(text.as_bytes()) {
            assert_round_trip(&message);
        }
        survive(text.as_bytes());
    }

    #[test]
    fn a_stream_gives_the_same_messages_however_it_is_cut(
        cuts in proptest::collection::vec(1..200usize, 1..40),
        line_ends in 0..4usize,
    ) {
        let stream = [PLAIN, &b"\r\n\r\n".repeat(line_ends), PLAIN, b"\r\n", PLAIN].concat();
        let (mut framer, mut scanner) = (Framer::default(), Scanner::new());
        let (mut rest, mut count, mut pings) = (stream.as_slice(), 0, 0);
        for step in cuts.iter().cycle() {
            let (piece, more) = rest.split_at((*step).min(rest.len()));
            framer.push(piece);
            rest = more;
            loop {
                match framer.next(&mut scanner).expect("a sound stream") {
                    Framed::Message(message) => {
                        prop_assert_eq!(message.bytes(), PLAIN);
                        count += 1;
                    }
                    Framed::Ping => pings += 1,
                    Framed::Nothing => break,
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!((count, pings, framer.is_waiting()), (3, line_ends, false));
    }

    #[test]
    fn no_order_of_operations_leaves_a_table_filled(
        script in proptest::collection::vec(any::<u8>(), 0..240),
        stream in any::<bool>(),
    ) {
        let transport = if stream { Transport::Tcp } else { Transport::Udp };
        ops::Ops::new(transport).run(&script);
    }

    #[test]
    fn no_order_of_registrations_outlives_its_time(
        script in proptest::collection::vec(any::<u8>(), 0..300),
        seed in any::<u8>(),
    ) {
        registrar_ops::RegistrarOps::new(seed).run(&script);
    }

    #[test]
    fn no_order_of_operations_between_two_agents_leaves_a_table_filled(
        script in proptest::collection::vec(any::<u8>(), 0..240),
        seed in any::<u8>(),
    ) {
        dialog_ops::Pair::new(seed).run(&script);
    }

    #[test]
    fn no_order_of_operations_leaves_a_subscription(
        script in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        subscription_ops::Ops::new().run(&script);
    }

    #[test]
    fn typed_headers_lie_inside_their_bytes_and_built_ones_are_found_again(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[ -~\u{e9}\t]{0,80}",
    ) {
        typed::look_at_line(&bytes);
        typed::look_at_line(text.as_bytes());
        typed::build(&bytes);
    }
}

#[test]
fn an_untouched_agent_is_empty() {
    assert_eq!(peer::agent(Transport::Udp).counts(), Counts::default());
}
