//! Our answer to a peer's challenge.

use super::fields::Fields;
use super::hash::Algorithm;
use crate::Credentials;

/// The value of an Authorization header for one challenge; `None` when the challenge cannot be
/// answered (another scheme or algorithm, no nonce): try the next.
#[must_use]
pub fn answer(
    challenge: &[u8],
    credentials: &Credentials,
    method: &[u8],
    uri: &[u8],
    cnonce: &[u8],
) -> Option<Vec<u8>> {
    let fields = Fields::of(challenge)?;
    let algorithm = Algorithm::from_name(fields.value(b"algorithm"))?;
    let realm = fields.value(b"realm")?;
    let nonce = fields.value(b"nonce")?;
    let auth = fields.value(b"qop").map(|offered| {
        offered
            .split(|&byte| byte == b',')
            .any(|qop| qop.trim_ascii().eq_ignore_ascii_case(b"auth"))
    });
    if auth == Some(false) {
        return None;
    }
    let user = credentials.username.as_bytes();
    let ha1 = algorithm.hex(&[user, realm, credentials.password.as_bytes()]);
    let ha2 = algorithm.hex(&[method, uri]);
    let response = match auth {
        Some(_) => algorithm.hex(&[&ha1, nonce, b"00000001", cnonce, b"auth", &ha2]),
        None => algorithm.hex(&[&ha1, nonce, &ha2]),
    };
    let mut value = Vec::with_capacity(300);
    let mut add = |parts: &[&[u8]]| parts.iter().for_each(|part| value.extend_from_slice(part));
    add(&[b"Digest username=\"", user, b"\", realm=\"", realm, b"\", nonce=\"", nonce]);
    add(&[b"\", uri=\"", uri, b"\", response=\"", &response]);
    add(&[b"\", algorithm=", algorithm.name().as_bytes()]);
    if let Some(opaque) = fields.value(b"opaque") {
        add(&[b", opaque=\"", opaque, b"\""]);
    }
    if auth.is_some() {
        add(&[b", qop=auth, nc=00000001, cnonce=\"", cnonce, b"\""]);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7616_comes_out() {
        let credentials =
            Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        let cnonce = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = answer(
                challenge(algorithm).as_bytes(),
                &credentials,
                b"GET",
                b"/dir/index.html",
                cnonce,
            )
            .unwrap();
            let text = String::from_utf8(value).unwrap();
            assert!(text.contains(&format!("response=\"{response}\"")), "{text}");
        }
    }
}
