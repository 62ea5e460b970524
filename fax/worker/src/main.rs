//! `koukan-faxworker DIRECTORY`: started by the server with a socket as its standard input; no use
//! by hand.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        eprintln!("koukan-faxworker is started by the server: koukan-faxworker DIRECTORY");
        return ExitCode::from(2);
    };
    match koukan_faxworker::process::run(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("koukan-faxworker: {error}");
            ExitCode::FAILURE
        }
    }
}
