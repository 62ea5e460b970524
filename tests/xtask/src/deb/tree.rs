//! The files of the package: where each comes from and where it goes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Programs and modules, as cargo names them, and where they go.
const BUILT: [(&str, &str); 7] = [
    ("koukan", "usr/lib/koukan/koukan"),
    ("koukan-faxworker", "usr/lib/koukan/koukan-faxworker"),
    ("libannouncements.so", "usr/lib/koukan/modules/libannouncements.so"),
    ("libcallers.so", "usr/lib/koukan/modules/libcallers.so"),
    ("libcdr.so", "usr/lib/koukan/modules/libcdr.so"),
    ("librecording.so", "usr/lib/koukan/modules/librecording.so"),
    ("libvoicemail.so", "usr/lib/koukan/modules/libvoicemail.so"),
];

/// Files of the tree that go as they are.
const PLAIN: [(&str, &str); 8] = [
    ("conf/trunks.toml", "etc/koukan/trunks.toml"),
    ("conf/plans/direct.toml", "etc/koukan/plans/direct.toml"),
    ("conf/tenants/acme/office.toml", "etc/koukan/tenants/acme/office.toml"),
    ("conf/tenants/acme/expect.toml", "etc/koukan/tenants/acme/expect.toml"),
    ("core/server/debian/koukan.service", "usr/lib/systemd/system/koukan.service"),
    ("core/server/debian/README.Debian", "usr/share/doc/koukan/README.Debian"),
    ("core/server/debian/copyright", "usr/share/doc/koukan/copyright"),
    ("LICENSE-MIT", "usr/share/doc/koukan/LICENSE-MIT"),
];

/// What dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Where the sample's `koukan.toml` says something else in a package.
const PLACES: [(&str, &str); 5] = [
    ("data = \"data\" ", "data = \"/var/lib/koukan\" "),
    ("prompts = \"conf/prompts\"", "prompts = \"/usr/share/koukan/prompts\""),
    (
        "socket = \"data/koukan.sock\"         # `koukan ctl`; readable by the server's user only",
        "socket = \"/run/koukan/koukan.sock\"  # `koukan ctl`\n\
         group = true                        # whoever is in the group koukan may use it, too",
    ),
    ("database = \"sqlite:data/koukan.db\"", "database = \"sqlite:/var/lib/koukan/koukan.db\""),
    ("objects = \"file:data/objects\" ", "objects = \"file:/var/lib/koukan/objects\" "),
];

/// The sample's `koukan.toml` with the places of a package.
pub(super) fn configuration(sample: &str) -> Result<String, String> {
    let mut text = sample.to_owned();
    for (from, to) in PLACES {
        if !text.contains(from) {
            return Err(format!("the sample's koukan.toml has no {from}"));
        }
        text = text.replace(from, to);
    }
    Ok(text.replace("file = \"data/cdr.jsonl\"", "file = \"/var/lib/koukan/cdr.jsonl\""))
}

/// Writes the whole tree but `DEBIAN/control`.
pub(super) fn write(root: &Path, built: &Path, stage: &Path) -> Result<(), String> {
    for (from, to) in BUILT {
        copy(&built.join(from), &stage.join(to), 0o755)?;
    }
    for (from, to) in PLAIN {
        copy(&root.join(from), &stage.join(to), 0o644)?;
    }
    let sample = read(&root.join("conf/koukan.toml"))?;
    let text = configuration(&String::from_utf8_lossy(&sample))?;
    put(&stage.join("etc/koukan/koukan.toml"), text.as_bytes(), 0o644)?;
    prompts(&root.join("conf/prompts"), &stage.join("usr/share/koukan/prompts"))?;
    let link = stage.join("usr/bin/koukan");
    parent(&link)?;
    symlink("../lib/koukan/koukan", &link).map_err(told(&link))?;
    for script in SCRIPTS {
        let from = root.join("core/server/debian").join(script);
        copy(&from, &stage.join("DEBIAN").join(script), 0o755)?;
    }
    let list: String = configured().map(|path| format!("/{path}\n")).collect();
    put(&stage.join("DEBIAN/conffiles"), list.as_bytes(), 0o644)
}

/// What is an operator's to change, and stays when the package is renewed.
fn configured() -> impl Iterator<Item = &'static str> {
    let plain = PLAIN.iter().map(|(_, to)| *to).filter(|to| to.starts_with("etc/"));
    std::iter::once("etc/koukan/koukan.toml").chain(plain)
}

/// The spoken announcements; what they are made from stays in the source.
fn prompts(from: &Path, to: &Path) -> Result<(), String> {
    copy(&from.join("LICENSES.md"), &to.join("LICENSES.md"), 0o644)?;
    for language in ["en", "ja"] {
        sounds(&from.join(language), &to.join(language))?;
    }
    Ok(())
}

fn sounds(from: &Path, to: &Path) -> Result<(), String> {
    for entry in fs::read_dir(from).map_err(told(from))? {
        let path = entry.map_err(told(from))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            sounds(&path, &to.join(name))?;
        } else {
            copy(&path, &to.join(name), 0o644)?;
        }
    }
    Ok(())
}

/// The programs and libraries of a tree that was written.
pub(super) fn programs(stage: &Path) -> Result<Vec<PathBuf>, String> {
    let paths: Vec<PathBuf> = BUILT.iter().map(|(_, to)| stage.join(to)).collect();
    match paths.iter().find(|path| !path.is_file()) {
        None => Ok(paths),
        Some(missing) => Err(format!("{} is missing", missing.display())),
    }
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), String> {
    put(to, &read(from)?, mode)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(told(path))
}

/// Writes a file with the directories above it.
pub(super) fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    parent(path)?;
    fs::write(path, bytes).map_err(told(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(told(path))
}

fn parent(path: &Path) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    for directory in parent.ancestors().collect::<Vec<_>>().into_iter().rev() {
        if directory.as_os_str().is_empty() || directory.is_dir() {
            continue;
        }
        fs::create_dir(directory).map_err(told(directory))?;
        // Whatever the mask of who builds is.
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory, mode).map_err(told(directory))?;
    }
    Ok(())
}

fn told(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
