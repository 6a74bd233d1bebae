//! The workspace's own tasks: `cargo xtask demo | bench | soak | ci`. One file a task.
//!
//! It starts processes and reads what they print; it links none of the other crates, and has few
//! dependencies, because it is built first, every time.

mod bench;
mod ci;
mod demo;
mod floor;
mod house;
mod load;
mod process;
mod soak;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK

  demo    the lab's tasks on this machine, one after the other
  bench   the ratios, against floors measured in the same run
  soak [--duration 60s]
          honest and hostile clients at both servers together
  ci      what CI runs, all of it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Err(error) = process::end_all_on_signal() {
        eprintln!("xtask: {error:#}");
        return ExitCode::FAILURE;
    }
    let done = match arguments[..] {
        ["demo"] => demo::run(),
        ["bench"] => bench::run(),
        ["ci"] => ci::run(),
        ["soak"] => soak::run("60s"),
        ["soak", "--duration", lasting] => soak::run(lasting),
        ["floor", ..] => floor::run(&arguments[1..]),
        ["load", ..] => load::run(&arguments[1..]),
        ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
