//! Platform code for Linux. Each mechanism is explained in the file that implements it.

mod capture;
mod capture_filter;
mod connect;
mod error_queue;
mod lab;
mod netlink;
mod receive;
mod routes;
mod tcp_info;
mod thread;
mod timestamps;

pub(crate) use capture::Capture;
pub(crate) use connect::connect;
pub(crate) use lab::enter_lab;
pub(crate) use receive::Receiver;
pub(crate) use routes::{interface_index, interface_to, path_mtu, unresolved_next_hop};
pub(crate) use tcp_info::tcp_info;
pub(crate) use thread::{pin, use_precise_timers};

/// This system reports the sender of an ICMP error (see [`error_queue`]).
pub(crate) const REPORTS_ICMP_ORIGIN: bool = true;

/// This system records when packets are sent and received (see [`timestamps`]).
pub(crate) const KERNEL_TIMESTAMPS: bool = true;
