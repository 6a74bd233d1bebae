//! The next steps of explanations that depend on the port and on the services of the protocol.

use super::Finding;
use crate::analysis::recognition::advice_for_port;
use crate::model::format::joined;

impl Finding {
    /// The next step if the server ends a connection. `otherwise` applies to every server.
    pub(super) fn advice_for_end(&self, otherwise: &str) -> String {
        match advice_for_port(self.protocol, self.port()) {
            Some(advice) => format!("{advice}; {otherwise}"),
            None => otherwise.to_owned(),
        }
    }

    /// The next step if a server program possibly received datagrams, but sent nothing.
    pub(crate) fn advice_for_silent_datagrams(&self) -> String {
        const CAPTURE: &str = "capture packets on the server's host";
        if self.expected.service().is_some() {
            return CAPTURE.to_owned();
        }
        let services = self.protocol.services.iter();
        let usual = services.clone().find(|service| service.port == self.port());
        let options: Vec<String> = match usual {
            Some(service) => vec![format!("`--service {}`", service.name)],
            None => services.map(|service| format!("`--service {}`", service.name)).collect(),
        };
        if options.is_empty() {
            return CAPTURE.to_owned();
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        format!(
            "if another service uses the port, try {}: a server can ignore requests of other services; {CAPTURE}",
            joined(&options, "or")
        )
    }

    fn port(&self) -> u16 {
        self.address.map_or(0, |address| address.port())
    }
}
