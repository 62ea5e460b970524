//! `cargo xtask deb`: the Debian package, made by dpkg-deb of a tree that is declared here, file by
//! file. With `--try` it is installed in a root of its own (debootstrap), where it must check its
//! configuration, serve a call with sound, and end when it is drained.

mod tree;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{cargo, execute, target};
use crate::{deps, root};

/// What is built for it.
const PACKAGES: [&str; 7] = [
    "koukan",
    "koukan-announcements",
    "koukan-callers",
    "koukan-cdr",
    "koukan-faxworker",
    "koukan-recording",
    "koukan-voicemail",
];

/// Makes the package; `--debug` of a build without optimisation, `--try` installs it in a root.
pub(crate) fn command(arguments: &[String]) -> Result<(), String> {
    let (mut debug, mut tries) = (false, false);
    for argument in arguments {
        match argument.as_str() {
            "--debug" => debug = true,
            "--try" => tries = true,
            other => return Err(format!("unknown argument {other}: deb [--debug] [--try]")),
        }
    }
    deps::install(deps::PACKAGE)?;
    let packages: Vec<&str> = PACKAGES.iter().flat_map(|name| ["--package", *name]).collect();
    let profile: &[&str] = if debug { &[] } else { &["--release"] };
    cargo("building", &[&["build", "--locked"], profile, &packages].concat())?;
    let built = target().join(if debug { "debug" } else { "release" });
    // What is only tried need not be small.
    let packing = if debug { ["-Zgzip", "-z1"] } else { ["-Zxz", "-z6"] };
    let package = make(&built, packing)?;
    println!("    {}", package.display());
    if tries { trial::run(&package) } else { Ok(()) }
}

/// Makes the package of what was built.
fn make(built: &Path, packing: [&str; 2]) -> Result<PathBuf, String> {
    let stage = target().join("deb/stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    }
    tree::write(&root(), built, &stage)?;
    let depends = libraries(&stage)?;
    let architecture = said(Command::new("dpkg").arg("--print-architecture"))?;
    let version = version(&root())?;
    let control = control(&version, architecture.trim(), &depends);
    tree::put(&stage.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
    let package = target().join(format!("deb/koukan_{version}_{}.deb", architecture.trim()));
    let mut command = Command::new("dpkg-deb");
    command.arg("--root-owner-group").args(packing).arg("--build").arg(&stage).arg(&package);
    execute("dpkg-deb", &mut command)?;
    Ok(package)
}

/// What the package says of itself.
fn control(version: &str, architecture: &str, depends: &str) -> String {
    format!(
        "Package: koukan\nVersion: {version}\nArchitecture: {architecture}\n\
         Maintainer: the authors of Koukan <koukan@localhost>\nSection: comm\n\
         Priority: optional\nDepends: {depends}, adduser\nRecommends: fonts-ipafont-gothic\n\
         Description: telephone exchange in one process\n \
         SIP registrar and back-to-back user agent, a media engine with a thread a core,\n \
         fax over G.711 and T.38, voicemail, recording, queues and conference rooms, and a\n \
         dialplan in TOML that is checked, simulated and explained before a call is made.\n"
    )
}

/// The packages of the libraries that the programs are linked with, as dpkg knows them.
fn libraries(stage: &Path) -> Result<String, String> {
    let work = target().join("deb/shlibs");
    tree::put(
        &work.join("debian/control"),
        b"Source: koukan\n\nPackage: koukan\nArchitecture: any\n",
        0o644,
    )?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.arg("-O").current_dir(work);
    for file in tree::programs(stage)? {
        command.arg(format!("-e{}", file.display()));
    }
    let text = said(&mut command)?;
    let depends = text.trim().strip_prefix("shlibs:Depends=");
    depends.map(str::to_owned).ok_or_else(|| format!("dpkg-shlibdeps said: {text}"))
}

/// The workspace's version.
fn version(root: &Path) -> Result<String, String> {
    let file = root.join("Cargo.toml");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    line.map(str::to_owned).ok_or_else(|| "Cargo.toml names no version".to_owned())
}

/// What a command says.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests;
