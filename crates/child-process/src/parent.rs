//! Child processes that end with their parent.

#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "the closure of `pre_exec` runs in the child; it has a SAFETY comment"
    )
)]

use std::process::Command;

/// Makes the kernel kill the child of `command` when the calling thread ends, also if SIGKILL ends this process
/// (prctl(2), `PR_SET_PDEATHSIG`).
#[cfg(target_os = "linux")]
pub(crate) fn end_with_this_thread(command: &mut Command) {
    use nix::sys::prctl::set_pdeathsig;
    use std::os::unix::process::CommandExt as _;

    let parent = std::process::id();
    let prepare = move || {
        set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        // If the parent has ended before the call above, the child has a new parent, and no signal arrives.
        if u32::try_from(nix::unistd::getppid().as_raw()) == Ok(parent) {
            Ok(())
        } else {
            Err(std::io::ErrorKind::Interrupted.into())
        }
    };
    // SAFETY: Between fork and exec, a child of a process with several threads must call only async-signal-safe functions
    // (signal-safety(7)). The closure makes two system calls. It takes no lock and allocates no memory: its errors contain
    // a number.
    unsafe { command.pre_exec(prepare) };
}

/// Does nothing: this system has no such function.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end_with_this_thread(_: &mut Command) {}
