//! What a country's numbering plan asks of dialling: access prefixes and E.164 (ITU-T E.164, 6.2).
//! The classes of numbers are the tenant's data, not this.

use std::borrow::Cow;

/// A country's prefixes.
#[derive(Debug)]
pub(crate) struct Country {
    /// The country code, without `+`.
    pub(crate) code: &'static str,
    /// What stands before a national number.
    pub(crate) national: &'static str,
    /// What stands before an international number.
    pub(crate) international: &'static str,
    /// Digits of a geographic number with its leading 0.
    pub(crate) geographic_digits: usize,
    /// Hides the caller number of one call.
    pub(crate) hide: &'static str,
    /// Shows the caller number of one call.
    pub(crate) show: &'static str,
}

pub(crate) const JAPAN: Country = Country {
    code: "81",
    national: "0",
    international: "010",
    geographic_digits: 10,
    hide: "184",
    show: "186",
};

impl Country {
    /// A number in the one form that lookups and classes use: national digits with the leading 0,
    /// foreign numbers behind the international prefix.
    pub(crate) fn canonical<'n>(&self, number: &'n str) -> Cow<'n, str> {
        let Some(global) = number.strip_prefix('+') else { return Cow::Borrowed(number) };
        match global.strip_prefix(self.code) {
            Some(rest) => Cow::Owned(format!("{}{rest}", self.national)),
            None => Cow::Owned(format!("{}{global}", self.international)),
        }
    }

    /// The same number as E.164 with its `+`; short codes stay as they are.
    pub(crate) fn e164<'n>(&self, canonical: &'n str) -> Cow<'n, str> {
        if let Some(global) = canonical.strip_prefix(self.international) {
            return Cow::Owned(format!("+{global}"));
        }
        match canonical.strip_prefix(self.national) {
            Some(rest) => Cow::Owned(format!("+{}{rest}", self.code)),
            None => Cow::Borrowed(canonical),
        }
    }

    /// A local number with its area code, when it is one.
    pub(crate) fn with_area<'n>(&self, dialled: &'n str, area_code: Option<&str>) -> Cow<'n, str> {
        let local = matches!(dialled.as_bytes(), [b'2'..=b'9', ..])
            && dialled.bytes().all(|b| b.is_ascii_digit());
        match area_code {
            Some(area) if local && area.len() + dialled.len() == self.geographic_digits => {
                Cow::Owned(format!("{area}{dialled}"))
            }
            _ => Cow::Borrowed(dialled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_to_the_national_form_and_back() {
        assert_eq!(JAPAN.canonical("+81312340001"), "0312340001");
        assert_eq!(JAPAN.canonical("+14155550001"), "01014155550001");
        assert_eq!(JAPAN.canonical("0312340001"), "0312340001");
        assert_eq!(JAPAN.e164("0312340001"), "+81312340001");
        assert_eq!(JAPAN.e164("01014155550001"), "+14155550001");
        assert_eq!(JAPAN.e164("110"), "110");
    }

    #[test]
    fn a_local_number_gets_its_area_code() {
        assert_eq!(JAPAN.with_area("12345678", Some("03")), "12345678");
        assert_eq!(JAPAN.with_area("52345678", Some("03")), "0352345678");
        assert_eq!(JAPAN.with_area("5234567", Some("03")), "5234567");
        assert_eq!(JAPAN.with_area("5550001", Some("045")), "0455550001");
        assert_eq!(JAPAN.with_area("52345678", None), "52345678");
    }
}
