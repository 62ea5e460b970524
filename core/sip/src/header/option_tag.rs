//! Option tags of Require, Supported and Unsupported (RFC 3261, 19.2), and which of them are done
//! here.

use super::split_list;

/// What a peer may require of us: `100rel` (RFC 3262), `timer` (RFC 4028), `replaces` (RFC 3891),
/// `norefersub` (RFC 4488), of the notifier `eventlist` (RFC 4662) and of the registrar `path`
/// (RFC 3327) and `outbound` (RFC 5626).
pub(crate) const SUPPORTED: &str = "100rel, timer, replaces, norefersub, eventlist, path, outbound";

/// Whether a list of option tags holds `tag`; tags are compared without case.
#[must_use]
pub fn has_option_tag(line: &[u8], tag: &[u8]) -> bool {
    split_list(line).any(|known| known.eq_ignore_ascii_case(tag))
}

/// Whether `tag` is one that we do.
pub(crate) fn is_supported(tag: &[u8]) -> bool {
    has_option_tag(SUPPORTED.as_bytes(), tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_whole_and_in_any_case() {
        assert!(has_option_tag(b"Timer , 100REL", b"100rel"));
        assert!(!has_option_tag(b"timers", b"timer"));
        assert!(is_supported(b"Replaces") && !is_supported(b"gruu"));
    }
}
