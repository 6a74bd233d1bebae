//! [`Absence`]: what the findings about a host show if no expected server answers.

use super::is_answer_of_service;
use crate::analysis::diagnosis::Finding;
use crate::model::condition::Condition;
use crate::model::expected_server::ExpectedServer;
use crate::model::format::joined;

/// What the findings show about the services if none of them answers correctly from the address of the host. The titles
/// are those of the protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Absence {
    /// Something accepted a connection or sent an answer over these protocols.
    OtherProgram(Vec<&'static str>),
    /// A correct reply arrived from another address over these protocols.
    OtherAddress(Vec<&'static str>),
    /// This host sent no request.
    NotSent,
    /// Neither an answer nor an error arrived over these protocols without connections.
    Silent(Vec<&'static str>),
    /// None of these cases.
    Unanswered,
}

impl Absence {
    /// The conclusion from the findings about the services.
    pub(super) fn of(services: &[&Finding]) -> Self {
        let titles = |condition: fn(&Finding) -> bool| {
            let found = services.iter().filter(|finding| condition(finding));
            let titles: Vec<&str> = found.map(|finding| finding.protocol.title).collect();
            Some(titles).filter(|titles| !titles.is_empty())
        };
        let is_silent = |finding: &Finding| {
            finding.condition() == Condition::Silent && finding.protocol.receives_datagrams()
        };
        if let Some(titles) = titles(is_answer_of_service) {
            Self::OtherProgram(titles)
        } else if let Some(titles) =
            titles(|finding| finding.condition() == Condition::OtherAddress)
        {
            Self::OtherAddress(titles)
        } else if services.iter().all(|finding| finding.is_error_of_this_host()) {
            Self::NotSent
        } else {
            titles(is_silent).map_or(Self::Unanswered, Self::Silent)
        }
    }

    /// The meaning for the services, as the second half of a sentence about a host that is up.
    pub(super) fn meaning(&self, expected: ExpectedServer) -> String {
        match self {
            Self::OtherProgram(titles) => format!(
                "something uses the port over {}, but it {}",
                joined(titles, "and"),
                expected.sends_no_correct_reply()
            ),
            Self::OtherAddress(titles) => format!(
                "{} answers over {}, but from another address",
                expected.subject(),
                joined(titles, "and")
            ),
            Self::NotSent => {
                "but this host sent no request, so it is not known whether a service answers"
                    .to_owned()
            }
            Self::Silent(titles) => format!(
                "so the service is down, a firewall blocks its port, or a program receives the requests over {} but does \
                 not answer",
                joined(titles, "and")
            ),
            Self::Unanswered => "so the service is down, or a firewall blocks its port".to_owned(),
        }
    }
}
