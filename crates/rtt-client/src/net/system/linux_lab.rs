//! Linux: a user-and-network namespace of one's own, in which an ordinary user may do with the network what
//! root may (the manual's pages `user_namespaces`(7) and `network_namespaces`(7)).

use super::linux_netlink::{NLM_F_ACK, talk};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use std::{fs, io};

/// The message that changes an interface (include/uapi/linux/rtnetlink.h).
const RTM_NEWLINK: u16 = 16;

/// Every namespace's own loopback interface.
const LOOPBACK: i32 = 1;

/// Moves this process into namespaces of its own, with a loopback interface that works. It has to be the only
/// thread.
pub(crate) fn enter_lab() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    // Nobody may give groups away that he could drop: so says `user_namespaces`(7).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
    loopback_up()
}

fn loopback_up() -> io::Result<()> {
    let up = libc::IFF_UP;
    let mut body = Vec::new();
    // `struct ifinfomsg`: no family and type, the index, the flags, and which of them change.
    body.extend([0; 4]);
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend(up.to_ne_bytes());
    body.extend(up.to_ne_bytes());
    talk(RTM_NEWLINK, NLM_F_ACK, &body, &mut |_, _| {})
}
