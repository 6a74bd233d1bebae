//! Platform code for Linux. Each file explains its mechanism.

mod capture;
mod capture_filter;
mod child;
mod clock_state;
mod errno;
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
pub(crate) use child::end_with_this_thread;
pub(crate) use clock_state::clock_state;
pub(crate) use errno::condition_from_errno;
pub(crate) use filter::attach_filter;
#[cfg(fuzzing)]
pub use netlink::handle_any_netlink_datagram;
pub(crate) use process::{enter_lab, pin, use_precise_timers};
pub(crate) use receive::Receiver;
pub(crate) use receive_queue::{force_receive_queue, receive_queue_drops};
pub(crate) use routes::{
    interface_index, interface_to, next_hop_to_resolve, path_mtu, unresolved_next_hop,
};
pub(crate) use thread_usage::thread_usage;

/// This system reports the sender of an ICMP error (see [`error_queue`]).
pub(crate) const REPORTS_ICMP_ORIGIN: bool = true;

/// This system records when packets are sent and received (see [`timestamps`]).
pub(crate) const KERNEL_TIMESTAMPS: bool = true;
