//! What is kept of a fax, what gives way, who is told, and what a kill leaves.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use koukan_fax::{Bitmap, EncodedPage, Resolution, tiff};
use koukan_switch::Note;

use super::*;

/// A directory that is gone when the test ends.
struct Room(PathBuf);

impl Room {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = format!("koukan-inbox-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(own);
        fs::create_dir_all(path.join("spool")).unwrap();
        Self(path)
    }

    fn inbox(&self, notes: Vec<Note>) -> (Inbox, Arc<Shelf>) {
        let shelf = Arc::new(Shelf::new(self.0.join("objects"), notes, None));
        let (kept, spool) = (self.0.join("objects/fax"), self.0.join("spool"));
        let inbox = Inbox::new(Arc::clone(&shelf), kept, spool, date("2026-07-01T10:09:00+09:00"));
        (inbox, shelf)
    }

    /// The process has written so many pages of a fax.
    fn spool(&self, id: &str, count: u32) {
        let pages: Vec<EncodedPage> = (1..=count).map(page).collect();
        fs::write(self.0.join(format!("spool/{id}.tif")), tiff::write(&pages)).unwrap();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn date(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A page with as many black dots as its number.
fn page(number: u32) -> EncodedPage {
    let mut page = Bitmap::white(1_728, 100);
    (0..number).for_each(|dot| page.set_black(200 + 10 * dot, 50));
    EncodedPage::t6(&page, Resolution::Fine.dpi())
}

fn fax(keep: u32) -> Fax {
    Fax {
        call: "0000000000000001".to_owned(),
        mailbox: "main".to_owned(),
        caller: "0455550001".to_owned(),
        called: "0312340002".to_owned(),
        station: "+81 45 555 0001".to_owned(),
        medium: "g711".to_owned(),
        started: date("2026-07-01T10:00:00+09:00"),
        ended: Some(date("2026-07-01T10:02:00+09:00")),
        pages: 2,
        bit_rate: 14_400,
        ecm: true,
        cause: Some(Cause::Done),
        keep,
        notify: Vec::new(),
        deliver_to: None,
        language: "ja".to_owned(),
        utc_offset_s: 32_400,
    }
}

#[test]
fn a_fax_is_kept_as_pdf_and_page_by_page_as_jpeg() {
    let room = Room::new();
    let (inbox, _) = room.inbox(Vec::new());
    let file = inbox.begin("acme", "1-a", &Fax { ended: None, ..fax(200) });
    assert_eq!(file, "1-a.tif");
    assert!(inbox.list("acme", None).is_empty(), "it is under way");
    room.spool("1-a", 2);
    assert_eq!(inbox.finish("acme", "1-a", fax(200), true).unwrap(), 2);
    let told = inbox.notices.behind("acme", 0, 10).remove(0);
    let News::FaxReceived(notice) = told.news else { panic!("it came") };
    assert_eq!((told.number, notice.id.as_deref(), &*notice.mailbox), (1, Some("1-a"), "main"));
    assert_eq!((&*notice.from, &*notice.to, notice.pages), ("0455550001", "0312340002", 2));
    assert!(notice.result.contains("2ページ"), "in the office's language: {}", notice.result);
    assert!(!room.0.join("spool/1-a.tif").exists());
    let listed = inbox.list("acme", Some("main"));
    assert_eq!((listed.len(), listed[0].fax.pages), (1, 2));
    assert_eq!(listed[0].result, "The fax was received: 2 pages at 14400 bit/s.");
    assert!(inbox.list("acme", Some("other")).is_empty() && inbox.list("beta", None).is_empty());
    let pdf = inbox.pdf("acme", "1-a").unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    let jpeg = inbox.jpeg("acme", "1-a", 2, false).unwrap();
    let small = inbox.jpeg("acme", "1-a", 2, true).unwrap();
    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && small.len() < jpeg.len());
    for page in [0, 3] {
        let error = inbox.jpeg("acme", "1-a", page, false).unwrap_err().to_string();
        assert_eq!(error, "the fax has 2 pages");
    }
    assert!(inbox.pdf("acme", "../1-a").is_err() && inbox.pdf("beta", "1-a").is_err());
    inbox.delete("acme", "1-a").unwrap();
    assert!(inbox.list("acme", None).is_empty());
    assert!(fs::read_dir(room.0.join("objects/fax/acme")).unwrap().next().is_none());
}

/// S-32.
#[test]
fn s_32_the_oldest_fax_of_a_full_box_gives_way_and_no_other() {
    let room = Room::new();
    let (inbox, _) = room.inbox(Vec::new());
    let keep = |id: &str, fax: Fax| {
        room.spool(id, 1);
        inbox.finish("acme", id, fax, true).unwrap();
    };
    keep("0000-other", Fax { mailbox: "other".to_owned(), ..fax(200) });
    for number in 1..=201 {
        keep(&format!("{number:04}-x"), fax(200));
    }
    let own = inbox.list("acme", Some("main"));
    assert_eq!((own.len(), own[199].id.as_str(), own[0].id.as_str()), (200, "0002-x", "0201-x"));
    assert!(!room.0.join("objects/fax/acme/0001-x.pdf").exists());
    assert_eq!(inbox.list("acme", Some("other")).len(), 1);
}

/// S-31: what came behind the last page that a box takes was confirmed to nobody.
#[test]
fn s_31_a_fax_with_more_pages_than_are_taken_is_cut_and_marked() {
    let room = Room::new();
    let (inbox, _) = room.inbox(Vec::new());
    room.spool("1-a", 3);
    let cut = Fax { cause: Some(Cause::PageLimit), pages: 2, ..fax(200) };
    assert_eq!(inbox.finish("acme", "1-a", cut, true).unwrap(), 2);
    let pdf = inbox.pdf("acme", "1-a").unwrap();
    let words = b"truncated: 2 of more pages";
    assert!(pdf.windows(words.len()).any(|part| part == words));
    let result = inbox.show("acme", "1-a").unwrap().result;
    assert!(result.starts_with("The fax was received only in part, 2 pages"), "{result}");
}

#[test]
fn a_fax_that_a_kill_cut_off_has_the_pages_that_it_had_at_the_next_start() {
    let room = Room::new();
    let notes = {
        let (inbox, shelf) = room.inbox(Vec::new());
        inbox.begin("acme", "1-a", &Fax { ended: None, cause: None, ..fax(200) });
        inbox.begin("acme", "2-b", &Fax { ended: None, cause: None, ..fax(200) });
        shelf.take_fresh()
    };
    room.spool("1-a", 3);
    let spooled = room.0.join("spool/1-a.tif");
    // The last page was being written.
    let whole = fs::read(&spooled).unwrap();
    fs::write(&spooled, &whole[..whole.len() - 150]).unwrap();
    let (inbox, _) = room.inbox(notes);
    let listed = inbox.list("acme", None);
    assert_eq!((listed.len(), listed[0].id.as_str(), listed[0].fax.pages), (1, "1-a", 2));
    assert_eq!(listed[0].fax.cause, Some(Cause::Worker));
    assert!(!spooled.exists());
}

#[test]
fn a_disk_that_refuses_keeps_the_fax_in_the_spool_until_it_takes_it() {
    let room = Room::new();
    let (inbox, _) = room.inbox(Vec::new());
    inbox.begin("acme", "1-a", &Fax { ended: None, ..fax(200) });
    room.spool("1-a", 1);
    // A file where the directory is to be.
    fs::create_dir_all(room.0.join("objects/fax")).unwrap();
    fs::write(room.0.join("objects/fax/acme"), b"").unwrap();
    assert!(inbox.finish("acme", "1-a", fax(200), true).is_err());
    assert!(room.0.join("spool/1-a.tif").exists() && inbox.list("acme", None).is_empty());
    fs::remove_file(room.0.join("objects/fax/acme")).unwrap();
    assert_eq!(inbox.finish("acme", "1-a", fax(200), true).unwrap(), 1);
    assert_eq!(inbox.list("acme", None).len(), 1);
}

#[test]
fn a_call_that_brought_no_page_leaves_no_entry() {
    let room = Room::new();
    let (inbox, shelf) = room.inbox(Vec::new());
    inbox.begin("acme", "1-a", &Fax { ended: None, ..fax(200) });
    let nothing = Fax { pages: 0, cause: Some(Cause::NoFax), ..fax(200) };
    assert_eq!(inbox.finish("acme", "1-a", nothing, false).unwrap(), 0);
    assert!(inbox.show("acme", "1-a").is_err());
    assert!(shelf.all(OWNER).is_empty());
}

#[test]
fn s_33_a_notice_says_it_in_the_words_of_its_office() {
    let (subject, text) = letter::received(&fax(200));
    assert_eq!(subject, "ファクス 2ページ：0455550001");
    assert!(text.starts_with("ファクスを受信しました（2ページ、14400 bit/s）。"), "{text}");
    assert!(text.contains("2026-07-01 10:00") && text.contains("+81 45 555 0001"), "{text}");
    let english =
        Fax { language: "en".to_owned(), pages: 0, cause: Some(Cause::Dropped), ..fax(1) };
    let (subject, text) = letter::received(&english);
    assert_eq!(subject, "A fax could not be received: 0455550001");
    assert!(text.starts_with("The fax was not received: the call was cut off"), "{text}");
}
