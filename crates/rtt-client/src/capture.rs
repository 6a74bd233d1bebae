//! Captured packets: file formats, dissection, flows and the role of each packet. Pure: bytes in, data out.

pub(crate) mod difference;
pub(crate) mod dissect;
pub(crate) mod explain;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod stream;
pub(crate) mod trace;
