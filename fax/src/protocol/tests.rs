//! Every message there and back, in any pieces; what is none ends the connection.

use proptest::prelude::*;

use super::*;

fn messages() -> (Vec<Order>, Vec<Report>) {
    let station =
        Station { ident: "+81 3 1234".to_owned(), rate: Rate::V29, ecm: true, calling: false };
    let remote = "192.0.2.1:4000".parse().unwrap();
    let audio = Audio {
        remote,
        law: Law::A,
        payload_type: 8,
        ssrc: 7,
        sequence: 65_535,
        timestamp: u32::MAX,
    };
    let t38 = T38 {
        remote: "[2001:db8::1]:9".parse().unwrap(),
        max_datagram: 400,
        redundancy: 0,
        fec: Some((3, 3)),
        local_tcf: false,
        max_bit_rate: 14_400,
    };
    let session = SessionId(u64::MAX);
    let file = "ファクス/1.tif".to_owned();
    let tasks = [
        Task::Send { file: file.clone(), first_page: 3, station: station.clone() },
        Task::Receive { file, max_pages: 30, station: station.clone() },
        Task::Gateway { station },
    ];
    let media = Media::Gateway { audio: audio.clone(), t38: t38.clone() };
    let mut orders = vec![
        Order::Switch { session, media: Media::T38(t38) },
        Order::Stop { session },
        Order::Shutdown,
    ];
    for task in tasks {
        orders.push(Order::Start { session, task: task.clone(), media: media.clone() });
        let media = Media::Audio(audio.clone());
        orders.push(Order::Start { session, task, media });
    }
    let events = [
        Event::Remote { ident: String::new() },
        Event::Rate { bit_rate: 9_600, ecm: false },
        Event::Retrain,
        Event::Page(Page {
            number: 1,
            width: 1_728,
            length: 2_200,
            bytes: 40_000,
            bad_rows: 2,
            stored_us: 9,
        }),
        Event::RefusedFrame { kind: 0xC1 },
        Event::End(End { code: 49, words: "dropped".to_owned(), ..End::default() }),
    ];
    let walls = Walls { files: true, calls: false };
    let refused = Report::Refused { session, reason: "full".to_owned() };
    let mut reports = vec![Report::Ready { walls }, refused];
    reports.extend(events.map(|event| Report::Event { session, event }));
    (orders, reports)
}

#[test]
fn messages_come_as_they_were_sent_in_any_pieces() {
    let (orders, reports) = messages();
    let bytes: Vec<u8> = orders.iter().flat_map(|order| frame(order).unwrap()).collect();
    for piece in [1, 3, 100, bytes.len()] {
        let (mut frames, mut came) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            frames.push(piece);
            while let Some(order) = frames.poll::<Order>().unwrap() {
                came.push(order);
            }
        }
        assert_eq!(came, orders);
    }
    let mut frames = Frames::default();
    reports.iter().for_each(|report| frames.push(&frame(report).unwrap()));
    for report in reports {
        assert_eq!(frames.poll().unwrap(), Some(report));
    }
}

#[test]
fn another_version_and_lengths_that_none_has_end_the_connection() {
    let mut other = frame(&Order::Shutdown).unwrap();
    other[4] = VERSION + 1;
    let read = |bytes: &[u8]| {
        let mut frames = Frames::default();
        frames.push(bytes);
        frames.poll::<Order>()
    };
    assert_eq!(read(&other), Err(FrameError::Version(VERSION + 1)));
    assert_eq!(read(&[0, 0, 0, 1, VERSION]), Err(FrameError::Length(1)));
    assert_eq!(read(&[0xFF; 4]), Err(FrameError::Length(u32::MAX as usize)));
    assert!(matches!(read(&[0, 0, 0, 3, VERSION, b'{', b'}']), Err(FrameError::Content(_))));
    let long = Order::Start {
        session: SessionId(1),
        task: Task::Gateway {
            station: Station {
                ident: "1".repeat(MAX_FRAME),
                rate: Rate::V17,
                ecm: true,
                calling: true,
            },
        },
        media: messages().0.into_iter().find_map(media_of).unwrap(),
    };
    assert!(matches!(frame(&long), Err(FrameError::Length(_))));
}

fn media_of(order: Order) -> Option<Media> {
    match order {
        Order::Start { media, .. } | Order::Switch { media, .. } => Some(media),
        Order::Stop { .. } | Order::Shutdown => None,
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_end(
        bytes in prop::collection::vec(any::<u8>(), 0..200), version: bool,
    ) {
        let mut frames = Frames::default();
        let length = u32::try_from(bytes.len() + 1).unwrap().to_be_bytes();
        frames.push(&length);
        frames.push(&[if version { VERSION } else { 9 }]);
        frames.push(&bytes);
        let _ = frames.poll::<Order>();
        let _ = frames.poll::<Report>();
    }
}
