//! The typed views of one header value, and a list of them (RFC 3261, section 20): what a view
//! shows lies inside the value, and a list's elements inside the line.
#![no_main]

use koukan_sip::header::{CSeq, NameAddr, Via, split_list};
use libfuzzer_sys::fuzz_target;

fn inside(part: &[u8], whole: &[u8]) {
    let (outer, inner) = (whole.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (outer.start <= inner.start && inner.end <= outer.end));
}

fn look(value: &[u8]) {
    let _ = CSeq::parse(value);
    if let Some(via) = Via::parse(value) {
        let _ = via.rfc3261_branch();
        via.branch().into_iter().for_each(|branch| inside(branch, value));
    }
    if let Some(address) = NameAddr::parse(value) {
        address.tag().into_iter().for_each(|tag| inside(tag, value));
        let _ = address.uri().map(|uri| uri.socket_address());
        for (name, given) in address.params.iter() {
            inside(name, value);
            given.into_iter().for_each(|given| inside(given, value));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let mut length = 0;
    for element in split_list(bytes) {
        inside(element, bytes);
        length += element.len();
        look(element);
    }
    assert!(length <= bytes.len(), "elements overlap");
});
