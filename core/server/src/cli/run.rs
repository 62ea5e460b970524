//! `koukan run`: the server in the foreground, until Ctrl-C or SIGTERM.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use koukan_dialplan::Plans;
use koukan_sip::Transport;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failed, table};
use crate::config::{self, Config};
use crate::control::Request;
use crate::notify::Notifier;
use crate::server::{RunningServer, Server};
use crate::{log, os};

pub(super) fn run(conf: &Path) -> Result<(), Failed> {
    // Before there are other threads: the log's would take a heap of its own.
    os::set_allocator();
    let config = config::load(conf)?;
    let _log = log::start(&config.log)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("(no words)");
        tracing::error!(place, "a fault of ours: {words}");
    }));
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Caught from here on, so that an impatient Ctrl-C during the start is an orderly end too.
    let (mut interrupt, mut terminate) = {
        let _entered = signals.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let server = Server::start(config.clone())?;
    table::print(&greeting(&config, &server));
    let notifier = Notifier::from_environment();
    notifier.ready();
    let failed = signals.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
            outcome = ended(&server) => outcome.err(),
            () = signs_of_life(&server, &notifier) => None,
        }
    });
    notifier.stopping();
    table::print("ending: running calls get their BYE\n");
    server.control().shut_down();
    server.stop();
    match failed {
        None => Ok(()),
        Some(error) => Err(Failed(format!("the control loop has ended: {error}"))),
    }
}

/// Waits until the control loop has ended by itself.
async fn ended(server: &RunningServer) -> std::io::Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Some(outcome) = server.wait(Duration::ZERO) {
            return outcome;
        }
    }
}

/// Tells the service manager that the server lives, as often as it wants to hear it and as long as
/// the control loop answers; never ends. A loop that hangs is thus ended and begun anew from
/// outside, with its registrations and records.
async fn signs_of_life(server: &RunningServer, notifier: &Notifier) {
    let Some(period) = notifier.period() else { return std::future::pending().await };
    let control = server.control();
    loop {
        match control.ask_all(Request::Drained).await {
            Ok(drain) => {
                notifier.alive();
                let up = drain.calls.len();
                notifier.status(&match drain.draining {
                    true => format!("drains, {up} calls are up"),
                    false => format!("{up} calls are up"),
                });
            }
            Err(error) => tracing::error!(%error, "no sign of life for the service manager"),
        }
        tokio::time::sleep(period).await;
    }
}

/// Where it listens, who may register, and how.
fn greeting(config: &Config, server: &RunningServer) -> String {
    let mut text = format!("koukan {} runs\n", env!("CARGO_PKG_VERSION"));
    for listener in server.listeners() {
        text.push_str(&format!("  SIP      {listener}\n"));
    }
    text.push_str(&format!("  control  {}\n", server.socket().display()));
    if let Some(http) = server.http() {
        text.push_str(&format!("  HTTP     http://{http}/v1/status\n"));
    }
    let report = server.report();
    if report.errors > 0 {
        text.push_str(&format!(
            "{} errors in the dialplan: what has them is left out (koukan check {})\n",
            report.errors,
            config.directory.display()
        ));
    }
    text.push_str(&accounts(config, server.plans()));
    let udp = |address: &&crate::transport::ListenAddress| address.transport == Transport::Udp;
    if let Some(first) = server.listeners().iter().find(udp).or(server.listeners().first()) {
        text.push_str(&format!(
            "To register a phone: user as above, password from the file beside it, server this \
             machine's address, port {}, {}. Then dial an extension.\n",
            first.address.port(),
            first.transport.via_name()
        ));
    }
    text.push_str("Ctrl-C ends it.\n");
    text
}

/// The first accounts of each tenant and the files with their passwords, never the passwords.
fn accounts(config: &Config, plans: &Plans) -> String {
    let mut tenants: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for device in plans.devices() {
        let place = crate::plans::secret_place(&config.directory, plans, device);
        let place =
            place.map_or_else(|| device.secret.to_string(), |path| path.display().to_string());
        let line = format!("    {:<16} {place}\n", device.user);
        tenants.entry(&device.tenant).or_default().push(line);
    }
    let mut text = String::new();
    for (tenant, devices) in tenants.iter().take(TENANTS_SHOWN) {
        text.push_str(&format!("  accounts of {tenant}:\n"));
        devices.iter().take(DEVICES_SHOWN).for_each(|line| text.push_str(line));
        if devices.len() > DEVICES_SHOWN {
            text.push_str(&format!("    and {} more\n", devices.len() - DEVICES_SHOWN));
        }
    }
    if tenants.len() > TENANTS_SHOWN {
        text.push_str(&format!("  and {} more tenants\n", tenants.len() - TENANTS_SHOWN));
    }
    text
}

const TENANTS_SHOWN: usize = 5;
const DEVICES_SHOWN: usize = 20;
