//! Writes to the standard streams without a panic. `println!` of the standard library panics if the stream is full or closed.
//!
//! A program replaces these macros of the standard library with `#[macro_use] extern crate child_process;`.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

/// Writes `text` to standard output. If this fails, the program has no place for its results: it prints the reason and ends
/// with status 1. A closed pipe (`… | head`) needs no message.
pub fn print(text: Arguments<'_>) {
    if let Err(error) = io::stdout().write_fmt(text) {
        if error.kind() != ErrorKind::BrokenPipe {
            print_error(format_args!("cannot write to standard output: {error}\n"));
        }
        std::process::exit(1);
    }
}

/// Writes `text` to standard error. Ignores errors, because there is no other place for the text.
pub fn print_error(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// As `print!` of the standard library, but calls [`print()`], which does not panic.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::print::print(format_args!($($text)*)) };
}

/// As `println!` of the standard library, but calls [`print()`], which does not panic.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::print::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `eprint!` of the standard library, but calls [`print_error`], which ignores errors.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => { $crate::print::print_error(format_args!($($text)*)) };
}

/// As `eprintln!` of the standard library, but calls [`print_error`], which ignores errors.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::print::print_error(format_args!("{}\n", format_args!($($text)*))) };
}
