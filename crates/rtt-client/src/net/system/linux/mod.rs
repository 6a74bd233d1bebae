//! Platform code for Linux. Each file explains its mechanism.

mod capture;
mod capture_filter;
mod clock_state;
mod error_queue;
mod filter;
mod netlink;
mod process;
mod receive;
mod receive_queue;
mod routes;
mod thread_usage;
mod timestamps;

pub(crate) use capture::Capture;
pub(crate) use clock_state::clock_state;
pub(crate) use filter::attach_filter;
pub(crate) use process::{enter_lab, pin, use_precise_timers};
pub(crate) use receive::Receiver;
pub(crate) use receive_queue::{force_receive_queue, receive_queue_drops};
pub(crate) use routes::{
    interface_index, interface_to, next_hop_to_resolve, path_mtu, unresolved_next_hop,
};
pub(crate) use thread_usage::thread_usage;

use crate::model::condition::Condition;
use nix::errno::Errno;

/// This system reports the sender of an ICMP error (see [`error_queue`]).
pub(crate) const REPORTS_ICMP_ORIGIN: bool = true;

/// This system records when packets are sent and received (see [`timestamps`]).
pub(crate) const KERNEL_TIMESTAMPS: bool = true;

/// The condition for an error number that [`Condition::from_error`] does not convert. Linux derives most of these error
/// numbers from ICMP errors (`icmp_err_convert`, net/ipv4/icmp.c).
pub(crate) fn condition_from_errno(errno: i32) -> Option<Condition> {
    match Errno::from_raw(errno) {
        // "Protocol unreachable": the host answered, but it does not support the protocol.
        Errno::ENOPROTOOPT => Some(Condition::Refused),
        Errno::EHOSTDOWN | Errno::ENONET | Errno::EPROTO | Errno::EOPNOTSUPP => {
            Some(Condition::HostUnreachable)
        }
        // EAFNOSUPPORT: this host does not support the version of IP. EINVAL: a link-local address without a zone,
        // or a route of type `blackhole`.
        Errno::EAFNOSUPPORT | Errno::EINVAL => Some(Condition::NoRoute),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_the_peer_or_the_route_have_a_condition() {
        for (errno, condition) in [
            (Errno::ENOPROTOOPT, Some(Condition::Refused)),
            (Errno::EHOSTDOWN, Some(Condition::HostUnreachable)),
            (Errno::EAFNOSUPPORT, Some(Condition::NoRoute)),
            (Errno::EMFILE, None),
        ] {
            assert_eq!(condition_from_errno(errno as i32), condition, "{errno}");
        }
    }
}
