//! A private network for `trace --lab`: a user namespace and a network namespace in which an ordinary user has
//! the network privileges of root (manual pages `user_namespaces`(7) and `network_namespaces`(7)).

use super::netlink;
use crate::net::system::operation::{FailedOperation, LabOperation, failed};
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use std::{fs, io};

/// The index of the loopback interface, which every network namespace has.
const LOOPBACK_INDEX: u32 = 1;

/// Moves this process into new namespaces and activates their loopback interface. The process must have only
/// one thread.
///
/// # Errors
///
/// The operation that failed. Creating the namespaces fails if the system does not allow user namespaces.
pub(crate) fn enter_lab() -> Result<(), FailedOperation<LabOperation>> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| failed(LabOperation::CreateNamespaces)(errno.into()))?;
    // Without privileges, a process may map its group only after it has given up `setgroups`. Otherwise, it
    // could leave a group that denies it access to a file (user_namespaces(7)).
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
