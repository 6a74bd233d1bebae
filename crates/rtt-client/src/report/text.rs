//! [`Text`]: a report for people.
//!
//! | run | text |
//! |---|---|
//! | one exchange | the times of all events, and the durations between them |
//! | series | a line for each exchange, and a summary |
//! | comparison | the verdict, the distributions, the causes, the claims |
//! | diagnosis | a block for each finding |
//! | protocols | a block for each protocol |
//! | trace | the packets as arrows, and the times of the exchanges |

mod appearance;
mod breakdown_bar;
mod causes;
mod exchange_line;
mod finding;
mod histogram;
mod host;
mod losses;
mod outages;
mod packet_diagram;
mod printer;
mod protocol;
mod quantiles;
mod series_summary;
mod single_exchange;
mod table;
#[cfg(test)]
mod test_support;
mod trace_summary;
mod variation;
mod verdict;

pub use appearance::{Charset, Styling, TextConfig};

use crate::analysis::statistics::Summary;
use crate::capture::trace::Trace;
use crate::event::{AddressLimit, Event, FailedAttempt, Report, Start};
use crate::model::condition::Condition;
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::format::{count, counted, duration};
use crate::model::protocol::Protocol;
use crate::model::received_text::received_text;
use crate::plan::Plan;
use echo_core::escape;
use printer::Printer;
use single_exchange::{Labels, ReplyText};
use std::io::{self, Write};

/// The maximum number of bytes of a wrong answer in the output. They are enough to recognise the service.
const WRONG_ANSWER_LIMIT: usize = 200;

/// Writes the events of a run as text for people.
///
/// One writer receives the results. Another writer receives the reasons for missing results.
#[derive(Debug)]
pub struct Text<Out, Errors> {
    printer: Printer<Out>,
    errors: Printer<Errors>,
    quiet: bool,
    run: Run,
}

/// The facts of earlier events that later events need.
#[derive(Debug, Default)]
struct Run {
    /// The form of the reply in the output of a single exchange.
    reply: ReplyText,
    /// Absent before the start of the run.
    protocol: Option<&'static Protocol>,
    /// The protocol and the target, for error messages.
    target: String,
    /// Whether the host of the target is a name without a dot, so that the user can have meant a message.
    is_word: bool,
    /// Whether the run is a single exchange whose times are the result.
    single_exchange: bool,
    labels: Labels,
    /// The heading of a single exchange. It is written only if there is a reply.
    heading: String,
    connection: Option<Connection>,
    /// The conditions of the error messages so far. A quiet series writes one message for each condition.
    conditions: Vec<Condition>,
}

impl<Out: Write, Errors: Write> Text<Out, Errors> {
    /// Creates a report that writes results to `out` and error messages to `errors`.
    pub fn new(out: Out, errors: Errors, config: TextConfig) -> Self {
        let TextConfig { charset, styling, .. } = config;
        let clamp = |width: usize| width.clamp(TextConfig::MIN_WIDTH, TextConfig::MAX_WIDTH);
        let width = clamp(config.width);
        let error_width = config.error_width.map_or(usize::MAX, clamp);
        Self {
            printer: Printer { out, width, charset, styling },
            errors: Printer { out: errors, width: error_width, charset, styling: Styling::Plain },
            quiet: config.quiet,
            run: Run::default(),
        }
    }

    fn start(&mut self, start: &Start<'_>) -> io::Result<()> {
        let plan = start.plan;
        let title = plan.protocol.title;
        self.run.protocol = Some(plan.protocol);
        self.run.labels = Labels::of(plan);
        self.run.single_exchange = plan.is_single_exchange();
        self.run.reply = ReplyText::of(plan);
        self.run.is_word = !plan.target.host.contains(['.', ':']);
        self.run.target = match start.address {
            Some(address) => format!("{title} {}", plan.protocol.display_address(address)),
            None => format!("{title} {}", plan.target),
        };
        let service = plan.expected_server().service();
        let service =
            service.map(|service| format!(", service {}", service.name)).unwrap_or_default();
        self.run.heading = match (start.address, start.local) {
            (Some(address), Some(local)) => {
                let [address, local] =
                    [address, local].map(|address| plan.protocol.display_address(address));
                format!("{title} to {address} from {local}{service}")
            }
            // The run continues, although no channel is open.
            _ if plan.settings.keep_going => {
                format!("{title} to {}{service}", plan.host_and_port())
            }
            _ => return Ok(()),
        };
        if self.run.single_exchange {
            return Ok(());
        }
        let requests = if plan.protocol.is_handshake() {
            String::new()
        } else {
            format!(", {}", requests(plan.payload.request_len(), plan.server_sends_first()))
        };
        self.printer.strong(&format!("{}{requests}", self.run.heading))?;
        if !self.quiet {
            exchange_line::write_heading(&mut self.printer)?;
        }
        self.printer.flush()
    }

    fn address_limit(&mut self, limit: &AddressLimit) -> io::Result<()> {
        let AddressLimit { host, found, tried } = limit;
        self.errors.paragraph(&format!(
            "rtt-client: {} has {} addresses; the client tries only {tried} of them",
            escape(host.as_bytes()),
            count(*found as u64)
        ))
    }

    fn failed_attempt(&mut self, attempt: &FailedAttempt) -> io::Result<()> {
        let FailedAttempt { protocol, address, failure } = attempt;
        let (condition, after) = (failure.condition, duration(failure.after));
        self.errors.paragraph(&format!(
            "rtt-client: {} {} {condition} after {after}; trying the next address",
            protocol.title,
            protocol.display_address(*address)
        ))
    }

    fn exchange(&mut self, exchange: &Exchange) -> io::Result<()> {
        let Self { printer, run, .. } = self;
        if exchange.rtt().is_none() && (run.single_exchange || exchange.sent.is_none()) {
            let condition = exchange.outcome.failure().map(|failure| failure.condition);
            let is_known = condition.is_some_and(|condition| run.conditions.contains(&condition));
            run.conditions.extend(condition.filter(|_| !is_known));
            if !run.single_exchange && !self.quiet {
                exchange_line::write(printer, exchange)?;
            }
            // The table contains each exchange. The explanation of a condition appears once.
            return if is_known { Ok(()) } else { self.error(exchange) };
        }
        if run.single_exchange {
            return single_exchange::write(
                printer,
                &run.heading,
                run.labels,
                run.reply,
                run.connection.as_ref(),
                exchange,
            );
        }
        if self.quiet { Ok(()) } else { exchange_line::write(printer, exchange) }
    }

    /// Writes the reason why an exchange has no correct reply.
    fn error(&mut self, exchange: &Exchange) -> io::Result<()> {
        if let Some(failure) = exchange.outcome.failure() {
            let is_name_not_found =
                failure.condition == Condition::NameNotFound && failure.context.is_none();
            let failure = match self.run.protocol {
                Some(protocol) => failure.describe(protocol),
                None => failure.condition.to_string(),
            };
            let hint = if is_name_not_found && self.run.is_word {
                " The first argument is the target, and the second one is the message."
            } else {
                ""
            };
            self.errors.paragraph(&format!("rtt-client: {} {failure}{hint}", self.run.target))?;
        }
        if let Outcome::Corrupt { text, .. } = &exchange.outcome {
            self.errors.labelled("  received: ", &wrong_answer_excerpt(text))?;
        }
        Ok(())
    }

    fn summary(&mut self, plan: &Plan, summary: &Summary) -> io::Result<()> {
        if self.run.single_exchange {
            breakdown_bar::write(&mut self.printer, &summary.breakdown)?;
            // A single exchange has no summary, so the reason for a missing exchange is an error message.
            if summary.sent == 0 {
                for note in &summary.notes {
                    self.errors.paragraph(&format!("rtt-client: {}: {note}", self.run.target))?;
                }
            } else {
                single_exchange::write_notes(&mut self.printer, summary)?;
            }
        } else {
            series_summary::write(&mut self.printer, plan, summary)?;
        }
        self.printer.flush()
    }

    fn trace(&mut self, trace: &Trace) -> io::Result<()> {
        let printer = &mut self.printer;
        for target in &trace.targets {
            let name = format!("{} {}", target.protocol.title, target.target);
            if target.flows.is_empty() && target.has_sent_requests() {
                printer.paragraph(&format!(
                    "{name}: the capture contains no packet of this target."
                ))?;
            }
            for flow in &target.flows {
                packet_diagram::write(printer, target, flow)?;
            }
            for failure in target.samples.iter().filter_map(|sample| sample.failure.as_ref()) {
                let failure = failure.describe(target.protocol);
                printer.paragraph(&format!("{name}: {failure}"))?;
            }
            trace_summary::write_timings(printer, target)?;
        }
        trace_summary::write_totals(printer, trace)?;
        trace_summary::write_notes(printer, trace)?;
        printer.flush()
    }
}

impl<Out: Write, Errors: Write> Report for Text<Out, Errors> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Start(start) => self.start(start),
            Event::Protocol(facts) => protocol::write(&mut self.printer, facts),
            Event::AddressLimit(limit) => self.address_limit(limit),
            Event::FailedAttempt(attempt) => self.failed_attempt(attempt),
            Event::Connection(connection) => {
                self.run.connection = Some((*connection).clone());
                Ok(())
            }
            Event::Exchange(exchange) => self.exchange(exchange),
            Event::Summary { plan, summary } => self.summary(plan, summary),
            Event::AddressChange(_)
            | Event::Progress(_)
            | Event::ComparisonStart(_)
            | Event::ComparisonProgress(_)
            | Event::Pair { .. } => Ok(()),
            Event::Trace(trace) => self.trace(trace),
            Event::Finding(finding) => {
                finding::write(&mut self.printer, finding)?;
                self.printer.flush()
            }
            Event::Host(host) => {
                host::write(&mut self.printer, host)?;
                self.printer.flush()
            }
            Event::Verdict { comparison, evidence, verdict } => {
                verdict::write(&mut self.printer, comparison, evidence, verdict)?;
                self.printer.flush()
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.printer.flush()
    }
}

/// The size of the requests.
fn requests(bytes: usize, server_sends_first: bool) -> String {
    if server_sends_first {
        "the server sends first".to_owned()
    } else {
        format!("requests of {}", counted(bytes as u64, "byte", "bytes"))
    }
}

/// The start of a wrong answer, escaped for a terminal.
fn wrong_answer_excerpt(text: &[u8]) -> String {
    let shown = &text[..text.len().min(WRONG_ANSWER_LIMIT)];
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{}{more}", received_text(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::Failure;
    use crate::plan::Settings;
    use crate::protocol::registry::protocol_named;
    use std::time::Duration;

    /// The error output of exchanges that were not sent, one for each condition.
    fn error_text(settings: Settings, config: TextConfig, conditions: &[Condition]) -> String {
        let (udp, target) = (protocol_named("udp").unwrap(), "192.0.2.7:7".parse().unwrap());
        let plan = Plan::new(udp, target, settings).unwrap();
        let start = Start { plan: &plan, address: None, local: None, clock_cost: Duration::ZERO };
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let mut text = Text::new(&mut out, &mut errors, config);
        text.event(&Event::Start(&start)).unwrap();
        for condition in conditions {
            let failure = Failure::new(*condition, Duration::from_secs(2));
            let exchange = Exchange {
                seq: 1,
                sent: None,
                lateness: None,
                connection_position: None,
                outcome: Outcome::Lost(failure),
                breakdown: None,
                first_byte: None,
                hop_limit: None,
                retransmitted: None,
                lost_where: None,
            };
            text.event(&Event::Exchange(&exchange)).unwrap();
        }
        assert!(out.is_empty());
        String::from_utf8(errors).unwrap()
    }

    #[test]
    fn name_with_too_many_addresses_has_an_error_message() {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        let limit = AddressLimit { host: "many.example".to_owned(), found: 3000, tried: 16 };
        let mut text = Text::new(&mut out, &mut errors, TextConfig::default());
        text.event(&Event::AddressLimit(&limit)).unwrap();
        let errors = String::from_utf8(errors).unwrap();
        assert!(
            errors.ends_with("has 3,000 addresses; the client tries only 16 of them\n"),
            "{errors}"
        );
    }

    #[test]
    fn word_that_is_not_a_name_has_a_hint_about_the_order_of_the_arguments() {
        let failure = || Failure::new(Condition::NameNotFound, Duration::ZERO);
        for (target, has_hint) in [("hello", true), ("server.example", false)] {
            let udp = protocol_named("udp").unwrap();
            let plan = Plan::new(udp, target.parse().unwrap(), Settings::one("x")).unwrap();
            let start =
                Start { plan: &plan, address: None, local: None, clock_cost: Duration::ZERO };
            let mut errors = Vec::new();
            let mut text = Text::new(io::sink(), &mut errors, TextConfig::default());
            text.event(&Event::Start(&start)).unwrap();
            text.event(&Event::Exchange(&Exchange::not_sent(1, failure()))).unwrap();
            let errors = String::from_utf8(errors).unwrap();
            assert_eq!(errors.contains("The first argument is the target"), has_hint, "{errors}");
        }
    }

    #[test]
    fn quiet_series_writes_one_message_for_each_condition() {
        let config = TextConfig { quiet: true, ..TextConfig::default() };
        let (limit, silent) = (Condition::LocalLimit, Condition::Silent);
        let text = error_text(Settings::series(9), config, &[limit, silent, limit, limit, silent]);
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn error_is_one_line_except_on_a_terminal() {
        let text = |error_width| {
            let config = TextConfig { error_width, ..TextConfig::default() };
            error_text(Settings::one("hello"), config, &[Condition::Silent])
        };
        let line = text(None);
        assert!(line.starts_with("rtt-client: UDP 192.0.2.7:7 silent for 2.000 s"), "{line}");
        assert_eq!(line.lines().count(), 1);
        // A width below the minimum becomes the minimum.
        let wrapped = text(Some(1));
        assert!(wrapped.lines().count() > 1);
        let is_narrow = |line: &str| line.chars().count() <= TextConfig::MIN_WIDTH;
        assert!(wrapped.lines().all(is_narrow), "{wrapped}");
        assert!(wrapped.split_whitespace().eq(line.split_whitespace()));
    }
}
