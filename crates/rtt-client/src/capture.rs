//! Captured packets: file formats, dissection, flows and exchanges (pure: no I/O, no clock).
//!
//! A packet passes through these modules in this order:
//!
//! | task | module |
//! |---|---|
//! | Read and write capture files | [`mod@file`]: pcap, and pcapng with its reader and writer |
//! | Find the headers, the addresses and the payload of a packet | [`dissect`]; [`dissector`] is the interface to each protocol |
//! | Assign the packet to a flow (all packets between two ports) | [`flows`], the table of flows, and [`flow`]; [`direction`] determines the client of a flow |
//! | Determine the role of the packet (SYN, request, retransmission, …) | `protocol/*/packets.rs`; [`datagram_flow`] for datagrams; [`role`] has the names |
//! | Determine whether the bytes of a segment are new | [`reassembly`] |
//! | Assign the packet to an exchange | [`exchanges`] |
//! | Count the packets and bytes of each protocol | [`totals`] |
//! | Collect the result of the trace | [`trace`] |
//!
//! A packet can come from any host, so no value in a packet determines the memory or the time:
//!
//! - Every table has a limit with a name: packets and bytes ([`mod@file`]), flows ([`flows`]), byte ranges
//!   ([`reassembly`]), and stored requests ([`exchanges::datagrams`]).
//! - The number of exchanges of a flow is at most the number of its packets and captured payload bytes ([`exchanges`]).
//! - The time for a packet does not depend on the number of earlier packets, apart from searches in maps.
//!
//! `net::system` captures the packets, and `engine::trace` runs the capture.

pub(crate) mod datagram_flow;
mod direction;
pub(crate) mod dissect;
pub(crate) mod dissector;
pub(crate) mod exchanges;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod flows;
pub(crate) mod reassembly;
pub(crate) mod role;
#[cfg(test)]
pub(crate) mod script;
pub(crate) mod totals;
pub(crate) mod trace;
