//! Who may ask the API. It asks for no password on the loopback port, so that a browser on this
//! machine must not become a stranger's hand: neither by a request of somebody's page, nor by a
//! page whose own name was made to point at 127.0.0.1 (DNS rebinding), whose requests look like the
//! server's own but for their Host.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::routes::Refused;

/// No page of this server asks anything: a request that a browser makes comes from somebody else's
/// page, which may send many kinds without asking (the Fetch standard's simple requests) and would
/// have this machine place calls.
pub(super) async fn no_browser(request: Request, next: Next) -> Response {
    if is_from_page(request.headers()) {
        let words = "no web page may ask this server for anything";
        return Refused(StatusCode::FORBIDDEN, words.to_owned()).into_response();
    }
    next.run(request).await
}

/// On a TCP port: only what was addressed to this machine by a name that nobody else can have.
pub(super) async fn own_host(request: Request, next: Next) -> Response {
    let uri = request.uri().authority().map(axum::http::uri::Authority::as_str);
    if !is_own(request.headers()) || uri.is_some_and(|authority| !is_loopback(authority)) {
        let words = "this server is asked as localhost, 127.0.0.1 or [::1] alone";
        return Refused(StatusCode::MISDIRECTED_REQUEST, words.to_owned()).into_response();
    }
    next.run(request).await
}

fn is_from_page(headers: &HeaderMap) -> bool {
    let said = |name| headers.get(name).is_some_and(|value| value.as_bytes() != b"none");
    said("origin") || said("sec-fetch-site")
}

/// Whether the Host is one of ours. Programs of before HTTP/1.1 name none; browsers always do.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |value: &axum::http::HeaderValue| value.to_str().is_ok_and(is_loopback);
    headers.get_all(header::HOST).iter().all(text)
}

/// `localhost`, or an address of the loopback, with or without a port (RFC 3986, 3.2).
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _port)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _port)| host),
    };
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_else_can_have_are_our_own_and_all_others_are_not() {
        let own = ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:80"];
        let others = [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "192.0.2.1",
            "[2001:db8::1]:80",
            "0.0.0.0:8080",
            "user@evil.example",
            "",
            ":8080",
            "[::1",
        ];
        assert!(own.iter().all(|host| is_loopback(host)), "{own:?}");
        assert!(!others.iter().any(|host| is_loopback(host)), "{others:?}");
        let mut headers = HeaderMap::new();
        assert!(is_own(&headers));
        headers.append(header::HOST, header::HeaderValue::from_static("localhost"));
        assert!(is_own(&headers));
        headers.append(header::HOST, header::HeaderValue::from_static("evil.example"));
        assert!(!is_own(&headers), "every one of them");
    }
}
