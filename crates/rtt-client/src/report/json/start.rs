//! The line of a start, with the facts about the program and its host. Pure.

use crate::analysis::comparison::SideId;
use crate::event::Start;
use crate::model::format::nanoseconds;
use serde::Serialize;
use std::net::SocketAddr;

/// How the program was started.
#[derive(Debug, Clone, Serialize)]
pub struct Invocation {
    /// The arguments of the command line, without the program's name.
    pub arguments: Vec<String>,
    /// The host that runs the program.
    pub host: Host,
}

/// The host that runs the program.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// The operating system, its release and the architecture: `linux 6.12.1 x86_64`.
    pub system: String,
    /// The number of CPUs that the program can use. Absent if the system does not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct StartLine {
    version: &'static str,
    #[serde(flatten)]
    invocation: Option<Invocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    protocol: &'static str,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<SocketAddr>,
    clock_cost_ns: u64,
}

impl StartLine {
    pub(super) fn new(
        start: &Start<'_>,
        side: Option<SideId>,
        invocation: Option<&Invocation>,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            invocation: invocation.cloned(),
            side: side.map(SideId::name),
            protocol: start.plan.protocol.name,
            target: start.plan.target.to_string(),
            address: start.address,
            local: start.local,
            clock_cost_ns: nanoseconds(start.clock_cost),
        }
    }
}
