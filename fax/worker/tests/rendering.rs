//! The process that draws a document, as the server starts it: what comes out, and what becomes of
//! documents that were made to do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use koukan_fax::protocol::{RenderOrder, Rendered, split_rendered};
use koukan_fax::render::{Header, Options};
use koukan_fax::{Bitmap, EncodedPage, Resolution, Stamp, pdf, tiff};

const FONT: &str = "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf";

fn order(font: Option<&str>) -> RenderOrder {
    let header = font.is_some().then(|| Header {
        at: Stamp::default(),
        name: "\u{682a}\u{5f0f}\u{4f1a}\u{793e}".to_owned(),
        number: "0312340002".to_owned(),
    });
    let options = Options { header, ..Options::default() };
    RenderOrder { options, font: font.map(str::to_owned) }
}

/// Starts the process on a document; what it said, and the pages that it wrote.
fn render(document: &[u8], order: &RenderOrder) -> (Option<Rendered>, Vec<EncodedPage>) {
    let order = serde_json::to_string(order).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_koukan-faxworker"));
    command.args(["render", &order]).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let document = document.to_vec();
    // A process that has seen enough closes its end.
    let writer = std::thread::spawn(move || drop(to.write_all(&document)));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    match split_rendered(&done.stdout) {
        Some((verdict, file)) => (Some(verdict), tiff::read(file).unwrap_or_default()),
        None => (None, Vec::new()),
    }
}

fn picture(seed: u32) -> Bitmap {
    let mut page = Bitmap::white(1_728, 2_200);
    for y in (100..2_100).step_by(3) {
        (200..1_500).filter(|x| (x / 40 + y / 60 + seed).is_multiple_of(3)).for_each(|x| {
            page.set_black(x, y);
        });
    }
    page
}

fn document(pages: usize) -> Vec<u8> {
    let dpi = Resolution::Fine.dpi();
    let pages: Vec<EncodedPage> = (0..pages)
        .map(|seed| EncodedPage::t6(&picture(u32::try_from(seed).unwrap()), dpi))
        .collect();
    pdf::wrap(&pages, &pdf::About { title: "a fax", came: Stamp::default(), truncated: None })
}

#[test]
fn a_document_becomes_pages_behind_walls() {
    let (verdict, pages) = render(&document(2), &order(None));
    let Some(Rendered::Pages { pages: 2, seconds }) = verdict else { panic!("{verdict:?}") };
    assert!((20..600).contains(&seconds), "{seconds}");
    assert_eq!(pages.len(), 2);
    assert!(pages.iter().all(|page| page.width == 1_728 && page.decode().unwrap().ink() > 10_000));
}

#[test]
fn a_header_in_any_script_is_drawn_when_there_is_a_font() {
    assert!(Path::new(FONT).is_file(), "fonts-ipafont-gothic: `cargo xtask deps` installs it");
    let (verdict, pages) = render(&document(1), &order(Some(FONT)));
    assert!(matches!(verdict, Some(Rendered::Pages { pages: 1, .. })), "{verdict:?}");
    let sheet = pages[0].decode().unwrap();
    let top: u32 = sheet.rows().take(32).flatten().map(|byte| byte.count_ones()).sum();
    assert!(top > 1_000, "{top} picture elements of a header");
    let mut wanted = order(Some(FONT));
    wanted.font = None;
    let (verdict, _) = render(&document(1), &wanted);
    assert!(matches!(verdict, Some(Rendered::Failed { .. })), "{verdict:?}");
    wanted.font = Some("/nowhere".to_owned());
    let (verdict, _) = render(&document(1), &wanted);
    assert!(matches!(verdict, Some(Rendered::Failed { .. })), "{verdict:?}");
}

/// What must not be sent says so in a sentence, and quickly.
#[test]
fn hostile_documents_are_refused_in_a_sentence() {
    let whole = document(1);
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bomb.extend_from_slice(&40_000_u32.to_be_bytes());
    bomb.extend_from_slice(&40_000_u32.to_be_bytes());
    bomb.extend_from_slice(&[8, 0, 0, 0, 0]);
    bomb.extend_from_slice(&crc32(&bomb[12..]).to_be_bytes());
    bomb.extend_from_slice(b"\0\0\0\x04IDAT\x78\x9c\x63\x60");
    bomb.extend_from_slice(&crc32(b"IDAT\x78\x9c\x63\x60").to_be_bytes());
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("a program", b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "no PDF, JPEG, PNG, TIFF or text"),
        ("nothing", Vec::new(), "no PDF, JPEG, PNG, TIFF or text"),
        ("a cut PDF", whole[..whole.len() / 3].to_vec(), "damaged"),
        ("a bomb", bomb, "picture elements"),
        ("10,000 pages", many(10_000), "10000 pages, 10 are allowed"),
        ("eleven", document(11), "11 pages, 10 are allowed"),
    ];
    for (name, document, words) in cases {
        let begun = std::time::Instant::now();
        let (verdict, pages) = render(&document, &order(None));
        println!("{name}: {verdict:?} in {:?}", begun.elapsed());
        let Some(Rendered::Refused { words: said, .. }) = verdict else {
            panic!("{name}: {verdict:?}")
        };
        assert!(said.contains(words), "{name}: {said}");
        assert!(pages.is_empty());
    }
    let mut large = order(None);
    large.options.max_bytes = 1_000;
    let (verdict, _) = render(&whole, &large);
    let words = "1000 are allowed";
    let fits = |told: &Rendered| match told {
        Rendered::Refused { words: said, too_large: true } => said.contains(words),
        _ => false,
    };
    assert!(verdict.as_ref().is_some_and(fits), "{verdict:?}");
}

/// Behind a password nobody can look; one that is needed for changes alone keeps no fax.
#[test]
fn a_document_behind_a_password_says_so() {
    let directory = std::env::temp_dir().join(format!("koukan-password-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (plain, locked) = (directory.join("plain.pdf"), directory.join("locked.pdf"));
    std::fs::write(&plain, document(1)).unwrap();
    let mut told = Vec::new();
    for password in ["secret", ""] {
        let mut qpdf = std::process::Command::new("qpdf");
        qpdf.args(["--encrypt", password, "owner", "256", "--"]).arg(&plain).arg(&locked);
        assert!(qpdf.status().expect("qpdf runs").success());
        told.push(render(&std::fs::read(&locked).unwrap(), &order(None)));
    }
    std::fs::remove_dir_all(&directory).unwrap();
    let Some(Rendered::Refused { words, too_large: false }) = &told[0].0 else {
        panic!("{told:?}")
    };
    assert_eq!(words, "the document is protected by a password");
    assert!(matches!(told[1].0, Some(Rendered::Pages { pages: 1, .. })), "{told:?}");
}

/// A PDF of so many empty pages.
fn many(pages: usize) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    let mut object = |file: &mut Vec<u8>, text: String| {
        places.push(file.len());
        let number = places.len();
        file.extend_from_slice(format!("{number} 0 obj\n{text}\nendobj\n").as_bytes());
    };
    object(&mut file, "<< /Type /Catalog /Pages 2 0 R >>".to_owned());
    let kids: Vec<String> = (0..pages).map(|page| format!("{} 0 R", page + 3)).collect();
    let kids = kids.join(" ");
    object(&mut file, format!("<< /Type /Pages /Count {pages} /Kids [{kids}] >>"));
    for _ in 0..pages {
        let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>";
        object(&mut file, page.to_owned());
    }
    let start = file.len();
    let count = places.len() + 1;
    file.extend_from_slice(format!("xref\n0 {count}\n0000000000 65535 f \n").as_bytes());
    for place in &places {
        file.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    let end = format!("trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    file.extend_from_slice(end.as_bytes());
    file
}

/// The checksum of a chunk of PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(u32::MAX, fold)
}
