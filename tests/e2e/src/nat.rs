//! Two NATs of network namespaces, with a phone's network behind each: Linux's own masquerading,
//! with the time that it remembers datagrams for shortened.
//!
//! ```text
//! server namespace (the test runs here)          nat 1                      phone 1
//!   10.99.1.1 ───────────────────────── 10.99.1.2 │ 192.168.77.1 ── 192.168.77.2
//!   10.99.2.1 ───────────────────────── 10.99.2.2 │ 192.168.77.1 ── 192.168.77.2   (2)
//!   172.31.1.1 ─────────────── the phone's control port alone ───── 172.31.1.2
//! ```
//! Both phones have the same private address. The test binary runs itself again inside the server's
//! namespace; it needs root, as `ip netns` does.

use std::env;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// How long the NATs remember a way that is silent, in seconds.
pub const FORGETS_S: u32 = 7;

/// Where a phone stands that is not on the server's loopback.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its network namespace.
    pub namespace: String,
    /// Its own address there.
    pub address: IpAddr,
    /// Where its control port is reached.
    pub control: IpAddr,
}

/// The variable that tells the test inside the namespace how its network is called.
const INSIDE: &str = "KOUKAN_E2E_NETWORK";

/// The namespaces; removed when it is dropped, with everything in them.
#[derive(Debug)]
pub struct Network {
    name: String,
    owned: bool,
}

impl Network {
    /// Runs `body` inside a network of its own: the test of this name in this binary is run again
    /// there. Its outcome is this test's.
    ///
    /// # Panics
    /// The network cannot be made, or the test inside fails.
    pub fn run(test: &str, body: impl FnOnce(&Self)) {
        if let Ok(name) = env::var(INSIDE) {
            body(&Self { name, owned: false });
            return;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kk{}-{number}", std::process::id());
        let network = Self { name, owned: true };
        network.build().expect("namespaces, veth pairs and iptables: this test needs root");
        let own = env::current_exe().expect("this binary has a path");
        let status = Command::new("ip")
            .args(["netns", "exec", &network.server()])
            .arg(own)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, &network.name)
            .status()
            .expect("ip is installed");
        assert!(status.success(), "the test inside the network failed");
    }

    fn server(&self) -> String {
        format!("{}s", self.name)
    }

    fn nat(&self, number: u8) -> String {
        format!("{}n{number}", self.name)
    }

    fn phones(&self, number: u8) -> String {
        format!("{}p{number}", self.name)
    }

    /// Where the phone behind a NAT stands.
    #[must_use]
    pub fn place(&self, number: u8) -> Place {
        Place {
            namespace: self.phones(number),
            address: Ipv4Addr::new(192, 168, 77, 2).into(),
            control: Ipv4Addr::new(172, 31, number, 2).into(),
        }
    }

    /// The server's address on the side of a NAT.
    #[must_use]
    pub fn server_address(&self, number: u8) -> IpAddr {
        Ipv4Addr::new(10, 99, number, 1).into()
    }

    /// What the server sees of the phone behind a NAT.
    #[must_use]
    pub fn outside(&self, number: u8) -> IpAddr {
        Ipv4Addr::new(10, 99, number, 2).into()
    }

    fn build(&self) -> io::Result<()> {
        let server = self.server();
        ip(&["netns", "add", &server])?;
        ip(&["-n", &server, "link", "set", "lo", "up"])?;
        for number in [1, 2] {
            let (nat, phones) = (self.nat(number), self.phones(number));
            for namespace in [&nat, &phones] {
                ip(&["netns", "add", namespace])?;
                ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            }
            let net = |host: u8| format!("10.99.{number}.{host}/24");
            let control = |host: u8| format!("172.31.{number}.{host}/30");
            let outer = format!("out{number}");
            cable((&server, &outer, &net(1)), (&nat, "out", &net(2)))?;
            cable((&nat, "in", "192.168.77.1/24"), (&phones, "net", "192.168.77.2/24"))?;
            let link = format!("ctl{number}");
            cable((&server, &link, &control(1)), (&phones, "ctl", &control(2)))?;
            ip(&["-n", &phones, "route", "add", "default", "via", "192.168.77.1"])?;
            inside(&nat, &["sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
            let masquerade = ["-A", "POSTROUTING", "-o", "out", "-j", "MASQUERADE"];
            inside(&nat, &[["iptables", "-t", "nat"].as_slice(), &masquerade].concat())?;
            for key in ["udp_timeout", "udp_timeout_stream"] {
                let setting = format!("net.netfilter.nf_conntrack_{key}={FORGETS_S}");
                inside(&nat, &["sysctl", "-qw", &setting])?;
            }
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        let all = [self.server(), self.nat(1), self.nat(2), self.phones(1), self.phones(2)];
        for namespace in all {
            // One that was not made yet is no fault.
            let _ = Command::new("ip").args(["netns", "del", &namespace]).output();
        }
    }
}

/// A veth pair between two namespaces: name and address of each end.
fn cable(one: (&str, &str, &str), other: (&str, &str, &str)) -> io::Result<()> {
    let end = |(namespace, name, address): (&str, &str, &str)| {
        ip(&["-n", namespace, "addr", "add", address, "dev", name])?;
        ip(&["-n", namespace, "link", "set", name, "up"])
    };
    let peer = ["type", "veth", "peer", "name", other.1, "netns", other.0];
    ip(&[["link", "add", "name", one.1, "netns", one.0].as_slice(), &peer].concat())?;
    end(one)?;
    end(other)
}

fn ip(arguments: &[&str]) -> io::Result<()> {
    succeed(Command::new("ip").args(arguments))
}

/// Runs a command inside a namespace.
fn inside(namespace: &str, command: &[&str]) -> io::Result<()> {
    succeed(Command::new("ip").args(["netns", "exec", namespace]).args(command))
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {words}")))
}
