//! The package before it is built: its unit, its scripts, and the configuration that it brings.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A tree with empty programs in place of the built ones.
fn staged(name: &str) -> PathBuf {
    let work = std::env::temp_dir().join(format!("koukan-deb-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&work);
    let built = work.join("built");
    for file in ["koukan", "koukan-faxworker"] {
        tree::put(&built.join(file), b"#!/bin/sh\n", 0o755).unwrap();
    }
    for file in ["announcements", "callers", "cdr", "recording", "voicemail"] {
        tree::put(&built.join(format!("lib{file}.so")), b"\x7fELF", 0o755).unwrap();
    }
    tree::write(&root(), &built, &work.join("stage")).unwrap();
    work
}

#[test]
fn every_file_that_an_operator_changes_is_a_conffile_and_no_password_is_in_the_package() {
    let work = staged("files");
    let stage = work.join("stage");
    let list = fs::read_to_string(stage.join("DEBIAN/conffiles")).unwrap();
    let below = |path: &str| {
        let output = Command::new("find").arg(stage.join(path)).args(["-type", "f"]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let prefix = format!("{}/", stage.display());
        let mut names: Vec<String> =
            text.lines().map(|line| format!("/{}", &line[prefix.len()..])).collect();
        names.sort();
        names
    };
    let mut listed: Vec<String> = list.lines().map(str::to_owned).collect();
    listed.sort();
    assert_eq!(below("etc"), listed);
    assert!(!below("").iter().any(|name| name.contains("secrets")));
    assert!(below("usr/share/koukan/prompts/ja").len() > 20);
    fs::remove_dir_all(work).unwrap();
}

#[test]
fn the_packaged_configuration_names_the_places_of_a_package_alone() {
    let sample = fs::read_to_string(root().join("conf/koukan.toml")).unwrap();
    let text = tree::configuration(&sample).unwrap();
    toml::de::DeTable::parse(&text).expect("it is TOML");
    for line in [
        "data = \"/var/lib/koukan\"",
        "socket = \"/run/koukan/koukan.sock\"",
        "group = true",
        "database = \"sqlite:/var/lib/koukan/koukan.db\"",
        "objects = \"file:/var/lib/koukan/objects\"",
        "prompts = \"/usr/share/koukan/prompts\"",
    ] {
        assert_eq!(text.lines().filter(|found| found.starts_with(line)).count(), 1, "{line}");
    }
    let settings = text.lines().filter(|line| !line.starts_with('#'));
    let relative = settings.filter(|line| line.contains("\"data") || line.contains(":data"));
    assert_eq!(relative.collect::<Vec<_>>(), Vec::<&str>::new());
    let broken = tree::configuration(&sample.replace("prompts", "sounds")).unwrap_err();
    assert!(broken.contains("prompts"), "{broken}");
}

#[test]
fn the_scripts_are_shell_and_the_unit_is_one_where_systemd_can_tell() {
    let work = staged("unit");
    let stage = work.join("stage");
    for script in ["postinst", "prerm", "postrm"] {
        let status = Command::new("sh").arg("-n").arg(stage.join("DEBIAN").join(script)).status();
        assert!(status.unwrap().success(), "{script}");
    }
    // The programs that the unit names stand where they will be on a machine that has it.
    let unit = fs::read_to_string(stage.join("usr/lib/systemd/system/koukan.service")).unwrap();
    let unit = unit.replace("/usr/bin/koukan", &stage.join("usr/bin/koukan").display().to_string());
    let unit = unit.replace(" /run/koukan", &format!(" {}", stage.display()));
    let file = work.join("koukan.service");
    fs::write(&file, unit).unwrap();
    let verify = Command::new("systemd-analyze").arg("verify").arg(&file).output();
    let Ok(output) = verify else {
        println!("no systemd-analyze: the unit is not verified here");
        return fs::remove_dir_all(work).unwrap();
    };
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_us: Vec<&str> = words.lines().filter(|line| line.contains("koukan")).collect();
    assert!(output.status.success() && about_us.is_empty(), "{words}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=20"]).arg(&file);
    let output = security.output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{}", words.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_dir_all(work).unwrap();
}

#[test]
fn the_package_names_the_version_of_the_workspace() {
    let version = version(&root()).unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let text = control(&version, "amd64", "libc6 (>= 2.36)");
    assert!(text.contains("Depends: libc6 (>= 2.36), adduser\n"), "{text}");
    assert!(text.lines().all(|line| !line.is_empty() && line.len() <= 100), "{text}");
}
