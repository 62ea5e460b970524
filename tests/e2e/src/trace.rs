//! Messages in a client's own log, whatever stands around them.

/// The responses in a log: from the status line to the empty line.
pub fn responses(log: &str) -> impl Iterator<Item = &str> {
    messages(log, "SIP/2.0 ")
}

/// The INVITE requests in a log.
pub fn invites(log: &str) -> impl Iterator<Item = &str> {
    messages(log, "INVITE sip:")
}

fn messages<'a>(log: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    log.match_indices(start)
        .filter(|(at, _)| log.get(..*at).is_some_and(|before| before.ends_with('\n')))
        .filter_map(|(at, _)| log.get(at..))
        .filter_map(|rest| rest.split("\n\n").next())
}

/// The first header of this name, without the name.
#[must_use]
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// How many requests of this method were answered with 200, repetitions not counted.
#[must_use]
pub fn accepted(log: &str, method: &str) -> usize {
    let mut seen: Vec<(&str, &str)> = responses(log)
        .filter(|response| response.starts_with("SIP/2.0 200"))
        .filter_map(|response| Some((header(response, "Call-ID")?, header(response, "CSeq")?)))
        .filter(|(_, cseq)| cseq.ends_with(method))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

/// The methods whose 200 names a session interval (RFC 4028), in their order: the call, and each
/// refresh of it.
#[must_use]
pub fn sessions(log: &str) -> Vec<&str> {
    let mut seen: Vec<&str> = Vec::new();
    for response in responses(log).filter(|response| response.starts_with("SIP/2.0 200")) {
        let interval = header(response, "Session-Expires");
        if let Some(cseq) = header(response, "CSeq").filter(|_| interval.is_some())
            && !seen.contains(&cseq)
        {
            seen.push(cseq);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_among_other_lines() {
        let log = "12:00 received SIP/2.0 200 bytes\nSIP/2.0 200 OK\nCall-ID: a\nCSeq: 1 INVITE\n\
                   Session-Expires: 90\n\nv=0\nx\nSIP/2.0 200 OK\nCall-ID: a\nCSeq: 1 INVITE\n\
                   Session-Expires: 90\n\nSIP/2.0 200 OK\ncall-id : a\ncseq: 2 UPDATE\n\
                   session-expires: 90\n\n";
        assert_eq!(sessions(log), ["1 INVITE", "2 UPDATE"]);
        assert_eq!((accepted(log, "INVITE"), accepted(log, "REGISTER")), (1, 0));
    }
}
