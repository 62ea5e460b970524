//! The length of functions. Those that are longer with a reason stand in a list that may only
//! shrink: an entry that is no longer needed, or no longer as long, is itself a finding.

use std::path::Path;

use super::Findings;
use super::tree::Tree;

/// Lines of a function, from `fn` to its closing brace.
const LINES: usize = 70;

/// File, function and its lines: a flat `match` over wire values, or older than the rule.
const LONGER: &[(&str, &str, usize)] = &[];

/// A function's name, first line and number of lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    for file in tree.rust().filter(|file| !file.is_test()) {
        let before_tests = file.lines_before_tests();
        let code = file.code.as_deref().unwrap_or_default();
        let allowed: Vec<_> =
            LONGER.iter().filter(|entry| file.path == Path::new(entry.0)).collect();
        let all = functions(code);
        for function in all.iter().filter(|function| function.line <= before_tests) {
            let entry = allowed.iter().find(|entry| entry.1 == function.name);
            let limit = entry.map_or(LINES, |entry| entry.2);
            if function.lines > limit {
                let words = format!(
                    "`{}` has {} lines, {limit} are allowed",
                    function.name, function.lines
                );
                found.add(&file.path, function.line, "function", words);
            } else if entry.is_some() && function.lines < limit {
                let words = format!("`{}` has become shorter: lower its entry", function.name);
                found.add(&file.path, function.line, "function", words);
            }
        }
        for entry in allowed {
            if !all.iter().any(|function| function.name == entry.1) {
                found.add(&file.path, 1, "function", format!("no `{}`: drop its entry", entry.1));
            }
        }
    }
}

/// The functions with a body in masked code, nested ones too.
pub(super) fn functions(code: &str) -> Vec<Function> {
    let is_name = |one: char| one.is_alphanumeric() || one == '_';
    let mut all = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let (before, behind) = code.split_at(at);
        if before.chars().next_back().is_some_and(is_name) {
            continue;
        }
        let behind = behind.get(3..).unwrap_or_default();
        let name: String = behind.chars().take_while(|one| is_name(*one)).collect();
        if let Some(body) = body(behind).filter(|_| !name.is_empty()) {
            let line = 1 + before.matches('\n').count();
            all.push(Function { name, line, lines: 1 + body.matches('\n').count() });
        }
    }
    all
}

/// From behind `fn ` to the closing brace; `None` for a declaration.
fn body(text: &str) -> Option<&str> {
    let (mut depth, mut inside) = (0usize, false);
    for (at, one) in text.char_indices() {
        match one {
            '{' | '(' | '[' => {
                inside |= one == '{' && depth == 0;
                depth += 1;
            }
            '}' | ')' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && inside {
                    return text.get(..=at);
                }
            }
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_ends_at_its_own_brace_and_a_declaration_has_no_body() {
        let code =
            "trait T { fn a(&self); }\nfn b(x: [u8; 4]) -> [u8; 2]\nwhere X: Y {\n if x {}\n}\n";
        let expected = Function { name: "b".to_owned(), line: 2, lines: 4 };
        assert_eq!(functions(code), [expected]);
    }
}
