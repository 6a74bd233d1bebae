//! The explanations of findings that depend on the expected server: whether it answers, and what replies instead of it.

use super::{Explanation, explanation};
use crate::analysis::diagnosis::{EchoServer, Finding, ProbeResult};
use crate::analysis::recognition::{Recognised, Silence, recognise};
use crate::model::expected_server::ExpectedServer;
use crate::model::failure_context::FailureContext;
use crate::model::format::{counted, duration};

/// The next step if the expected service refuses the request.
const REFUSAL: &str =
    "read the reply; select a request that the service accepts (`--send`), or `--connect-only`";

/// The next step if the reply does not agree with the rule of the user.
const CHECK_THE_REQUEST: &str =
    "check whether the request and the expected reply are correct; read the received text";

impl Finding {
    pub(super) fn answering(&self) -> Explanation {
        let meaning = match &self.result {
            _ if !self.protocol.needs_server_program() => "the kernel of the host replies".to_owned(),
            ProbeResult::Echo { server: EchoServer::OfThisProject, .. } => {
                "an echo server of this project answers; it reports its processing time for each request".to_owned()
            }
            ProbeResult::Echo { server: EchoServer::Plain, .. } => {
                "a plain echo server answers (RFC 862): it returns the unchanged text".to_owned()
            }
            ProbeResult::Service { error: Some(error), .. } => {
                format!("{}, but its reply reports an error: {error}", self.expected.answers())
            }
            ProbeResult::Service { error: None, .. } => self.expected.answers(),
            _ => "an echo server answers; it does not report its processing time".to_owned(),
        };
        explanation(
            meaning,
            "the typical RTT: one exchange is not enough to know it",
            match self.expected {
                ExpectedServer::Request => {
                    format!(
                        "{} with the same options for the request and the reply",
                        self.measure_it(None)
                    )
                }
                expected => {
                    let option = expected.service().map(|it| format!("--service {}", it.name));
                    self.measure_it(option.as_deref())
                }
            },
        )
    }

    pub(super) fn wrong_answer(&self) -> Explanation {
        if !self.protocol.needs_server_program() {
            return explanation(
                "a reply arrives, but not with the unchanged text",
                "whether the host or a device on the path changed the text",
                "read the received text; capture packets on both hosts",
            );
        }
        let (not_certain, unknown) = match self.expected {
            ExpectedServer::Echo => (
                self.for_port(
                    "whether an echo server runs on another port",
                    "whether an echo server runs on another host",
                ),
                "so it is possibly another service",
            ),
            ExpectedServer::Service(_) | ExpectedServer::Handshake => (
                "whether the expected service runs on another port",
                "so it is possibly another service",
            ),
            ExpectedServer::Request => (
                "whether the expected server runs on another port",
                "so it is possibly another service, or it does not accept the request",
            ),
        };
        let waited = match self.failure().and_then(|failure| failure.context) {
            Some(FailureContext::WaitedForCorrectReply) => {
                "; any host can forge a datagram, so the client waited for the correct reply until the timeout"
            }
            _ => "",
        };
        let check = self.for_port(
            "check whether the port is correct; read the received text",
            "check whether the host is correct; read the received text",
        );
        match self.recognise() {
            Some(recognised) => {
                let meaning = format!("{}{waited}", recognised.describe_server());
                match recognised.option() {
                    Some(option) => {
                        explanation(meaning, not_certain, self.measure_it(Some(option)))
                    }
                    None if recognised.is_refusal() => {
                        explanation(meaning, "whether the service accepts other requests", REFUSAL)
                    }
                    None => explanation(meaning, not_certain, CHECK_THE_REQUEST),
                }
            }
            None => explanation(
                format!("a server answers, but not with the expected reply, {unknown}{waited}"),
                not_certain,
                check,
            ),
        }
    }

    pub(super) fn silent(&self) -> Explanation {
        let port = self.address.map_or(0, |address| address.port());
        match self.connect_duration {
            Some(connect_duration) if !self.has_detail() => {
                let silence = Silence::new(self.protocol, self.expected, port);
                explanation(
                    silence.meaning(connect_duration),
                    "whether the server hangs or is another service",
                    format!("{}; read the server's log", silence.advice),
                )
            }
            Some(connect_duration) => explanation(
                format!(
                    "the peer accepted the connection in {}, but did not send a complete reply",
                    duration(connect_duration)
                ),
                "whether the server hangs or is another service",
                "read the server's log; check whether the port is correct",
            ),
            None if self.protocol.has_connections() => explanation(
                "the client sent connection requests, but received no answer, not even a refusal",
                "the reason: the client cannot distinguish a missing host, a firewall that drops packets (possibly on \
                 this host) and a broken return path",
                "try another port of the host; capture packets on the host",
            ),
            None => explanation(
                format!(
                    "the client sent {}, but received no answer",
                    counted(self.sent.into(), "request", "requests")
                ),
                self.for_server(
                    "the reason: the client cannot distinguish an absent server, a firewall that drops packets and a lost reply",
                    "the reason: the client cannot distinguish a host that is down, a firewall that drops packets and a lost reply",
                ),
                if self.protocol.receives_datagrams() {
                    self.advice_for_silent_datagrams()
                } else {
                    self.for_server("capture packets on the server's host", "capture packets on the host").to_owned()
                },
            ),
        }
    }

    /// The advice to start the expected server.
    pub(super) fn start_server(&self) -> String {
        if !self.protocol.needs_server_program() {
            return "check the firewall rules and the network settings of that host".to_owned();
        }
        let port = self.address.map(|address| address.port());
        match (self.expected, self.protocol.our_server()) {
            (ExpectedServer::Service(service), _) if port == Some(service.port) => {
                format!("start the {} service on that host", service.title)
            }
            (ExpectedServer::Service(service), _) => format!(
                "start the {} service on that host; check whether the port is correct (port {} is usual)",
                service.title, service.port
            ),
            (ExpectedServer::Echo, Some(program)) => {
                format!("start a server: `{program} --listen IP:PORT` on that host")
            }
            _ => "start a server on that host".to_owned(),
        }
    }

    /// The advice to measure the server with this option.
    fn measure_it(&self, option: Option<&str>) -> String {
        let option = option.map(|option| format!(" {option}")).unwrap_or_default();
        format!(
            "measure it: `rtt-client {} {}{option} -c 100 -i 0`",
            self.protocol.name, self.target
        )
    }

    /// Whether a part of the reply arrived.
    fn has_detail(&self) -> bool {
        self.failure().is_some_and(|failure| failure.detail.is_some())
    }

    /// The service that the received text shows.
    fn recognise(&self) -> Option<Recognised> {
        match &self.result {
            ProbeResult::WrongAnswer { text, .. } => recognise(self.protocol, self.expected, text),
            _ => None,
        }
    }
}
