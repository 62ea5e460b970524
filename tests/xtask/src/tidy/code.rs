//! Rules on Rust files: module documentation, length, sleeping tests, silenced lints, tests that do
//! not run.

use super::Findings;
use super::tree::{Source, Tree};

/// Lines of a file without its tests.
const LINES: usize = 600;

/// Where waiting by the clock cannot be avoided: other people's processes, and drivers, whose
/// threads and sockets have no virtual clock.
const MAY_SLEEP: [&str; 4] =
    ["tests/e2e", "tests/bench", "core/engine/tests", "core/server/tests/office"];

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    for file in tree.rust() {
        let (Some(text), Some(code)) = (&file.text, &file.code) else { continue };
        if !text.starts_with("//!") {
            found.add(&file.path, 1, "module doc", "a file begins with `//!`: what it is");
        }
        let lines = file.lines_before_tests();
        if lines > LINES && !file.is_test() {
            let words = format!("{lines} lines without tests, {LINES} are allowed");
            found.add(&file.path, LINES, "length", words);
        }
        check_lines(file, code, text, found);
    }
}

fn check_lines(file: &Source, code: &str, text: &str, found: &mut Findings) {
    let before_tests = file.lines_before_tests();
    for (number, line) in (1..).zip(code.lines()) {
        let is_test = file.is_test() || number > before_tests;
        let may_sleep = MAY_SLEEP.iter().any(|place| file.path.starts_with(place));
        if is_test && line.contains("thread::sleep") && !may_sleep {
            let words = "a test does not sleep: hand in the time, or wait for what must happen";
            found.add(&file.path, number, "sleep", words);
        }
        if line.contains("#[ignore") {
            found.add(&file.path, number, "ignored test", "every test runs");
        }
        let silences = ["[allow(", "[expect("].iter().any(|lint| line.contains(lint));
        if silences && !attribute(text, number).contains("reason") {
            found.add(&file.path, number, "silenced lint", "give a `reason = \"…\"`");
        }
    }
}

/// The text from a line to the end of the attribute that begins there.
fn attribute(text: &str, number: usize) -> String {
    let mut whole = String::new();
    for line in text.lines().skip(number.saturating_sub(1)) {
        whole.push_str(line);
        if line.trim_end().ends_with(']') {
            break;
        }
    }
    whole
}
