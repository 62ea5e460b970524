//! `include/koukan.h` is made of `koukan.h.in`, which holds its prose, and of the Rust types of
//! this crate, which hold every declaration and what is said of each field. With `KOUKAN_WRITE=1`
//! it is written, else it is held against what stands there.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{
    Attribute, BareFnArg, Expr, Field, GenericArgument, Item, ItemConst, ItemMod, ItemStruct,
    PathArguments, ReturnType, Type, TypeBareFn,
};

/// What the crate declares.
#[derive(Default)]
struct Crate {
    structs: BTreeMap<String, ItemStruct>,
    aliases: BTreeMap<String, Type>,
    /// Constants of the crate's root, of its modules, and of `status`.
    values: BTreeMap<String, Vec<ItemConst>>,
}

impl Crate {
    fn read() -> Self {
        let mut all = Self::default();
        for file in
            ["lib", "status", "audio", "bridge", "host", "metrics", "module", "sink", "source"]
        {
            let text = fs::read_to_string(own(&format!("src/{file}.rs"))).unwrap();
            let items = syn::parse_file(&text).unwrap().items;
            let place = if file == "status" { file } else { "" };
            items.into_iter().for_each(|item| all.take(place, item));
        }
        all
    }

    fn take(&mut self, place: &str, item: Item) {
        match item {
            Item::Struct(item) => {
                self.structs.insert(item.ident.to_string(), item);
            }
            Item::Type(item) => {
                self.aliases.insert(item.ident.to_string(), *item.ty);
            }
            Item::Const(item) => self.values.entry(place.to_owned()).or_default().push(item),
            Item::Mod(ItemMod { ident, content: Some((_, items)), .. }) => {
                items.into_iter().for_each(|item| self.take(&ident.to_string(), item));
            }
            _ => {}
        }
    }

    /// A struct in C; one that has grown begins with what it was.
    fn declare(&self, rust: &str) -> String {
        let name = c_name(rust);
        let mut out = format!("typedef struct {name} {{\n");
        for field in self.fields(rust) {
            let doc = doc(&field.attrs);
            comment(&mut out, "    ", &doc);
            let ident = field.ident.as_ref().unwrap().to_string();
            let ident = ident.trim_start_matches("r#");
            let declared = self.declarator(&field.ty, ident, &name);
            wrapped(&mut out, "    ", &format!("{declared};"));
        }
        write!(out, "}} {name};").unwrap();
        out
    }

    fn fields(&self, rust: &str) -> Vec<&Field> {
        let mut all = Vec::new();
        for field in &self.structs[rust].fields {
            match (field.ident.as_ref().unwrap().to_string().as_str(), &field.ty) {
                (name, Type::Path(first)) if name.starts_with("minor") => {
                    all.extend(self.fields(&first.path.segments.last().unwrap().ident.to_string()));
                }
                _ => all.push(field),
            }
        }
        all
    }

    /// A field or an argument in C; within its own struct a type is not known by its short name.
    fn declarator(&self, ty: &Type, name: &str, within: &str) -> String {
        match ty {
            Type::BareFn(function) => self.function(function, name, within),
            Type::Array(array) => {
                let Expr::Lit(length) = &array.len else { panic!("a length that is no number") };
                let syn::Lit::Int(length) = &length.lit else { panic!("no number") };
                format!("{} {name}[{length}]", self.c_type(&array.elem, within))
            }
            Type::Path(path) => {
                let last = path.path.segments.last().unwrap();
                if let PathArguments::AngleBracketed(arguments) = &last.arguments {
                    // An Option of a function: a pointer that may be null.
                    let Some(GenericArgument::Type(inner)) = arguments.args.first() else {
                        panic!("{name} has an argument that is no type");
                    };
                    return self.declarator(inner, name, within);
                }
                if let Some(Type::BareFn(function)) = self.aliases.get(&last.ident.to_string()) {
                    return self.function(function, name, within);
                }
                spaced(&self.c_type(ty, within), name)
            }
            _ => spaced(&self.c_type(ty, within), name),
        }
    }

    fn function(&self, function: &TypeBareFn, name: &str, within: &str) -> String {
        let arguments: Vec<String> = function
            .inputs
            .iter()
            .map(|BareFnArg { name, ty, .. }| {
                let name = name.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default();
                assert!(!name.is_empty(), "an argument without a name");
                self.declarator(ty, &name, within)
            })
            .collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
        let result = match &function.output {
            ReturnType::Default => "void".to_owned(),
            ReturnType::Type(_, ty) => self.c_type(ty, within),
        };
        format!("{}({arguments})", spaced(&result, &format!("(*{name})")))
    }

    fn c_type(&self, ty: &Type, within: &str) -> String {
        match ty {
            Type::Ptr(pointer) => {
                let is_text =
                    matches!(&*pointer.elem, Type::Path(path) if path.path.is_ident("u8"));
                let inner =
                    if is_text { "char".to_owned() } else { self.c_type(&pointer.elem, within) };
                let constant = if pointer.const_token.is_some() { "const " } else { "" };
                format!("{constant}{}", spaced(&inner, "*"))
            }
            Type::Path(path) => {
                let name = path.path.segments.last().unwrap().ident.to_string();
                let own = match name.as_str() {
                    "usize" => "size_t",
                    "c_void" => "void",
                    "Instance" => "void *",
                    "Status" => "kk_status",
                    "CallNumber" => "kk_call",
                    "OpNumber" => "kk_op",
                    "u8" => "uint8_t",
                    "u16" => "uint16_t",
                    "u32" => "uint32_t",
                    "u64" => "uint64_t",
                    "i64" => "int64_t",
                    other => {
                        assert!(self.structs.contains_key(other), "{other} is no type of C");
                        let name = c_name(other);
                        return if name == within { format!("struct {name}") } else { name };
                    }
                };
                own.to_owned()
            }
            _ => panic!("a type that C does not have"),
        }
    }

    /// Constants as an enum; `named` makes their names.
    fn enumerate(&self, place: &str, named: impl Fn(&str, &str) -> String) -> String {
        let mut out = String::from("enum {\n");
        let constants = &self.values[place];
        for (at, constant) in constants.iter().enumerate() {
            let value = value(&constant.expr);
            let name = named(&constant.ident.to_string(), &value);
            let comma = if at + 1 < constants.len() { "," } else { "" };
            comment(&mut out, "    ", &doc(&constant.attrs));
            writeln!(out, "    {name} = {value}{comma}").unwrap();
        }
        out + "};"
    }

    fn identifiers(&self) -> String {
        let mut out = String::new();
        for constant in &self.values["id"] {
            comment(&mut out, "", &doc(&constant.attrs));
            writeln!(out, "#define KK_ID_{} {}", constant.ident, value(&constant.expr)).unwrap();
        }
        out.trim_end().to_owned()
    }

    fn constant(&self, name: &str) -> String {
        let constant = self.values[""].iter().find(|constant| constant.ident == name).unwrap();
        format!("#define KK_{name} {}", value(&constant.expr))
    }

    /// The header of its prose.
    fn header(&self, prose: &str) -> String {
        let mut out = String::new();
        for line in prose.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let made = match words.as_slice() {
                ["@struct", name] => self.declare(name),
                ["@value", name] => self.constant(name),
                ["@enum", place, prefix] => {
                    self.enumerate(place, |name, _| format!("{prefix}{name}"))
                }
                ["@status"] => self.enumerate("status", |name, value| {
                    let error = if value.starts_with('-') { "E_" } else { "" };
                    format!("KK_{error}{name}")
                }),
                ["@ids"] => self.identifiers(),
                ["@magic"] => {
                    let bytes = koukan_abi::MAGIC.map(|byte| format!("0x{byte:02x}"));
                    format!("#define KK_MAGIC_INIT {{ {} }}", bytes.join(", "))
                }
                [order, ..] if order.starts_with('@') => panic!("{line} means nothing"),
                _ => line.to_owned(),
            };
            out.push_str(&made);
            out.push('\n');
        }
        out
    }
}

/// `Call1Minor1` is `kk_call_1`.
fn c_name(rust: &str) -> String {
    let base = rust.split("Minor").next().unwrap();
    let mut name = String::from("kk");
    for c in base.chars() {
        if c.is_ascii_uppercase() || c.is_ascii_digit() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// A type before a name: a star stands at the name.
fn spaced(ty: &str, name: &str) -> String {
    if ty.ends_with('*') { format!("{ty}{name}") } else { format!("{ty} {name}") }
}

fn value(expr: &Expr) -> String {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Int(number) => number.base10_digits().to_owned(),
            syn::Lit::Str(text) => format!("\"{}\"", text.value()),
            _ => panic!("a value that C does not have"),
        },
        Expr::Unary(unary) => format!("-{}", value(&unary.expr)),
        _ => panic!("a value that C does not have"),
    }
}

/// What is said of an item, in one line.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|one| one.path().is_ident("doc")).map(|attribute| {
        let Expr::Lit(text) = &attribute.meta.require_name_value().unwrap().value else {
            panic!("a doc that is no text");
        };
        let syn::Lit::Str(text) = &text.lit else { panic!("a doc that is no text") };
        text.value().trim().to_owned()
    });
    let text = lines.collect::<Vec<_>>().join(" ").replace("\\[", "[").replace("\\]", "]");
    without_links(&text)
}

/// "[`Log1`](path)" is "kk_log_1" in C, and "[`Wake1::wake`](path)" is "kk_wake_1.wake".
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("[`") {
        let (name, after) = behind.split_once("`]").unwrap();
        out.push_str(before);
        let (ty, member) = name.split_once("::").unwrap_or((name, ""));
        out.push_str(&c_name(ty));
        if !member.is_empty() {
            write!(out, ".{member}").unwrap();
        }
        rest = match after.strip_prefix('(') {
            Some(path) => path.split_once(')').unwrap().1,
            None => after,
        };
    }
    out + rest
}

/// The widest line.
const COLUMNS: usize = 100;

fn comment(out: &mut String, indent: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    let mut line = format!("{indent}/*");
    for word in text.split(' ') {
        // The last one has the end of the comment behind it.
        if line.len() + 1 + word.len() + 3 > COLUMNS {
            writeln!(out, "{line}").unwrap();
            line = format!("{indent} *");
        }
        write!(line, " {word}").unwrap();
    }
    writeln!(out, "{line} */").unwrap();
}

/// A declaration, its arguments below each other where they do not fit.
fn wrapped(out: &mut String, indent: &str, declared: &str) {
    let behind = declared.find(")(").map_or(0, |at| at + 2);
    let mut line = indent.to_owned();
    for (at, part) in declared.split(", ").enumerate() {
        let part = if at == 0 { part.to_owned() } else { format!(", {part}") };
        if line.len() + part.len() + 1 > COLUMNS && at > 0 {
            writeln!(out, "{line},").unwrap();
            line = format!("{indent}{}", " ".repeat(behind));
            line.push_str(part.trim_start_matches(", "));
        } else {
            line.push_str(&part);
        }
    }
    writeln!(out, "{line}").unwrap();
}

fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_header_is_made_of_the_rust_types() {
    let made = Crate::read().header(&fs::read_to_string(own("koukan.h.in")).unwrap());
    let file = own("include/koukan.h");
    if std::env::var_os("KOUKAN_WRITE").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let stands = fs::read_to_string(&file).unwrap();
    let differs = made.lines().zip(stands.lines()).position(|(made, stands)| made != stands);
    if let Some(line) = differs {
        let text = made.lines().nth(line).unwrap();
        panic!("koukan.h:{}: \"{text}\" is to stand here: KOUKAN_WRITE=1 writes it", line + 1);
    }
    assert_eq!(made, stands);
}

#[test]
fn a_field_that_is_changed_changes_the_header() {
    let mut all = Crate::read();
    let before = all.declare("Question");
    assert!(before.contains("    kk_str key;\n"), "{before}");
    let changed: ItemStruct = syn::parse_str("struct Question { size: usize, key: u64 }").unwrap();
    all.structs.insert("Question".to_owned(), changed);
    assert_eq!(
        all.declare("Question"),
        "typedef struct kk_question {\n    size_t size;\n    uint64_t key;\n} kk_question;"
    );
}
