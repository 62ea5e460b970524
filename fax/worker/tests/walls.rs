//! The walls, tried from inside: a child of this test raises them and then does what a process
//! that was taken over would.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use koukan_faxworker::process::walls;

/// The directory that the child may work in.
const WITHIN: &str = "KOUKAN_TEST_WITHIN";

fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("koukan-walls-{}", std::process::id()))
}

#[test]
fn what_is_outside_stays_outside() {
    let directory = directory();
    fs::create_dir_all(&directory).unwrap();
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(own);
    command.args(["--exact", "inside", "--nocapture", "--test-threads=1"]);
    let done = command.env(WITHIN, &directory).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&done.stderr));
    let kept = fs::read(directory.join("own.tif"));
    fs::remove_dir_all(&directory).unwrap();
    assert!(said.contains("behind the walls: true"), "the child got to its end");
    assert_eq!(kept.unwrap(), b"II*");
}

/// What the child of the other test does: in a process that may be spoiled, and nowhere else.
#[test]
fn inside() {
    let Some(within) = std::env::var_os(WITHIN).map(PathBuf::from) else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let raised = walls::raise(&within).unwrap();
    println!("{raised:?}");
    fs::write(within.join("own.tif"), b"II*").unwrap();
    assert_eq!(fs::read(within.join("own.tif")).unwrap(), b"II*");
    socket.send_to(b"x", socket.local_addr().unwrap()).expect("a socket that is there is used");
    if raised.files {
        assert!(fs::read("/etc/hostname").is_err(), "a file outside is read");
        assert!(fs::read_dir("/").is_err(), "a directory outside is read");
        assert!(fs::write("/tmp/koukan-walls-outside", b"x").is_err(), "a file outside is made");
    }
    if raised.calls {
        assert!(UdpSocket::bind("127.0.0.1:0").is_err(), "a socket is made");
        assert!(TcpStream::connect("127.0.0.1:9").is_err(), "a connection is made");
        assert!(Command::new("/bin/true").status().is_err(), "a program is started");
        assert!(std::thread::Builder::new().spawn(|| {}).is_err(), "a thread is started");
    }
    println!("behind the walls: true");
}
