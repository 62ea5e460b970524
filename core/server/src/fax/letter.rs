//! The words of a notice (S-33), in the office's language.

use koukan_fax::Language;

use super::entry::{Fax, stamp};
use super::sending::{Sent, State};

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

/// Subject and text of the mail about a fax that was sent, or was not.
pub(super) fn sent(sent: &Sent) -> (String, String) {
    let language = sent.language();
    let sentence = sent.sentence(language);
    let name = if sent.station.is_empty() { "-" } else { &sent.station };
    let began = stamp(sent.created, sent.utc_offset_s);
    let ended = stamp(sent.ended.unwrap_or(sent.created), sent.utc_offset_s);
    let Sent { to, from, pages, confirmed, attempts, .. } = sent;
    let done = sent.state == State::Done;
    match language {
        Language::Japanese => {
            let subject = match (done, confirmed) {
                (true, _) => format!("ファクスを送信しました：{to}"),
                (false, 0) => format!("ファクスを送信できませんでした：{to}"),
                (false, _) => format!("ファクスは一部だけ送信されました：{to}"),
            };
            let text = format!(
                "{sentence}\n\n宛先：{to}\n相手の機械の名前：{name}\n発信番号：{from}\n\
                 ページ：{pages}ページ中{confirmed}ページ\n試行：{attempts}回\n\
                 受付：{began}\n終了：{ended}\n"
            );
            (subject, text)
        }
        Language::English => {
            let subject = match (done, confirmed) {
                (true, _) => format!("Your fax to {to} was sent"),
                (false, 0) => format!("Your fax to {to} was not sent"),
                (false, _) => format!("Your fax to {to} was sent only in part"),
            };
            let text = format!(
                "{sentence}\n\nTo: {to}\nThe other machine calls itself: {name}\nFrom: {from}\n\
                 Pages: {confirmed} of {pages}\nAttempts: {attempts}\nHanded in: {began}\n\
                 Ended: {ended}\n"
            );
            (subject, text)
        }
    }
}
