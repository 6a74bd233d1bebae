//! The explanations of findings that are correct for every protocol. They depend only on facts about the protocol.

mod server;

use super::{Explanation, Finding};
use crate::model::condition::Condition;
use crate::model::failure_context::{
    ADD_THE_ZONE, FailureContext, ZONE_IS_MISSING, is_zone_missing,
};
use crate::model::icmp::Origin;

/// An error arrived from the target's address.
const SENDER_NOT_CERTAIN: &str =
    "whether the target's host sent this: a firewall can use the host's address";

impl Finding {
    /// The explanation that is correct for every protocol. It depends only on facts about the protocol.
    pub(crate) fn explain_generically(&self) -> Explanation {
        match self.condition() {
            Condition::Answering => self.answering(),
            Condition::NameNotFound => self.name_not_found(),
            Condition::NameLookupFailed => explanation(
                "the name look-up failed, so the address is unknown",
                "everything about the host: the client sent nothing to it",
                "try an IP address; check whether the name server in /etc/resolv.conf answers",
            ),
            Condition::NoRoute => self.no_route(),
            Condition::HostUnreachable => self.host_unreachable(),
            Condition::Refused => self.refused(),
            Condition::Prohibited => explanation(
                self.reporter("does not permit this packet"),
                self.for_server(
                    "whether a server runs behind the firewall",
                    "whether the host behind the firewall is up",
                ),
                self.for_port(
                    "check the firewall's rules for this port and protocol; try another protocol",
                    "check the firewall's rules for this protocol; try another protocol",
                ),
            ),
            Condition::Silent => self.silent(),
            Condition::Closed => explanation(
                "the peer accepts connections and closes them before the answer is complete",
                "which server it is: a proxy can accept connections for another server",
                self.advice_for_end("check whether the port is correct; read the server's log"),
            ),
            Condition::Reset => explanation(
                "the connection was established, and a reset ended it before the answer was complete",
                "whether the server sent the reset: a firewall can send one with the server's address",
                self.advice_for_end("read the server's log; capture packets on both hosts"),
            ),
            Condition::WrongAnswer => self.wrong_answer(),
            Condition::PermissionDenied => explanation(
                "this host does not permit the packet, because of a firewall rule, a route of type `prohibit`, or a \
                 broadcast address",
                "everything about the target: the client sent nothing to it",
                "check this host's firewall rules and routes (`nft list ruleset`, `ip route get`)",
            ),
            Condition::TooBig => explanation(
                "the packet is longer than the MTU of a link on the path",
                "whether a server answers: the packet did not reach it",
                "use a smaller request (-s), or increase the MTU of the link",
            ),
            Condition::OtherAddress => explanation(
                "a server answers, but its replies come from another address than the requested one",
                "whether a client with a connected socket can use this server: it ignores such replies",
                "use the address of the replies as the target, or let the server listen on one address",
            ),
            Condition::LocalLimit => explanation(
                "this host ran out of ports, buffers or descriptors, so it sent nothing",
                "everything about the target: the client sent nothing to it",
                "check the limits of this host (`ulimit -n`, `sysctl net.ipv4.ip_local_port_range`)",
            ),
            Condition::Unsupported => explanation(
                "this system refuses the operation, so the client sent nothing",
                "everything about the target: the client sent nothing to it",
                "check whether a container or a security policy restricts this program",
            ),
        }
    }

    fn name_not_found(&self) -> Explanation {
        match self.failure().and_then(|failure| failure.context) {
            Some(FailureContext::OtherVersion(option)) => explanation(
                format!(
                    "the name has only {} addresses, but {} selects {}, so the client sent nothing",
                    option.excluded(),
                    option.name(),
                    option.selected()
                ),
                "whether a server runs on the host",
                format!("remove {}", option.name()),
            ),
            _ => explanation(
                "the client found no address for the name, so it sent nothing",
                "whether the name has an address in another network",
                "check the spelling; try an IP address, or the other IP version",
            ),
        }
    }

    /// `with_ports` if the protocol has ports, otherwise `without_ports`.
    fn for_port<T>(&self, with_ports: T, without_ports: T) -> T {
        if self.protocol.has_ports() { with_ports } else { without_ports }
    }

    /// `program` if a server program replies, and `kernel` if the kernel of the host replies.
    fn for_server<T>(&self, program: T, kernel: T) -> T {
        if self.protocol.needs_server_program() { program } else { kernel }
    }

    /// Builds a sentence about the reporter of the failure.
    fn reporter(&self, predicate: &str) -> String {
        match (self.origin(), self.icmp().and_then(|icmp| icmp.from)) {
            (Some(Origin::ThisHost), _) => format!("this host {predicate}"),
            (_, Some(_)) if self.icmp_from_this_host => format!("this host {predicate}"),
            (_, Some(from)) if self.icmp_is_from_target() => {
                format!("the target's host ({from}) {predicate}")
            }
            (_, Some(from)) => format!("{from}, a host on the path, {predicate}"),
            _ => format!("a host {predicate}; this system does not report which one"),
        }
    }

    fn no_route(&self) -> Explanation {
        let needs_one_peer = self.protocol.has_connections() || self.protocol.is_handshake();
        if self.is_group_address() && needs_one_peer {
            return explanation(
                "the address belongs to a group of hosts, but a connection needs exactly one peer",
                "which hosts are members of the group",
                "use the address of one host",
            );
        }
        if self.address.is_some_and(is_zone_missing) {
            return explanation(ZONE_IS_MISSING, "whether the host exists", ADD_THE_ZONE);
        }
        let by_this_host = self.icmp().is_none() || self.icmp_from_this_host;
        let place = if by_this_host { "this host" } else { "the router that reported the error" };
        explanation(
            self.reporter("has no route to the address"),
            "whether the host exists",
            format!("run `ip route get` on {place}"),
        )
    }

    fn host_unreachable(&self) -> Explanation {
        if self.icmp().is_some_and(|icmp| icmp.is_time_exceeded()) {
            return self.time_exceeded();
        }
        if self.icmp_is_from_target() {
            return explanation(
                self.reporter("is up, but it reports that it is not reachable"),
                SENDER_NOT_CERTAIN,
                "check the firewall rules of that host",
            );
        }
        if self.unresolved_next_hop.is_some() {
            return explanation(
                "on this host's own link, no host answers ARP or neighbour discovery for the target or its router",
                "whether the host is off, asleep, or on another network",
                "check whether the host is on and connected; run `ip neigh` on this host",
            );
        }
        if self.is_error_of_this_host() {
            return explanation(
                "this host reports that it cannot reach the target, because of a route of type `unreachable`, a \
                 firewall rule, or a failed address resolution (ARP or neighbour discovery)",
                "whether the host is up",
                "check this host's routes, firewall rules and neighbours (`ip route get`, `nft list ruleset`, `ip neigh`)",
            );
        }
        explanation(
            self.reporter("could not reach the target's host"),
            "whether the host is down, or only the link to it is down",
            "check whether the host is on; run `ip neigh` on the router that reported the error",
        )
    }

    fn time_exceeded(&self) -> Explanation {
        const NOT_CERTAIN: &str = "whether the host exists: the packet did not reach its network";
        match self.hop_limit {
            Some(hop_limit) => explanation(
                self.reporter(&format!(
                    "discarded the packet because its hop limit of {hop_limit} reached zero there"
                )),
                NOT_CERTAIN,
                "use a larger hop limit, or the default one",
            ),
            None => explanation(
                self.reporter("discarded the packet because its hop limit reached zero: the path has a loop or is \
                               too long"),
                NOT_CERTAIN,
                "run `traceroute`; it shows whether the path has a loop",
            ),
        }
    }

    fn refused(&self) -> Explanation {
        let start_server = self.start_server();
        let reason = self.for_port(
            "no process listens on the port",
            "it does not support the protocol, or does not accept the packet",
        );
        let unreachable = self.for_port("the port is unreachable", "the packet is not accepted");
        let from = self.icmp().and_then(|icmp| icmp.from);
        match from {
            Some(_) if self.icmp_from_this_host && !self.icmp_is_from_target() => explanation(
                "a firewall rule of this host rejects outgoing packets",
                "everything about the target: the client sent nothing to it",
                "check this host's firewall rules (`nft list ruleset`)",
            ),
            Some(from) if self.icmp_is_from_target() => explanation(
                format!("the host ({from}) is up; it reports that {reason}"),
                SENDER_NOT_CERTAIN,
                start_server,
            ),
            Some(from) => explanation(
                format!("{from} reports that {unreachable}, but it is not the target's host"),
                self.for_server(
                    "whether a server runs on the target's host: the packet did not reach it",
                    "whether the target's host is up: the packet did not reach it",
                ),
                format!("check the firewall rules on {from}"),
            ),
            None if self.protocol.has_connections() && self.icmp().is_none() => explanation(
                format!("the host is up; it refused the connection, so {reason}"),
                SENDER_NOT_CERTAIN,
                start_server,
            ),
            None => explanation(
                format!(
                    "an ICMP error reports that {reason}; this system does not report its sender"
                ),
                SENDER_NOT_CERTAIN,
                start_server,
            ),
        }
    }
}

fn explanation(
    meaning: impl Into<String>,
    not_certain: &'static str,
    next_step: impl Into<String>,
) -> Explanation {
    Explanation { meaning: meaning.into(), not_certain, next_step: next_step.into() }
}
