//! Platform code for Linux. Each file explains its mechanism.

mod capture;
mod capture_filter;
mod errno;
mod error_queue;
mod filter;
mod netlink;
mod process;
mod receive;
mod routes;
mod timestamps;

pub(crate) use capture::Capture;
pub(crate) use errno::condition_from_errno;
pub(crate) use filter::attach_filter;
pub(crate) use process::{enter_lab, pin, use_precise_timers};
pub(crate) use receive::Receiver;
pub(crate) use routes::{interface_index, interface_to, path_mtu, unresolved_next_hop};

/// This system reports the sender of an ICMP error (see [`error_queue`]).
pub(crate) const REPORTS_ICMP_ORIGIN: bool = true;

/// This system records when packets are sent and received (see [`timestamps`]).
pub(crate) const KERNEL_TIMESTAMPS: bool = true;
