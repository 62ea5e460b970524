//! `[module.NAME] options` against what the module says that it takes: the table `kk.config/1` of
//! its schema, read from its file without running any of it. A module that says nothing is asked
//! when it opens.

use std::path::Path;

use koukan_dialplan::{ModuleField, ModuleFieldKind, ModuleSource, module_options};

use super::reader::{Item, nearest};
use crate::module;

/// Holds the options of a module against its file; `module` is its whole table.
pub(super) fn check(name: &str, file: &Path, module: &Item<'_>, options: Option<&Item<'_>>) {
    let schema = module::schema(file).unwrap_or_default();
    let source = ModuleSource { name: name.to_owned(), schema };
    if let Some(fields) = module_options(&source) {
        check_fields(&fields, name, module, options);
    }
}

fn check_fields(fields: &[ModuleField], name: &str, module: &Item<'_>, options: Option<&Item<'_>>) {
    let table = match options {
        None => None,
        Some(item) if fields.is_empty() && item.is_table() => {
            let is_empty = item.table().is_none_or(|table| {
                let is_empty = table.entries().is_empty();
                table.open();
                is_empty
            });
            if !is_empty {
                let message = format!("the module \"{name}\" takes no options");
                item.note_key(message, "take them out".to_owned());
            }
            return;
        }
        Some(item) => match item.table() {
            Some(table) => Some(table),
            None => return,
        },
    };
    let entries = table.as_ref().map(|table| table.entries()).unwrap_or_default();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    for (key, item) in &entries {
        match fields.iter().find(|field| field.name == *key) {
            Some(field) => check_value(&field.kind, item),
            None => {
                let message = format!("the module \"{name}\" takes no option \"{key}\"");
                item.note_key(message, nearest(key, &names));
            }
        }
    }
    for field in fields.iter().filter(|field| field.required) {
        if !entries.iter().any(|(key, _)| *key == field.name) {
            let message = format!("`module.{name}.options` has no `{}`", field.name);
            let hint = "the module requires it".to_owned();
            options.unwrap_or(module).note_key(message, hint);
        }
    }
    if let Some(table) = table {
        table.open();
    }
}

fn check_value(kind: &ModuleFieldKind, item: &Item<'_>) {
    match kind {
        ModuleFieldKind::Text => {
            let _ = item.text();
        }
        ModuleFieldKind::Choice(words) => {
            let known = |text: &str| words.iter().any(|word| **word == *text).then_some(());
            let _ = item.parsed(&format!("one of: {}", words.join(", ")), known);
        }
        ModuleFieldKind::Whole(min, max) => {
            let _ = item.integer(u64::from(*min)..=u64::from(*max));
        }
        ModuleFieldKind::Flag => {
            let _ = item.boolean();
        }
        ModuleFieldKind::Prompt => check_prompt(item),
        ModuleFieldKind::Texts => {
            item.list().unwrap_or_default().iter().for_each(|entry| {
                let _ = entry.text();
            });
        }
        ModuleFieldKind::Prompts => {
            item.list().unwrap_or_default().iter().for_each(check_prompt);
        }
    }
}

fn check_prompt(item: &Item<'_>) {
    let expected = "a prompt such as { language = \"ja\", name = \"closed\" }";
    if !item.is_table() {
        return item.wrong::<()>(expected).unwrap_or_default();
    }
    let Some(table) = item.table() else { return };
    let language = table.item("language").is_none_or(|item| item.text().is_some());
    if table.item("name").is_none() && language {
        item.wrong::<()>(expected);
    } else {
        let _ = table.item("name").and_then(|name| name.text());
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Reader, Table};
    use super::*;

    const SCHEMA: &str = "[\"kk.config/1\"]\n\
        file = { type = \"text\", required = true }\n\
        events = { type = \"flag\" }\n\
        keep_s = { type = \"whole\", max = 60 }\n\
        level = { type = \"text\", one_of = [\"low\", \"high\"] }\n\
        names = { type = \"texts\" }\n\
        sorry = { type = \"prompt\" }\n";

    /// What is wrong with a module's table, each with its place.
    fn found(schema: &str, text: &str) -> Vec<String> {
        let reader = Reader::new("koukan.toml", text);
        let document = reader.parse();
        let root = Table::root(&reader, document.get_ref());
        let table = root.table("module");
        let source = ModuleSource { name: "cdr".to_owned(), schema: schema.to_owned() };
        for (name, item) in table.entries() {
            let keys = item.table().unwrap();
            if let Some(fields) = module_options(&source) {
                check_fields(&fields, name, &item, keys.item("options").as_ref());
            }
            keys.open();
        }
        table.open();
        drop(root);
        drop(document);
        let (findings, _) = reader.into_findings();
        let told = findings.iter();
        told.map(|f| format!("{}:{}:{} {} [{}]", f.path, f.line, f.column, f.message, f.hint))
            .collect()
    }

    #[test]
    fn what_a_module_takes_is_taken() {
        let text = "[module.cdr]\noptions = { file = \"a\", events = true, keep_s = 60, \
                    level = \"low\", names = [\"a\"], sorry = { name = \"x\" } }\n";
        assert_eq!(found(SCHEMA, text), [""; 0]);
        // A module that does not say, or says it wrongly, is asked when it opens.
        let any = "[module.cdr]\noptions = { any = [1] }\n";
        assert_eq!(found("", any), [""; 0]);
        assert_eq!(found("[\"kk.config/1\"]\nfile = { type = \"txt\" }\n", any), [""; 0]);
        // One that says something else takes none.
        assert_eq!(
            found("[greet]\n", any),
            ["koukan.toml:2:1 the module \"cdr\" takes no options [take them out]"]
        );
        assert_eq!(found("[greet]\n", "[module.cdr]\noptions = {}\n"), [""; 0]);
    }

    #[test]
    fn each_wrong_option_is_named_at_its_line_and_column() {
        let text = "[module.cdr]\n\
                    path = \"cdr\"\n\
                    \n\
                    [module.cdr.options]\n\
                    files = \"data/cdr.jsonl\"\n\
                    events = \"no\"\n\
                    keep_s = 61\n\
                    level = \"middle\"\n\
                    names = [\"a\", 3]\n\
                    sorry = \"x\"\n";
        assert_eq!(
            found(SCHEMA, text),
            [
                "koukan.toml:4:13 `module.cdr.options` has no `file` [the module requires it]",
                "koukan.toml:5:1 the module \"cdr\" takes no option \"files\" [did you mean \
                 \"file\"? known: events, file, keep_s, level, names, sorry]",
                "koukan.toml:6:10 `module.cdr.options.events` cannot be \"no\" [expected true or \
                 false]",
                "koukan.toml:7:10 `module.cdr.options.keep_s` cannot be 61 [expected a number from \
                 0 to 60]",
                "koukan.toml:8:9 `module.cdr.options.level` cannot be \"middle\" [expected one of: \
                 low, high]",
                "koukan.toml:9:15 `module.cdr.options.names` cannot be 3 [expected a text in \
                 quotes]",
                "koukan.toml:10:9 `module.cdr.options.sorry` cannot be \"x\" [expected a prompt \
                 such as { language = \"ja\", name = \"closed\" }]",
            ]
        );
    }

    #[test]
    fn a_module_without_the_options_that_it_requires_is_named() {
        let missing = "`module.cdr.options` has no `file` [the module requires it]";
        assert_eq!(found(SCHEMA, "[module.cdr]\n"), [format!("koukan.toml:1:9 {missing}")]);
        let empty = "[module.cdr]\noptions = { }\n";
        assert_eq!(found(SCHEMA, empty), [format!("koukan.toml:2:1 {missing}")]);
        let other = "[module.cdr]\noptions = 7\n";
        assert_eq!(
            found(SCHEMA, other),
            ["koukan.toml:2:11 `module.cdr.options` cannot be 7 [expected a table]"]
        );
    }
}
