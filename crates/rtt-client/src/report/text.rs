//! For a person: what was sent and when, what came back and when, and how long that took; for a series a
//! line a reply, as `ping` has it, and the figures at the end.
//!
//! Results go to the writer that it is made with; why there are none goes to the other one, a line each.

mod bar;
mod figures;
mod finding;
mod ladder;
mod one;
mod plot;
mod verdict;
mod wrap;

use crate::analysis::statistics::Summary;
use crate::event::{
    ComparisonProgress, ComparisonStage, Event, FailedAttempt, Progress, Report, Start,
};
use crate::model::exchange::{Connection, Exchange, Outcome};
use crate::model::icmp::Origin;
use crate::plan::Plan;
use echo_core::escape;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::time::Duration;

/// How much of a wrong answer is shown, in bytes: enough to see what speaks there.
const WRONG_ANSWER_SHOWN: usize = 200;

/// A comparison's progress bar, one stage after the other.
const COMPARING: &str = "{wide_bar} {percent}% of {msg}";

/// What a text report leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextConfig {
    /// No line for each exchange of a series.
    pub quiet: bool,
    /// A progress bar on stderr.
    pub progress: bool,
}

/// Writes a run for a person.
#[derive(Debug)]
pub struct Text<Out, Complaints> {
    out: Out,
    complaints: Complaints,
    config: TextConfig,
    whom: String,
    title: &'static str,
    one_message: bool,
    /// The first line, until there is something to stand under it.
    heading: String,
    connection: Option<Connection>,
    bar: Option<ProgressBar>,
}

impl<Out: Write, Complaints: Write> Text<Out, Complaints> {
    /// A report that writes results to `out`, and what went wrong to `complaints`.
    pub fn new(out: Out, complaints: Complaints, config: TextConfig) -> Self {
        Self {
            out,
            complaints,
            config,
            whom: String::new(),
            title: "",
            one_message: true,
            heading: String::new(),
            connection: None,
            bar: None,
        }
    }

    fn start(&mut self, start: &Start<'_>) -> io::Result<()> {
        let plan = start.plan;
        self.title = plan.protocol.title;
        self.one_message = plan.is_one_message();
        self.whom = match start.address {
            Some(address) => format!("{} {address}", self.title),
            None => format!("{} {}", self.title, plan.target),
        };
        if let (Some(address), Some(local)) = (start.address, start.local) {
            self.heading = format!("{} to {address} from {local}", self.title);
            if !self.one_message {
                let bytes = plan.payload.request_len();
                writeln!(self.out, "{}, {bytes} bytes", self.heading)?;
                self.out.flush()?;
            }
        }
        Ok(())
    }

    fn exchange(&mut self, exchange: &Exchange) -> io::Result<()> {
        if exchange.rtt().is_none() && (self.one_message || exchange.sent.is_none()) {
            return self.complain(exchange);
        }
        if self.one_message {
            return one::write(&mut self.out, &self.heading, self.connection, exchange);
        }
        if self.config.quiet {
            return Ok(());
        }
        match (exchange.rtt(), exchange.outcome.failure()) {
            (Some(rtt), _) => {
                write!(self.out, "{:>6}  {}", exchange.seq, milliseconds(rtt))?;
                if let Some(lateness) = exchange.lateness {
                    write!(self.out, "  sent {} late", milliseconds(lateness))?;
                }
                if let Some(breakdown) = &exchange.breakdown {
                    write!(self.out, "  {}", bar::in_words(breakdown))?;
                }
                writeln!(self.out)
            }
            (None, Some(failure)) => {
                let (name, condition) = (exchange.outcome.name(), failure.condition);
                let mut line = format!("{:>6}  {name}: {condition}", exchange.seq);
                if let Some(Origin::Icmp(icmp)) = failure.origin {
                    line.extend([", says ".to_owned(), icmp.to_string()]);
                }
                if let Some(detail) = &failure.detail {
                    line.extend([", ", detail]);
                }
                wrap::wrapped(&mut self.out, "        ", &line)
            }
            (None, None) => Ok(()),
        }
    }

    fn complain(&mut self, exchange: &Exchange) -> io::Result<()> {
        if let Some(failure) = exchange.outcome.failure() {
            let whom = &self.whom;
            writeln!(self.complaints, "rtt-client: {whom} {failure}")?;
        }
        if let Outcome::Corrupt { text, .. } = &exchange.outcome {
            let shown = &text[..text.len().min(WRONG_ANSWER_SHOWN)];
            let more = if shown.len() < text.len() { "..." } else { "" };
            writeln!(self.complaints, "  it answered: {}{more}", escape(shown))?;
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        let Progress { plan, summary, elapsed } = *progress;
        if !self.config.progress || self.one_message {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| new_bar(plan));
        match (plan.settings.count, plan.settings.duration) {
            (Some(_), _) => bar.set_position(summary.sent),
            (None, Some(_)) => {
                bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            }
            (None, None) => bar.tick(),
        }
        let median = summary.rtt.median().map_or_else(String::new, milliseconds);
        bar.set_message(format!(
            "{} received, {} lost, p50 {median}",
            summary.received, summary.lost
        ));
    }

    fn comparing(&mut self, progress: ComparisonProgress) {
        if !self.config.progress {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| styled(ProgressBar::new(100), COMPARING));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100"
        )]
        bar.set_position((100.0 * progress.share.clamp(0.0, 1.0)) as u64);
        bar.set_message(stage_name(progress.stage));
    }

    fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn summary(&mut self, plan: &Plan, summary: &Summary) -> io::Result<()> {
        self.clear_bar();
        if self.one_message {
            if let Some(breakdown) = bar::of_medians(&summary.breakdown) {
                writeln!(self.out, "\n{breakdown}")?;
            }
        } else {
            figures::write(&mut self.out, plan, summary)?;
        }
        self.out.flush()
    }
}

impl<Out: Write, Complaints: Write> Report for Text<Out, Complaints> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Start(start) => self.start(start)?,
            Event::FailedAttempt(attempt) => {
                let FailedAttempt { protocol, address, failure } = attempt;
                let title = protocol.title;
                let after = milliseconds(failure.after);
                writeln!(
                    self.complaints,
                    "rtt-client: {title} {address} {} after {after}; trying the next address",
                    failure.condition
                )?;
            }
            Event::Connection(connection) => self.connection = Some(**connection),
            Event::Exchange(exchange) => self.exchange(exchange)?,
            Event::Progress(progress) => self.progress(progress),
            Event::Summary { plan, summary } => self.summary(plan, summary)?,
            Event::ComparisonStart(_) | Event::Pair { .. } => {}
            Event::Trace(trace) => ladder::write(&mut self.out, trace)?,
            Event::Finding(found) => finding::write(&mut self.out, found)?,
            Event::ComparisonProgress(progress) => self.comparing(*progress),
            Event::Verdict { comparison, evidence, verdict } => {
                self.clear_bar();
                verdict::write(&mut self.out, comparison, evidence, verdict)?;
                self.out.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The name of a measurement, as the progress bar shows it.
fn stage_name(stage: ComparisonStage) -> String {
    match stage {
        ComparisonStage::Pairs => "pairs".to_owned(),
        ComparisonStage::KernelTimestamps => "kernel timestamps".to_owned(),
        ComparisonStage::NewConnections => "new connections".to_owned(),
        ComparisonStage::TwoWrites => "two writes".to_owned(),
        ComparisonStage::RequestSize { bytes } => format!("{bytes} bytes"),
    }
}

fn new_bar(plan: &Plan) -> ProgressBar {
    let length = match (plan.settings.count, plan.settings.duration) {
        (Some(count), _) => Some(count),
        (None, Some(duration)) => u64::try_from(duration.as_millis()).ok(),
        (None, None) => None,
    };
    let template = match length {
        Some(_) => "{wide_bar} {percent}% {eta} left, {msg}",
        None => "{spinner} {elapsed}, {msg}",
    };
    styled(length.map_or_else(ProgressBar::new_spinner, ProgressBar::new), template)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.set_style(ProgressStyle::with_template(template).expect("the template is a proper one"));
    bar
}

/// Three decimals, as the lab's report has them.
fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}
