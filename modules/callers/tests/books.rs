//! Books of callers over real files: found by number and beginning, read anew when they change, and
//! named at their places when they are wrong.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use callers::{Book, Books, Options};
use koukan_sdk::{Caller, Opened, Question, Source};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("koukan-callers-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("books")).unwrap();
        Self(directory)
    }

    fn books(&self) -> Books {
        let options = Options { directory: "books".into(), keep_s: 60 };
        let base = self.0.to_str().unwrap();
        Books::open(options, &Opened { base, acknowledged: 0 }).unwrap()
    }

    /// Writes a book whose file is seen to be another one, however fast this goes.
    fn write(&self, tenant: &str, text: &str, age: u64) {
        let path = self.0.join(format!("books/{tenant}.toml"));
        fs::write(&path, text).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn question<'a>(tenant: &'a str, national: &'a str, number: &'a str) -> Question<'a> {
    let within = Duration::from_millis(300);
    Question { tenant, number, national, called: "+81312340002", within }
}

fn named(name: &str) -> Option<Caller> {
    Some(Caller { name: Some(name.to_owned()), refuse: None })
}

fn refused(why: &str) -> Option<Caller> {
    Some(Caller { name: None, refuse: Some(why.to_owned()) })
}

#[test]
fn a_number_is_found_in_either_form_and_before_the_longest_beginning() {
    let book = Book::read(
        "\"045-555-0001\" = \"Tanaka\"\n\"+81455550002\" = { name = \"Sato\" }\n\
         \"0455*\" = { refuse = \"a\" }\n\"+8145555*\" = { refuse = \"longer\" }\n",
    )
    .unwrap();
    assert_eq!(book.len(), 4);
    let find = |national: &str| {
        let number = format!("+81{}", national.strip_prefix('0').unwrap());
        book.find(&number, national)
    };
    assert_eq!(find("0455550001"), named("Tanaka"));
    assert_eq!(find("0455550002"), named("Sato"));
    assert_eq!(find("0455550003"), refused("longer"));
    assert_eq!(find("0455600000"), refused("a"));
    assert_eq!(find("0312340000"), None);
}

#[test]
fn every_fault_of_a_book_has_its_place() {
    let text = "\"0455550001\" = 7\n\"tanaka\" = \"x\"\n\n\
                \"0455550002\" = { nmae = \"a\" }\n\"0455550003\" = {}\nbroken\n";
    let faults = Book::read(text).unwrap_err();
    let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places.get(..4).unwrap(), [(1, 16), (2, 1), (4, 18), (5, 16)], "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.line == 6), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.words.contains("unknown key \"nmae\"")));
}

#[test]
fn a_book_is_read_anew_when_it_changes_and_a_wrong_one_leaves_the_last() {
    let place = Place::new("changes");
    let mut books = place.books();
    let mut ask = |tenant: &str| {
        books.caller(&question(tenant, "0455550001", "+81455550001")).map(|kept| {
            assert_eq!(kept.keep, Duration::from_secs(60));
            kept.answer
        })
    };
    assert_eq!(ask("acme").unwrap(), None, "there is no book");
    place.write("acme", "\"0455550001\" = \"Tanaka\"\n", 40);
    place.write("beta", "\"0455550001\" = { refuse = \"no\" }\n", 40);
    assert_eq!(ask("acme").unwrap(), named("Tanaka"));
    assert_eq!(ask("beta").unwrap(), refused("no"), "every office has its own");
    place.write("acme", "\"0455550001\" = \"Sato\"\n", 30);
    assert_eq!(ask("acme").unwrap(), named("Sato"));
    place.write("acme", "\"0455550001\" = \n", 20);
    let words = ask("acme").unwrap_err().to_string();
    assert!(words.contains("acme.toml:1:"), "{words}");
    assert_eq!(ask("acme").unwrap(), named("Sato"), "what was read before holds");
    place.write("acme", "\"0455550001\" = \"Suzuki\"\n", 10);
    assert_eq!(ask("acme").unwrap(), named("Suzuki"));
    fs::remove_file(place.0.join("books/acme.toml")).unwrap();
    assert_eq!(ask("acme").unwrap(), None);
    for nobody in ["", "../acme", ".acme", "a/b"] {
        assert!(ask(nobody).is_err(), "{nobody}");
    }
}
