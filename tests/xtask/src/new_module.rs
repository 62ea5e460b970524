//! `new-module NAME`: a module that builds, loads and is tested, to be changed into what is wanted.

use std::fs;
use std::path::Path;

const MANIFEST: &str = include_str!("../templates/module/manifest.toml");
const MODULE: &str = include_str!("../templates/module/module.rs");
const TEST: &str = include_str!("../templates/module/test.rs");

/// What the member is put before in the workspace's list.
const MEMBERS: &str = "    \"modules/";

/// Makes `modules/NAME` below a root and puts it into the workspace there.
pub(crate) fn create(root: &Path, name: &str) -> Result<(), String> {
    check_name(name)?;
    let directory = root.join("modules").join(name);
    if directory.exists() {
        return Err(format!("{} is there already", directory.display()));
    }
    let workspace = root.join("Cargo.toml");
    let told = |path: &Path, error| format!("{}: {error}", path.display());
    let manifest = fs::read_to_string(&workspace).map_err(|error| told(&workspace, error))?;
    let member = format!("    \"modules/{name}\",\n");
    let Some((before, behind)) = manifest.split_once(MEMBERS) else {
        return Err(format!("{} has no line with the modules", workspace.display()));
    };
    let manifest = format!("{before}{member}{MEMBERS}{behind}");
    for (path, text) in [
        (directory.join("Cargo.toml"), MANIFEST),
        (directory.join("src/lib.rs"), MODULE),
        (directory.join(format!("tests/{name}.rs")), TEST),
    ] {
        let parent = path.parent().unwrap_or(root);
        fs::create_dir_all(parent).map_err(|error| told(parent, error))?;
        fs::write(&path, text.replace("@name@", name)).map_err(|error| told(&path, error))?;
    }
    fs::write(&workspace, manifest).map_err(|error| told(&workspace, error))?;
    println!(
        "made modules/{name}. Next:\n\
         \x20 cargo test -p koukan-{name}      its tests against the fake host\n\
         \x20 cargo build -p koukan-{name}     lib{name}.so beside the server\n\
         and in conf/koukan.toml, for `koukan module load {name}`:\n\
         \x20 [module.{name}]\n\x20 grants = [\"call\"]\n\
         core/sdk/TUTORIAL.md goes on from here."
    );
    Ok(())
}

/// The name is that of a directory, a package, a library and a function at once.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let is_taken = ["self", "super", "crate", "koukan_sdk", "serde", "std", "core"].contains(&name);
    if starts && name.len() <= 40 && name.bytes().all(plain) && !is_taken {
        return Ok(());
    }
    Err(format!("\"{name}\" is no name for a module: a to z first, then also 0 to 9 and _"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_library_can_have_are_refused() {
        for name in ["", "Greeter", "1st", "a-b", "../x", "self", "a b", &"x".repeat(41)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(check_name("queue_2"), Ok(()));
    }

    #[test]
    fn a_module_is_made_once_and_stands_in_the_workspace() {
        let root = std::env::temp_dir().join(format!("koukan-new-module-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        let workspace = "[workspace]\nmembers = [\n    \"modules/voicemail\",\n]\n";
        fs::write(root.join("Cargo.toml"), workspace).unwrap();
        create(&root, "greeter").unwrap();
        let text = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let list = "[\n    \"modules/greeter\",\n    \"modules/voicemail\",\n]";
        assert!(text.contains(list), "{text}");
        let module = fs::read_to_string(root.join("modules/greeter/src/lib.rs")).unwrap();
        assert!(module.contains("pub async fn greeter(") && !module.contains('@'));
        assert!(create(&root, "greeter").unwrap_err().contains("is there already"));
        fs::remove_dir_all(root).unwrap();
    }
}
