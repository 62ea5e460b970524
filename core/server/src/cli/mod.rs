//! The command line: `koukan run|check|diff|fmt|schema|sim|ctl|restore|fax|why|reload|module|show`.
//!
//! Exit codes: 0 done, 1 refused or found wrong, 2 wrong usage of the command line.

mod backup;
mod check;
mod client;
mod ctl;
mod diff;
mod drain;
mod fax;
mod fmt;
mod modules;
mod notices;
mod recordings;
mod rooms;
mod run;
mod settings;
mod sim;
mod table;
mod trace;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "koukan", version, about = "A telephone exchange in one process")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Run {
        /// The configuration directory
        #[arg(default_value = "conf")]
        conf: PathBuf,
    },
    /// Check a configuration and name everything that is wrong with it; no server is needed
    Check(check::CheckArguments),
    /// Say which calls come to something else between two configurations; no server is needed
    Diff(diff::DiffArguments),
    /// Write the files of a configuration in one way; comments are kept
    Fmt(fmt::FormatArguments),
    /// Print the JSON Schema of a tenant's files, for editors
    Schema,
    /// Say what would happen to a call, step by step with the reasons; no server is needed
    Sim(sim::SimArguments),
    /// Ask or order something of the running server
    Ctl(ctl::CtlArguments),
    /// Put a backup (`ctl backup`) where no server runs; every file is checked first
    Restore(backup::RestoreArguments),
    /// Send faxes; the received and sent faxes of an office
    Fax(fax::FaxArguments),
    /// Why a call went as it did (the same as `ctl why`)
    Why {
        #[command(flatten)]
        reach: Reach,
        /// The call's id
        call: String,
    },
    /// Read the dialplan again, or one tenant of it (the same as `ctl reload`)
    Reload {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        reload: ctl::Reload,
    },
    /// The live settings of an office: what is in force, and who set it
    Show(settings::ShowArguments),
    /// The loaded modules (the same as `ctl module`)
    Module {
        #[command(flatten)]
        reach: Reach,
        #[command(subcommand)]
        order: modules::ModuleOrder,
    },
    /// Print the version
    Version,
}

/// Where the server of the Debian package listens.
const PACKAGED_SOCKET: &str = "/run/koukan/koukan.sock";

/// How to reach the running server.
#[derive(Debug, Args)]
struct Reach {
    /// The server's Unix socket [default: $KOUKAN_SOCKET, else data/koukan.sock where there is one,
    /// else /run/koukan/koukan.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print JSON as the API gives it
    #[arg(long)]
    json: bool,
}

impl Reach {
    fn socket(&self) -> PathBuf {
        let environment = || std::env::var_os("KOUKAN_SOCKET").map(PathBuf::from);
        let set = self.socket.clone().or_else(environment);
        // That of the package, unless a server runs from the directory where this is typed.
        let own = || PathBuf::from("data/koukan.sock");
        let usual = || Some(PathBuf::from(PACKAGED_SOCKET)).filter(|path| path.exists());
        set.unwrap_or_else(|| {
            let own = own();
            if own.exists() { own } else { usual().unwrap_or(own) }
        })
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Run { conf } => run::run(&conf),
        Command::Check(arguments) => check::check(&arguments),
        Command::Diff(arguments) => diff::diff(&arguments),
        Command::Fmt(arguments) => fmt::fmt(&arguments),
        Command::Schema => {
            table::print(&koukan_dialplan::json_schema());
            Ok(())
        }
        Command::Sim(arguments) => sim::sim(&arguments),
        Command::Ctl(arguments) => ctl::ctl(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Fax(arguments) => fax::fax(&arguments),
        Command::Why { reach, call } => ctl::order(&reach, &ctl::Order::Why { call }),
        Command::Reload { reach, reload } => ctl::order(&reach, &ctl::Order::Reload(reload)),
        Command::Module { reach, order } => ctl::order(&reach, &ctl::Order::Module(order)),
        Command::Show(arguments) => settings::show(&arguments),
        Command::Version => {
            table::print(&format!("koukan {}\n", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(words)) => {
            table::complain(&words);
            ExitCode::FAILURE
        }
    }
}

/// The command could not be done; the words say what to do about it.
#[derive(Debug)]
struct Failed(String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_can_be_parsed() {
        // What clap checks of a command only when it is called, for all of them.
        Arguments::command().debug_assert();
    }
}
