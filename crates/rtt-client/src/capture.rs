//! Captured packets: file formats, dissection, flows and exchanges. Pure: bytes in, data out.
//!
//! A packet passes through these modules in this order:
//!
//! | question | module |
//! |---|---|
//! | How is a capture file read and written? | [`mod@file`]: pcap, and pcapng with its reader and writer |
//! | Which headers, addresses and payload does a packet have? | [`dissect`] |
//! | Which two ports does it connect? | [`flows`], the table of flows, and [`flow`], one flow |
//! | Which role does it have (SYN, request, retransmission, …)? | [`role`]; for TCP, `flow::connection` |
//! | Was this part of a TCP stream seen before? | [`reassembly`] |
//! | To which exchange does it belong? | [`exchanges`] |
//! | How many packets and bytes does a protocol need? | [`totals`] |
//! | What is the result of a trace? | [`trace`] |
//!
//! The capture itself is in `net::system`, and `engine::trace` runs it.

pub(crate) mod dissect;
pub(crate) mod exchanges;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod flows;
pub(crate) mod reassembly;
pub(crate) mod role;
pub(crate) mod totals;
pub(crate) mod trace;
