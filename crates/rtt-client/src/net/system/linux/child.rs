//! Child processes that end with this process.

#![expect(
    unsafe_code,
    reason = "the closure of `pre_exec` runs in the child; it has a SAFETY comment"
)]

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Makes the kernel kill the child of `command` when the calling thread ends, also if SIGKILL ends this process
/// (prctl(2), `PR_SET_PDEATHSIG`).
pub(crate) fn end_with_this_thread(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // If the parent has ended before the call above, the child has a new parent, and no signal arrives.
        if u32::try_from(getppid().as_raw()) == Ok(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::Interrupted.into())
        }
    };
    // SAFETY: Between fork and exec, a child of a process with several threads must call only async-signal-safe functions
    // (signal-safety(7)). The closure makes two system calls. It takes no lock and allocates no memory: its errors contain
    // a number.
    unsafe { command.pre_exec(prepare) };
}
