//! The words of a notice (S-33), in the office's language.

use koukan_fax::Language;

use super::entry::Fax;

/// Subject and text of the mail about a received fax.
pub(super) fn received(fax: &Fax) -> (String, String) {
    let came = fax.stamp(fax.started);
    let language = fax.language();
    let sentence = fax.sentence(language);
    let name = if fax.station.is_empty() { "-" } else { &fax.station };
    let Fax { caller, called, mailbox, pages, .. } = fax;
    match language {
        Language::Japanese => {
            let from = if caller.is_empty() { "番号非通知" } else { caller };
            let subject = match pages {
                0 => format!("ファクスを受信できませんでした：{from}"),
                pages => format!("ファクス {pages}ページ：{from}"),
            };
            let text = format!(
                "{sentence}\n\n発信者：{from}\n相手の機械の名前：{name}\n着信番号：{called}\n\
                 受信ボックス：{mailbox}\n日時：{came}\n"
            );
            (subject, text)
        }
        Language::English => {
            let from = if caller.is_empty() { "an unknown number" } else { caller };
            let subject = match pages {
                0 => format!("A fax could not be received: {from}"),
                1 => format!("Fax of 1 page from {from}"),
                pages => format!("Fax of {pages} pages from {from}"),
            };
            let text = format!(
                "{sentence}\n\nFrom: {from}\nThe other machine calls itself: {name}\n\
                 Number called: {called}\nBox: {mailbox}\nTime: {came}\n"
            );
            (subject, text)
        }
    }
}
