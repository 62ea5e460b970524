//! What clients of the field do against the standards, and what is done about it.

/// Clients that fail altogether when any challenge names an algorithm other than MD5, even when an
/// MD5 challenge stands above it (RFC 8760, section 2.4 wants the unknown one passed over). They
/// are offered MD5 alone; nothing is lost, since they would take the first challenge in any case.
const MD5_ALONE: [&[u8]; 3] = [b"baresip v0.", b"baresip v1.", b"baresip v2."];

/// Whether this User-Agent must see the MD5 challenge alone.
pub(crate) fn takes_md5_alone(user_agent: Option<&[u8]>) -> bool {
    user_agent.is_some_and(|agent| MD5_ALONE.iter().any(|known| agent.starts_with(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clients_that_fail_are_offered_less() {
        assert!(takes_md5_alone(Some(b"baresip v1.0.0 (x86_64/linux)")));
        assert!(!takes_md5_alone(Some(b"baresip v3.10.1 (x86_64/Linux)")));
        assert!(!takes_md5_alone(Some(b"Grandstream GRP2604 1.0.5.67")));
        assert!(!takes_md5_alone(None));
    }
}
