//! `koukan-faxworker DIRECTORY`: started by the server with a socket as its standard input.
//! `koukan-faxworker render ORDER`: started by it for one document. No use by hand.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [directory] => koukan_faxworker::process::run(Path::new(directory)),
        [task, order] if task == "render" => {
            koukan_faxworker::process::render(&order.to_string_lossy())
        }
        _ => {
            eprintln!("koukan-faxworker is started by the server: koukan-faxworker DIRECTORY");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("koukan-faxworker: {error}");
            ExitCode::FAILURE
        }
    }
}
