//! Settings of the measuring thread and of the process: CPU, timer precision, private network.

use super::netlink;
use crate::net::system::operation::{FailedOperation, LabOperation, failed};
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::prctl::set_timerslack;
use nix::unistd::{Pid, getgid, getuid};
use std::{fs, io};
use tracing::debug;

/// The index of the loopback interface. It is the same in every network namespace.
const LOOPBACK_INDEX: u32 = 1;

/// Keeps the calling thread on one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    // The process number 0 selects the calling thread.
    sched_setaffinity(Pid::from_raw(0), &cpus)?;
    debug!(cpu, "pinned the thread");
    Ok(())
}

/// Sets the timer slack of the calling thread to 1 ns. By default, the kernel wakes a thread up to 50 µs late,
/// to combine timers (prctl(2), `PR_SET_TIMERSLACK`).
pub(crate) fn use_precise_timers() {
    // Without precise timers, requests can be sent late. The report shows how late they are.
    if let Err(error) = set_timerslack(1) {
        debug!(%error, "PR_SET_TIMERSLACK refused");
    }
}

/// Creates the private network of `trace --lab`. The function moves this process into a new user namespace and a new
/// network namespace, and activates the loopback interface there. In these namespaces, an ordinary user has the
/// network privileges of root (manual pages `user_namespaces`(7) and `network_namespaces`(7)). The process must have
/// only one thread.
///
/// # Errors
///
/// The operation that failed. Creating the namespaces fails if the system does not allow user namespaces.
pub(crate) fn enter_lab() -> Result<(), FailedOperation<LabOperation>> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| failed(LabOperation::CreateNamespaces)(errno.into()))?;
    // A process without privileges must deny `setgroups` before it maps its group. Otherwise, it could leave a
    // group to gain access to a file that this group must not read (user_namespaces(7)).
    for (path, content) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(path, content).map_err(failed(LabOperation::WriteFile(path)))?;
    }
    activate_loopback().map_err(failed(LabOperation::ActivateLoopback))
}

fn activate_loopback() -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = LOOPBACK_INDEX;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    netlink::request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK, |_| {})
}
