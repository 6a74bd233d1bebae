//! Starts programs of this workspace as child processes and ends them. `xtask` and `echo-bench` use it.
//!
//! No child process outlives its parent: a [`Child`] ends when it is dropped, and all children end when the
//! parent receives Ctrl-C or SIGTERM ([`end_children_on_signal`]).
//!
//! - [`child`]: a child process, and functions that run a command to its end;
//! - [`server`]: an echo server that listens, and the totals in its log;
//! - [`workspace`]: the directories of the workspace, `cargo`, and the programs that it builds.

pub mod child;
pub mod error;
pub mod server;
pub mod workspace;

pub use child::{
    Child, command_line, end_children_on_signal, output, output_with_status, run, status,
};
pub use error::{Error, Result};
pub use server::{Server, logged_totals};
