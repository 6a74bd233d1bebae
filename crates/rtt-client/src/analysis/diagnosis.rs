//! What a client sees at a target, and what that means. Pure: what was seen in, sentences out.

use crate::model::condition::{Condition, Failure};
use crate::model::exchange::UnconnectedResult;
use crate::model::format::duration;
use crate::model::icmp::{IcmpError, Origin};
use crate::model::protocol::{Framing, Protocol};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a client sees over one protocol at one address.
#[derive(Debug)]
pub struct Finding {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// The host and port as asked for.
    pub target: String,
    /// The address, if the name has one.
    pub address: Option<SocketAddr>,
    /// Whether the ICMP error, if there was one, came from an address of this host's own.
    pub icmp_from_this_host: bool,
    /// How long the connection took, where there is one.
    pub connect_duration: Option<Duration>,
    /// Requests handed over.
    pub sent: u32,
    /// How it came out.
    pub result: ProbeResult,
    /// What a socket that is not connected sees, where the protocol has such.
    pub unconnected: Option<UnconnectedResult>,
}

/// How a probe came out.
#[derive(Debug)]
pub enum ProbeResult {
    /// An echo server answers.
    Echo {
        /// The round-trip time.
        rtt: Duration,
        /// Whether it knows our timing header.
        is_ours: bool,
    },
    /// It answers, but not as an echo server does.
    WrongAnswer {
        /// What is wrong with it.
        failure: Failure,
        /// The beginning of what it answered.
        text: Bytes,
    },
    /// There is no answer.
    NoAnswer(Failure),
}

/// What a finding means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it says.
    pub meaning: String,
    /// What it leaves open.
    pub not_certain: &'static str,
    /// What to try next.
    pub next_step: String,
}

impl Finding {
    /// The condition, as scripts see it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        match &self.result {
            ProbeResult::Echo { .. } => Condition::Answering,
            ProbeResult::WrongAnswer { failure, .. } | ProbeResult::NoAnswer(failure) => {
                failure.condition
            }
        }
    }

    /// How long it took to know.
    #[must_use]
    pub fn after(&self) -> Duration {
        match &self.result {
            ProbeResult::Echo { rtt, .. } => *rtt,
            ProbeResult::WrongAnswer { failure, .. } | ProbeResult::NoAnswer(failure) => {
                failure.after
            }
        }
    }

    /// What is known of the failure, if it is one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match &self.result {
            ProbeResult::Echo { .. } => None,
            ProbeResult::WrongAnswer { failure, .. } | ProbeResult::NoAnswer(failure) => {
                Some(failure)
            }
        }
    }

    /// What it means, what it leaves open, and what to try next.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let is_stream = self.protocol.framing == Framing::Stream;
        let target = &self.target;
        let series = format!("rtt-client {} {target} -c 100 -i 0", self.protocol.name);
        let (meaning, not_certain, next_step) = match self.condition() {
            Condition::Answering => (
                self.echo_in_words(),
                "one exchange is no measurement",
                format!("`{series}` measures"),
            ),
            Condition::NameNotFound => (
                format!("no address was found for it: {}", self.detail()),
                "whether it has one elsewhere: inside another network names can differ",
                "another spelling, the address itself, or the other version of IP".to_owned(),
            ),
            Condition::NameLookupFailed => (
                "whether the name has an address could not be found out".to_owned(),
                "anything about the host: nobody has been able to look for it",
                "the address itself; whether the name server in /etc/resolv.conf answers"
                    .to_owned(),
            ),
            Condition::NoRoute => self.no_route(is_stream),
            Condition::HostUnreachable => self.unreachable(),
            Condition::Refused => self.refused(is_stream),
            Condition::Prohibited => (
                self.whose_word("does not let this packet through"),
                "whether a server runs behind the firewall",
                "its rules for this port and protocol; the other protocol may have another answer"
                    .to_owned(),
            ),
            Condition::Silent => self.silent(is_stream),
            Condition::Closed => (
                "somebody accepts connections there and ends them without the answer".to_owned(),
                "what kind of server that is; a proxy may have accepted for it",
                "whether the port is the right one; the server's log".to_owned(),
            ),
            Condition::Reset => (
                "a connection stood, and somebody broke it off before the answer was whole"
                    .to_owned(),
                "whether the server did: a firewall in between can send a reset in its name",
                "the server's log; a capture at both ends".to_owned(),
            ),
            Condition::WrongAnswer => (
                "somebody answers, but not with the text in upper case: another service".to_owned(),
                "whether an echo server runs on another port",
                "whether the port is the right one; what it answered is shown above".to_owned(),
            ),
            Condition::PermissionDenied => (
                "this host forbids it: a firewall rule for what leaves, a route that prohibits, or a \
                 broadcast address"
                    .to_owned(),
                "anything about the target: nothing was sent to it",
                "this host's firewall rules and routes (`nft list ruleset`, `ip route get`)".to_owned(),
            ),
        };
        Explanation { meaning, not_certain, next_step }
    }

    fn echo_in_words(&self) -> String {
        match self.result {
            ProbeResult::Echo { is_ours: true, .. } => {
                "an echo server answers, and it is one of ours: it tells its share of the time"
                    .into()
            }
            _ => "an echo server answers, a plain one".into(),
        }
    }

    fn icmp(&self) -> Option<IcmpError> {
        match self.failure()?.origin? {
            Origin::Icmp(icmp) => Some(icmp),
            _ => None,
        }
    }

    /// Who says so, and what.
    fn whose_word(&self, what: &str) -> String {
        let from = self.icmp().and_then(|icmp| icmp.from);
        match (self.failure().and_then(|failure| failure.origin), from) {
            (Some(Origin::ThisHost), _) => format!("this host {what}"),
            (_, Some(_)) if self.icmp_from_this_host => format!("this host {what}"),
            (_, Some(from)) if Some(from) == self.address.map(|address| address.ip()) => {
                format!("the host itself ({from}) {what}")
            }
            (_, Some(from)) => format!("{from}, a host on the way, {what}"),
            _ => format!("somebody {what}; this system does not tell who"),
        }
    }

    fn detail(&self) -> &str {
        let detail = self.failure().and_then(|failure| failure.detail.as_deref());
        detail.unwrap_or("the system does not say more")
    }

    fn no_route(&self, is_stream: bool) -> (String, &'static str, String) {
        let address = self.address.map(|address| address.ip());
        let is_a_group = address.is_some_and(|address| match address {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        });
        let lacks_a_zone = matches!(self.address, Some(SocketAddr::V6(address))
            if address.ip().is_unicast_link_local() && address.scope_id() == 0);
        if is_a_group && is_stream {
            return (
                "it is the address of a group, and a connection has one peer".to_owned(),
                "who is in the group",
                "UDP, or the address of a host".to_owned(),
            );
        }
        if lacks_a_zone {
            return (
                "it is an address of every link, and it does not say of which".to_owned(),
                "whether the host exists",
                "the address with its zone: fe80::1%eth0".to_owned(),
            );
        }
        let by_this_host = self.icmp().is_none() || self.icmp_from_this_host;
        let where_to_look = if by_this_host { "this host" } else { "the router that speaks" };
        (
            self.whose_word("knows no way there"),
            "whether the host exists",
            format!("`ip route get` on {where_to_look}"),
        )
    }

    fn unreachable(&self) -> (String, &'static str, String) {
        let origin = self.failure().and_then(|failure| failure.origin);
        let by_this_host = self.icmp_from_this_host || matches!(origin, Some(Origin::ThisHost));
        // Time exceeded: type 11, of IPv6 type 3.
        if let Some(icmp) = self.icmp()
            && icmp.kind == if icmp.is_v6 { 3 } else { 11 }
        {
            return (
                self.whose_word("saw the packet's hops used up: it went in circles, or too far"),
                "whether the host exists: the packet never came near it",
                "`traceroute` to it, which shows the circle".to_owned(),
            );
        }
        if by_this_host {
            return (
                "nobody on this host's own link answers for the address, or for the router's to it"
                    .to_owned(),
                "whether the host is down, asleep, or on another network",
                "whether it is switched on and plugged in; `ip neigh` on this host".to_owned(),
            );
        }
        (
            self.whose_word("could not reach the host"),
            "whether it is down, or only the last link to it",
            "whether it is switched on; the neighbours of the router that speaks".to_owned(),
        )
    }

    fn refused(&self, is_stream: bool) -> (String, &'static str, String) {
        let start = format!("`{}-echo --listen IP:PORT` on that host", self.protocol.name);
        let open = "whether the host itself spoke: a firewall can refuse in its name";
        let icmp = self.icmp().and_then(|icmp| icmp.from);
        if icmp.is_some()
            && self.icmp_from_this_host
            && icmp != self.address.map(|address| address.ip())
        {
            return (
                "a rule of this host's own refuses what leaves".to_owned(),
                "anything about the target: nothing was sent to it",
                "this host's firewall rules (`nft list ruleset`)".to_owned(),
            );
        }
        match (is_stream, icmp, self.failure().and_then(|failure| failure.origin)) {
            (true, None, _) => (
                "the host is there, and a reset says that nothing listens on the port".into(),
                open,
                start,
            ),
            (_, Some(from), _) if Some(from) == self.address.map(|address| address.ip()) => (
                format!("the host ({from}) is there, and says that nothing listens on the port"),
                open,
                start,
            ),
            (_, Some(from), _) => (
                format!(
                    "{from} says that the port can't be reached, and it is not the host itself"
                ),
                "whether a server runs on the host: it was not asked",
                format!("the firewall rules on {from}"),
            ),
            (false, None, _) => (
                "somebody says that nothing listens there; this system does not tell who".into(),
                open,
                start,
            ),
        }
    }

    fn silent(&self, is_stream: bool) -> (String, &'static str, String) {
        let open = "which: an absent server, a firewall that swallows packets and a lost reply look \
                    the same from here";
        match (is_stream, self.connect_duration) {
            (true, Some(took)) => (
                format!(
                    "somebody accepted the connection in {} and then says nothing",
                    duration(took)
                ),
                "whether the server is stuck, or no echo server: its system accepts for it",
                "the server's log; whether the port is the right one".to_owned(),
            ),
            (true, None) => (
                "connection requests were sent, and nothing came back, not even a refusal"
                    .to_owned(),
                "which: a host that is not there, a firewall that swallows packets (this host's own, \
                 too) and a broken way back look the same from here",
                "another port of the host; a capture there".to_owned(),
            ),
            (false, _) => (
                format!("{} datagrams were sent, and nothing came back", self.sent),
                open,
                "TCP to the same host, which is answered even by a refusal; a capture there"
                    .to_owned(),
            ),
        }
    }
}
