//! `[announcement.X]`: a built-in template voice, the office's own file, or a prompt of the server
//! (S-24, S-25).

use std::sync::Arc;

use crate::decision::PromptRef;
use crate::read::{Item, Table};

#[derive(Debug)]
pub(crate) enum Announcement {
    /// A template voice, 1 to 3.
    Template(u32),
    /// A file below the tenant's directory.
    File(Arc<str>),
    /// A prompt that the server brings, in the tenant's language.
    Prompt(Arc<str>),
}

impl Announcement {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let template = table.opt("template", |item| item.whole(1, 3)).map(Self::Template);
        let file = table.opt("file", Item::path_inside).map(Self::File);
        let prompt = table.opt("prompt", prompt_name).map(Self::Prompt);
        let written = ["template", "file", "prompt"].iter().filter(|key| table.has(key)).count();
        if written != 1 {
            table.reader.error(
                table.place,
                format!("{} has {written} sources", table.path()),
                "expected one of `template` (1 to 3), `file` or `prompt`",
            );
            return None;
        }
        template.or(file).or(prompt)
    }

    /// The file below the tenant's directory that it is.
    pub(crate) const fn file(&self) -> Option<&Arc<str>> {
        match self {
            Self::File(path) => Some(path),
            Self::Template(_) | Self::Prompt(_) => None,
        }
    }

    /// What to play, in the tenant's language.
    pub(crate) fn prompt(&self, language: &Arc<str>) -> PromptRef {
        let server = |name| PromptRef { language: Arc::clone(language), name };
        match self {
            Self::Template(1) => server(Arc::from("closed")),
            Self::Template(voice) => server(Arc::from(format!("closed-{voice}"))),
            Self::Prompt(name) => server(Arc::clone(name)),
            Self::File(path) => PromptRef { language: Arc::from(""), name: Arc::clone(path) },
        }
    }
}

fn prompt_name(item: Item<'_>) -> Option<Arc<str>> {
    item.parsed("the name of a server prompt: letters, digits, `-` and `_`", |text| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| Arc::from(text))
    })
}
