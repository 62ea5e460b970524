//! The result of a fax in one plain sentence, Japanese or English: what people read in a mail, an
//! app and `koukan fax show`. No code and no word of T.30 stands in it.

use crate::cause::Cause;

/// The language of a sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Japanese.
    #[default]
    Japanese,
    /// English.
    English,
}

/// Which way the fax went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From here.
    Sent,
    /// To here.
    Received,
}

/// What the sentence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which way.
    pub way: Way,
    /// How it ended.
    pub cause: Cause,
    /// Pages that were confirmed.
    pub confirmed: u32,
    /// Pages of the document; of a received fax only what came is known.
    pub pages: Option<u32>,
    /// bit/s, when pages went over.
    pub bit_rate: Option<u32>,
    /// Attempts that were made.
    pub attempts: u32,
}

impl Told {
    /// The sentence.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        match language {
            Language::Japanese => self.japanese(),
            Language::English => self.english(),
        }
    }

    fn english(&self) -> String {
        let pages = self.pages_english();
        let rate = self.bit_rate.map(|rate| format!(" at {rate} bit/s")).unwrap_or_default();
        let verb = match self.way {
            Way::Sent => "sent",
            Way::Received => "received",
        };
        if self.cause == Cause::Done {
            return format!("The fax was {verb}: {pages}{rate}.");
        }
        let reason = english(self.cause);
        let tried = match self.attempts {
            0 | 1 => String::new(),
            attempts => format!(" after {attempts} attempts"),
        };
        if self.confirmed == 0 {
            return format!("The fax was not {verb}{tried}: {reason}.");
        }
        format!("The fax was {verb} only in part{tried}, {pages}{rate}: {reason}.")
    }

    fn pages_english(&self) -> String {
        let plural = |pages: u32| if pages == 1 { "page" } else { "pages" };
        match self.pages.filter(|pages| *pages != self.confirmed) {
            Some(pages) => format!("{} of {pages} {}", self.confirmed, plural(pages)),
            None => format!("{} {}", self.confirmed, plural(self.confirmed)),
        }
    }

    fn japanese(&self) -> String {
        let pages = match self.pages.filter(|pages| *pages != self.confirmed) {
            Some(pages) => format!("{pages}ページ中{}ページ", self.confirmed),
            None => format!("{}ページ", self.confirmed),
        };
        let rate = self.bit_rate.map(|rate| format!("、{rate} bit/s")).unwrap_or_default();
        let verb = match self.way {
            Way::Sent => "送信",
            Way::Received => "受信",
        };
        if self.cause == Cause::Done {
            return format!("ファクスを{verb}しました（{pages}{rate}）。");
        }
        let reason = japanese(self.cause);
        let tried = match self.attempts {
            0 | 1 => String::new(),
            attempts => format!("{attempts}回試しましたが、"),
        };
        if self.confirmed == 0 {
            return format!("{tried}ファクスを{verb}できませんでした：{reason}。");
        }
        format!("{tried}ファクスは一部だけ{verb}されました（{pages}{rate}）：{reason}。")
    }
}

const fn english(cause: Cause) -> &'static str {
    match cause {
        Cause::Done => "all pages were confirmed",
        Cause::Busy => "the line was busy",
        Cause::NoAnswer => "nobody answered",
        Cause::Unallocated => "the number does not exist",
        Cause::Rejected => "the other side refused the call",
        Cause::Blocked => "calls to this number are not allowed here",
        Cause::Unreachable => "the network could not put the call through",
        Cause::NoFax => "the call was answered, but not by a fax machine",
        Cause::Incompatible => "the other machine cannot take this kind of page",
        Cause::CannotTrain => "the line was too bad for any speed",
        Cause::BadPages => "the pages kept arriving damaged",
        Cause::Disconnected => "the other machine broke off",
        Cause::Timeout => "the other machine stopped answering",
        Cause::Dropped => "the call was cut off",
        Cause::Protocol => "the other machine behaved in an unknown way",
        Cause::PageLimit => "more pages came than are accepted",
        Cause::Document => "the document could not be read",
        Cause::Storage => "the pages could not be stored here",
        Cause::Worker => "the fax program of this exchange stopped and was started anew",
        Cause::Cancelled => "it was cancelled here",
    }
}

const fn japanese(cause: Cause) -> &'static str {
    match cause {
        Cause::Done => "すべてのページが確認されました",
        Cause::Busy => "相手が話し中でした",
        Cause::NoAnswer => "相手が応答しませんでした",
        Cause::Unallocated => "その番号は使われていません",
        Cause::Rejected => "相手が着信を拒否しました",
        Cause::Blocked => "この番号への発信は許可されていません",
        Cause::Unreachable => "網の都合で接続できませんでした",
        Cause::NoFax => "応答はありましたが、ファクス機ではありませんでした",
        Cause::Incompatible => "相手の機械がこの形式のページを受け取れません",
        Cause::CannotTrain => "回線の状態が悪く、どの速度でも通信できませんでした",
        Cause::BadPages => "ページが乱れて届き続けました",
        Cause::Disconnected => "相手の機械が通信を打ち切りました",
        Cause::Timeout => "相手の機械が途中で応答しなくなりました",
        Cause::Dropped => "通話が途中で切れました",
        Cause::Protocol => "相手の機械の応答が理解できませんでした",
        Cause::PageLimit => "受け付けられる枚数を超えました",
        Cause::Document => "文書を読み取れませんでした",
        Cause::Storage => "ページを保存できませんでした",
        Cause::Worker => "この交換機のファクス処理が停止し、再起動されました",
        Cause::Cancelled => "こちらで取り消されました",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cause: Cause, confirmed: u32) -> Told {
        let (way, pages, attempts) = (Way::Sent, Some(3), 1);
        Told { way, cause, confirmed, pages, bit_rate: None, attempts }
    }

    #[test]
    fn a_result_is_one_sentence_in_both_languages() {
        let done = Told { bit_rate: Some(14_400), ..told(Cause::Done, 3) };
        assert_eq!(done.sentence(Language::English), "The fax was sent: 3 pages at 14400 bit/s.");
        let words = "ファクスを送信しました（3ページ、14400 bit/s）。";
        assert_eq!(done.sentence(Language::Japanese), words);
        let busy = Told { attempts: 4, ..told(Cause::Busy, 0) };
        let words = "The fax was not sent after 4 attempts: the line was busy.";
        assert_eq!(busy.sentence(Language::English), words);
        let words = "4回試しましたが、ファクスを送信できませんでした：相手が話し中でした。";
        assert_eq!(busy.sentence(Language::Japanese), words);
        let part = Told { way: Way::Received, pages: None, ..told(Cause::Dropped, 1) };
        let words = "The fax was received only in part, 1 page: the call was cut off.";
        assert_eq!(part.sentence(Language::English), words);
        let part = Told { bit_rate: Some(9_600), ..told(Cause::BadPages, 2) };
        let words = "ファクスは一部だけ送信されました（3ページ中2ページ、9600 bit/s）：ページが乱れて届き続けました。";
        assert_eq!(part.sentence(Language::Japanese), words);
    }

    #[test]
    fn every_cause_has_its_own_words() {
        let all = |words: fn(Cause) -> &'static str| {
            let set: std::collections::HashSet<_> = Cause::ALL.into_iter().map(words).collect();
            set.len()
        };
        assert_eq!((all(english), all(japanese)), (Cause::ALL.len(), Cause::ALL.len()));
    }
}
