//! Text of others within our XML (XML 1.0, 2.2 and 2.4): escaped, and without what it cannot hold.

/// Appends text as an attribute's value or an element's content. Bytes that are no UTF-8 become the
/// replacement character: XML has no place for them.
pub(super) fn push_text(out: &mut String, text: &[u8]) {
    for letter in String::from_utf8_lossy(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\r' | '\n' => out.push(' '),
            // Characters that XML 1.0 forbids in any form.
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => out.push(other),
        }
    }
}

/// Appends ` name="text"`.
pub(super) fn push_attribute(out: &mut String, name: &str, text: &[u8]) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    push_text(out, text);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_breaks_out_of_its_place() {
        let mut out = String::new();
        push_attribute(&mut out, "a", b"<x y=\"1\">&\r\n\0\x1b\xff\xe6\xbc\xa2");
        assert_eq!(out, " a=\"&lt;x y=&quot;1&quot;&gt;&amp;  \u{fffd}\u{6f22}\"");
    }
}
