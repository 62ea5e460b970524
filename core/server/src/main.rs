//! The binary `koukan`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    koukan::cli::main()
}
