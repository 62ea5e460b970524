//! Requests that are refused before they become transactions (RFC 3261, 8.1.1, 8.2, 8.2.7).

use koukan_base::{Rng, ShardId};

use super::UserAgent;
use super::client::client_key;
use super::mark::marked;
use super::server::reply_flow;
use crate::Flow;
use crate::header::{self, Uri, Via, split_list};
use crate::message::{Header, Message, Method};
use crate::write::Writer;

impl UserAgent {
    /// Whether a request is one of ours that has come back unchanged (RFC 5393, 4; RFC 3261, 16.3):
    /// one of its Vias is ours, of a transaction that stands, and it is for the same target. With
    /// another target it is a spiral, which is permitted and ends by Max-Forwards.
    pub(super) fn is_looped(&self, request: &Message) -> bool {
        request.list(Header::Via).filter_map(Via::parse).any(|via| {
            let own = self.config.listeners.iter().any(|listener| {
                let address = listener.advertised;
                let host = std::str::from_utf8(via.host).ok().and_then(|host| host.parse().ok());
                host == Some(address.ip()) && via.port.unwrap_or(5060) == address.port()
            });
            own && request.method().zip(via.branch()).is_some_and(|(method, branch)| {
                let client = self.clients_by_branch.get(&client_key(branch, method));
                client
                    .and_then(|id| self.outgoing.get(&self.clients.get(id)?.tx))
                    .is_some_and(|out| out.request.request_uri == request.request_uri())
            })
        })
    }

    /// Refuses a request that is not worth a transaction (8.2.7); nothing answers an ACK.
    pub(super) fn refuse_statelessly(
        &mut self,
        flow: Flow,
        request: &Message,
        status: u16,
        why: &str,
    ) {
        let readable = request.via().is_some() && !request.call_id().is_empty();
        if !readable || request.method() == Some(Method::Ack) {
            self.dropped.unreadable = self.dropped.unreadable.saturating_add(1);
            return;
        }
        let mut writer = Writer::response(status, None);
        writer.vias(request, flow);
        writer.copy(request, Header::From);
        let to = request.header(Header::To).unwrap_or_default();
        let tag = self.mint();
        match request.to_tag() {
            Some(_) => writer.line("To", &[to]),
            None => writer.line("To", &[to, b";tag=", &tag]),
        }
        writer.line("Call-ID", &[request.call_id()]);
        writer.copy(request, Header::CSeq);
        match status {
            405 | 501 => writer.line("Allow", &[self.config.allow.as_bytes()]),
            420 => writer.line("Unsupported", &[&unsupported(request)]),
            422 => {
                let (name, value) = self.min_se();
                writer.line(name, &[&value]);
            }
            // Not all at once: whoever is refused in one second comes again in another ten.
            503 => {
                let seconds = (5 + self.rng.next_u32() % 10).to_string();
                writer.line("Retry-After", &[seconds.as_bytes()]);
            }
            400 => writer.line("Warning", &[b"399 koukan \"", why.as_bytes(), b"\""]),
            _ => {}
        }
        let bytes = writer.finish(None);
        self.send(reply_flow(request, flow), bytes);
    }
}

/// The 503 to a request whose shard has no room for it, and where it goes; nothing answers an ACK,
/// nor what cannot be read. The ACK to it finds that shard, which knows nothing of it.
#[must_use]
pub fn refuse_unserved(
    rng: &mut Rng,
    shard: ShardId,
    flow: Flow,
    request: &Message,
) -> Option<(Flow, Vec<u8>)> {
    let method = request.method().filter(|method| *method != Method::Ack)?;
    request.via().filter(|_| !request.call_id().is_empty())?;
    let mut writer = Writer::response(503, None);
    writer.vias(request, flow);
    writer.copy(request, Header::From);
    let to = request.header(Header::To).unwrap_or_default();
    let tag = marked(rng, Some(shard));
    match request.to_tag() {
        Some(_) => writer.line("To", &[to]),
        None => writer.line("To", &[to, b";tag=", &tag]),
    }
    writer.line("Call-ID", &[request.call_id()]);
    writer.copy(request, Header::CSeq);
    // Phones that register have time; callers go elsewhere, or try again at once.
    let least = if method == Method::Register { 10 } else { 5 };
    let seconds = (least + rng.next_u32() % 10).to_string();
    writer.line("Retry-After", &[seconds.as_bytes()]);
    Some((reply_flow(request, flow), writer.finish(None)))
}

/// What makes a request acceptable at all (8.1.1, 8.2); the refusal otherwise.
pub(super) fn acceptable(request: &Message) -> Result<(), (u16, &'static str)> {
    let cseq = request.cseq().ok_or((400, "no readable CSeq"))?;
    if cseq.name != request.method_name() {
        return Err((400, "the CSeq names another method"));
    }
    request.from().ok_or((400, "no readable From"))?;
    request.to().ok_or((400, "no readable To"))?;
    if request.call_id().is_empty() {
        return Err((400, "no Call-ID"));
    }
    let single = [Header::CallId, Header::CSeq, Header::From, Header::To, Header::MaxForwards];
    if single.into_iter().any(|header| request.headers(header).count() > 1) {
        return Err((400, "a header that may stand once stands twice"));
    }
    if request.list(Header::Via).any(|value| Via::parse(value).is_none()) {
        return Err((400, "a Via that cannot be read"));
    }
    acceptable_uri(request.request_uri())?;
    let in_dialog = request.to_tag().is_some();
    match request.method() {
        Some(Method::Other) => return Err((501, "unknown method")),
        Some(Method::Invite) if !in_dialog && request.max_forwards() == Some(0) => {
            return Err((483, "Max-Forwards is used up"));
        }
        _ => {}
    }
    let exempt = matches!(request.method(), Some(Method::Ack | Method::Cancel));
    if !exempt && !unsupported(request).is_empty() {
        return Err((420, "an extension is required that is not supported"));
    }
    Ok(())
}

fn acceptable_uri(text: &[u8]) -> Result<(), (u16, &'static str)> {
    let Some(uri) = Uri::parse(text) else {
        let scheme = text.split(|&byte| byte == b':').next().unwrap_or_default();
        let ours = [b"sip".as_slice(), b"sips", b"tel"];
        let foreign = text.contains(&b':')
            && scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && !ours.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let status = if foreign { 416 } else { 400 };
        return Err((status, "the Request-URI is no SIP URI"));
    };
    // RFC 3261, 19.1.1, table 1: headers have no place in a Request-URI.
    if uri.headers.is_empty() { Ok(()) } else { Err((400, "headers in the Request-URI")) }
}

/// The option tags that are required and not done here (8.2.2.3); a Proxy-Require is for proxies,
/// of which a back-to-back user agent is none, yet whoever sends one wants it kept on the way.
fn unsupported(request: &Message) -> Vec<u8> {
    let lines = request.headers(Header::Require).chain(request.headers(Header::ProxyRequire));
    let foreign = lines.flat_map(split_list).filter(|tag| !header::is_supported(tag));
    foreign.collect::<Vec<&[u8]>>().join(b", ".as_slice())
}
