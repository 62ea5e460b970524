//! Messages as a ladder: a column for the server and one for each peer, an arrow a message.

use std::net::SocketAddr;

use super::Traced;

/// Peers that have a column; what others say stands in the last one, with its address.
const PEERS: usize = 6;

/// Signs from one column's line to the next.
const WIDTH: usize = 30;

/// Signs of the time before the first column.
const MARGIN: usize = 16;

/// The picture, a line a message.
pub(crate) fn ladder(messages: &[Traced]) -> String {
    let mut peers: Vec<SocketAddr> = Vec::new();
    for message in messages {
        if !peers.contains(&message.remote) && peers.len() < PEERS {
            peers.push(message.remote);
        }
    }
    // Whoever calls stands left of the server, whoever is called right of it.
    let place = |peer: usize| if peer == 0 { 0 } else { peer + 1 };
    let columns = peers.len() + 1;
    let mut titles: Vec<String> = vec![String::new(); columns];
    for (index, peer) in peers.iter().enumerate() {
        if let Some(title) = titles.get_mut(place(index)) {
            *title = peer.to_string();
        }
    }
    let server = 1.min(columns - 1);
    if let Some(title) = titles.get_mut(server) {
        *title = "koukan".to_owned();
    }
    let mut picture = " ".repeat(MARGIN);
    for title in &titles {
        picture.push_str(&format!("{title:<WIDTH$}"));
    }
    let mut picture = format!("{}\n", picture.trim_end());
    for message in messages {
        let peer = peers.iter().position(|peer| *peer == message.remote);
        let column = place(peer.unwrap_or(PEERS - 1));
        picture.push_str(&line(message, (server, column), columns, peer.is_none()));
    }
    picture
}

fn line(
    message: &Traced,
    (server, peer): (usize, usize),
    columns: usize,
    is_strange: bool,
) -> String {
    let at = message.at.to_string();
    // 2026-07-01T03:00:00.123456Z: the time of day to a millisecond.
    let time = at.get(11..).unwrap_or_default().trim_end_matches('Z');
    let time = format!("{time:.12}");
    let rail = |column: usize| MARGIN + column * WIDTH;
    let mut signs: Vec<char> = vec![' '; rail(columns - 1) + 1];
    let mut put = |at: usize, text: &str| {
        for (offset, sign) in text.chars().enumerate() {
            if let Some(place) = signs.get_mut(at + offset) {
                *place = sign;
            }
        }
    };
    put(0, &time);
    for column in 0..columns {
        put(rail(column), "|");
    }
    let (left, right) = (rail(server.min(peer)), rail(server.max(peer)));
    let goes_right = message.sent == (peer > server);
    let room = right.saturating_sub(left + 1);
    let shaft: String = "-".repeat(room);
    put(left + 1, &shaft);
    if goes_right {
        put(right - 1, ">")
    } else {
        put(left + 1, "<")
    }
    let words: String = words(message, is_strange).chars().take(room.saturating_sub(4)).collect();
    put(left + 3, &words);
    let text: String = signs.into_iter().collect();
    format!("{}\n", text.trim_end())
}

/// `INVITE 801`, `200 OK (INVITE)`.
fn words(message: &Traced, is_strange: bool) -> String {
    let first = message.first_line();
    let mut parts = first.splitn(3, ' ');
    let (a, b, c) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
    let mut words = if a == "SIP/2.0" {
        let method = message.header("CSeq", "CSeq").and_then(|cseq| {
            let method = cseq.rsplit(|byte| *byte == b' ').next()?;
            Some(String::from_utf8_lossy(method).into_owned())
        });
        let reason = c.unwrap_or_default();
        format!(" {b} {reason} ({}) ", method.unwrap_or_default())
    } else {
        let target = b.split(['@', ';']).next().unwrap_or(b);
        let target = target.split_once(':').map_or(target, |(_, user)| user);
        format!(" {a} {target} ")
    };
    if message.header("Content-Type", "c").is_some_and(|kind| kind.starts_with(b"application/sdp"))
    {
        words.push_str("sdp ");
    }
    if is_strange {
        words.push_str(&format!("{} ", message.remote));
    }
    words
}
