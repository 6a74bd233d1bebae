//! Captured packets: file formats, dissection, flows and the role of each packet. Pure: bytes in, data out.

pub(crate) mod dissect;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod flows;
pub(crate) mod reassembly;
pub(crate) mod totals;
pub(crate) mod trace;
