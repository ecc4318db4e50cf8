//! The `canshi` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    canshi::cli::run(std::env::args_os())
}
