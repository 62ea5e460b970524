//! Who sends a fax, and by which rules (S-35 to S-37).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_dialplan::{Capabilities, FaxFormat, FaxSenderError, Plans};
use office::{load, sample};

fn plans(change: impl Fn(String) -> String) -> Plans {
    let loaded = load(&change(sample()), &Capabilities::all());
    assert_eq!(loaded.report.to_string(), "");
    loaded.plans
}

#[test]
fn the_number_with_a_box_sends_and_is_named_by_its_name_or_its_digits() {
    let plans = plans(|text| text);
    let sender = plans.fax_sender("acme", None).unwrap();
    assert_eq!(&*sender.mailbox, "main");
    assert_eq!(sender.spec.send_max_pages, 10);
    for from in [&*sender.number, &*sender.did] {
        assert_eq!(plans.fax_sender("acme", Some(from)).unwrap(), sender);
    }
    let error = plans.fax_sender("acme", Some("0390000000")).unwrap_err();
    assert_eq!(error.to_string(), "0390000000 is no number of acme");
    assert!(matches!(plans.fax_sender("beta", None), Err(FaxSenderError::Tenant { .. })));
}

#[test]
fn a_box_says_when_it_tries_again_and_what_it_takes() {
    let text = "after = { busy = [\"2s\", \"2s\"], no_fax = [] }, formats = [\"tiff\", \"text\"]";
    let formats = "formats = [\"pdf\", \"jpg\", \"png\"]";
    assert!(sample().contains(formats));
    let plans = plans(|sample| sample.replace(formats, text));
    let spec = plans.fax_sender("acme", None).unwrap().spec;
    assert_eq!(spec.after.busy.as_deref(), Some(&[Duration::from_secs(2); 2][..]));
    assert_eq!((spec.after.no_fax.as_deref(), &spec.after.network), (Some(&[][..]), &None));
    assert_eq!(spec.formats, [FaxFormat::Tiff, FaxFormat::Text]);
    let error =
        load(&sample().replace(formats, "after = { busy = [\"2d\"] }"), &Capabilities::all());
    assert!(error.report.to_string().contains("send.after.busy"), "{}", error.report);
}
