//! Interim figures: the figures of a run before its end, in one line on stderr.
//!
//! [`WithInterimFigures`] collects the figures. [`print`] prints them from another thread, so the measuring thread neither
//! formats nor writes them.

use crate::progress;
use indicatif::HumanCount;
use rtt_client::{Distribution, Event, Outcome, Quantile, Report};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The figures of the run of this process. Their clock starts at the first use.
static FIGURES: LazyLock<Mutex<Figures>> = LazyLock::new(|| Mutex::new(Figures::default()));

/// The figures so far.
struct Figures {
    start: Instant,
    /// The state of the run without figures.
    state: &'static str,
    sent: u64,
    received: u64,
    lost: u64,
    corrupt: u64,
    rtt: Distribution,
    pairs: u64,
    /// The RTTs of side A and side B of a comparison.
    sides: [Distribution; 2],
    findings: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            state: "nothing measured",
            sent: 0,
            received: 0,
            lost: 0,
            corrupt: 0,
            rtt: Distribution::default(),
            pairs: 0,
            sides: [Distribution::default(), Distribution::default()],
            findings: 0,
        }
    }
}

/// Prints the figures so far in one line on stderr. A progress bar is hidden meanwhile.
pub(crate) fn print() {
    let figures = figures();
    let line = figures.line(figures.start.elapsed());
    drop(figures);
    // If standard error is closed, there is no place for the line.
    progress::hide_while(|| drop(writeln!(io::stderr(), "{line}")));
}

/// Sets the state that [`print`] prints for a command without figures.
pub(crate) fn set_state(state: &'static str) {
    figures().state = state;
}

/// Collects the figures of a run, and forwards all events to `inner`.
pub(crate) struct WithInterimFigures {
    inner: Box<dyn Report>,
}

impl WithInterimFigures {
    pub(crate) fn new(inner: Box<dyn Report>) -> Self {
        // The clock starts now.
        drop(figures());
        Self { inner }
    }
}

impl Report for WithInterimFigures {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if matches!(event, Event::Exchange(_) | Event::Pair { .. } | Event::Finding(_)) {
            figures().add(event);
        }
        self.inner.event(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn figures() -> MutexGuard<'static, Figures> {
    FIGURES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Figures {
    fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::Exchange(exchange) => {
                self.sent += 1;
                match exchange.outcome {
                    Outcome::Reply { .. } => self.received += 1,
                    Outcome::Lost(_) | Outcome::Error(_) => self.lost += 1,
                    Outcome::Corrupt { .. } => self.corrupt += 1,
                }
                if let Some(rtt) = exchange.rtt() {
                    self.rtt.add(rtt);
                }
            }
            Event::Pair { pair, .. } => {
                self.pairs += 1;
                for (side, rtt) in self.sides.iter_mut().zip([pair.a, pair.b]) {
                    if let Some(rtt) = rtt {
                        side.add(rtt);
                    }
                }
            }
            Event::Finding(_) => self.findings += 1,
            _ => {}
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let mut line = "so far: ".to_owned();
        // Writing to a string never fails.
        let _ = if self.sent > 0 {
            self.write_series(&mut line)
        } else if self.pairs > 0 {
            self.write_comparison(&mut line)
        } else if self.findings > 0 {
            write!(line, "{} probes with a result", HumanCount(self.findings))
        } else {
            return line + self.state;
        };
        let _ = write!(line, ", in {:.1} s", elapsed.as_secs_f64());
        line
    }

    fn write_series(&self, line: &mut String) -> std::fmt::Result {
        let [sent, received, lost] = [self.sent, self.received, self.lost].map(HumanCount);
        write!(line, "{sent} sent, {received} received, {lost} lost")?;
        if self.lost > 0 {
            #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
            let percent = 100.0 * self.lost as f64 / self.sent as f64;
            write!(line, " ({percent:.2} %)")?;
        }
        if self.corrupt > 0 {
            write!(line, ", {} corrupt", HumanCount(self.corrupt))?;
        }
        write_rtt(line, ", RTT", &self.rtt)
    }

    fn write_comparison(&self, line: &mut String) -> std::fmt::Result {
        write!(line, "{} pairs", HumanCount(self.pairs))?;
        for (side, title) in self.sides.iter().zip([", RTT of A", "; RTT of B"]) {
            write_rtt(line, title, side)?;
        }
        Ok(())
    }
}

/// Writes the median, the 99th percentile if there are enough values, and the maximum.
fn write_rtt(line: &mut String, title: &str, rtt: &Distribution) -> std::fmt::Result {
    let quantiles = [Quantile::P50, Quantile::P99];
    let quantiles = quantiles.map(|quantile| (quantile.label(), rtt.supported_quantile(quantile)));
    let mut title = Some(title);
    for (label, value) in quantiles.into_iter().chain([("max", rtt.max())]) {
        if let Some(value) = value {
            let title = title.take().unwrap_or(",");
            write!(line, "{title} {label} {:.3} ms", 1e3 * value.as_secs_f64())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELAPSED: Duration = Duration::from_millis(12_140);

    /// A distribution of 1 µs, 2 µs and so on.
    fn distribution(count: u64) -> Distribution {
        let mut rtt = Distribution::default();
        (1..=count).for_each(|number| rtt.add(Duration::from_micros(number)));
        rtt
    }

    #[test]
    fn run_without_figures_has_a_state() {
        let figures = Figures::default();
        assert_eq!(figures.line(ELAPSED), "so far: nothing measured");
    }

    #[test]
    fn series_has_its_counts_and_the_quantiles_that_they_support() {
        let mut figures = Figures {
            sent: 1200,
            received: 1180,
            lost: 20,
            rtt: distribution(1180),
            ..Figures::default()
        };
        assert_eq!(
            figures.line(ELAPSED),
            "so far: 1,200 sent, 1,180 received, 20 lost (1.67 %), RTT p50 0.590 ms, p99 1.169 ms, \
             max 1.180 ms, in 12.1 s"
        );
        figures = Figures { sent: 2, received: 1, corrupt: 1, rtt: distribution(1), ..figures };
        figures.lost = 0;
        let few = "so far: 2 sent, 1 received, 0 lost, 1 corrupt, RTT p50 0.001 ms, max 0.001 ms, in 12.1 s";
        assert_eq!(figures.line(ELAPSED), few);
        figures = Figures { sent: 1, lost: 1, ..Figures::default() };
        assert_eq!(
            figures.line(ELAPSED),
            "so far: 1 sent, 0 received, 1 lost (100.00 %), in 12.1 s"
        );
    }

    #[test]
    fn comparison_has_the_figures_of_both_sides() {
        let sides = [distribution(3), distribution(5)];
        let figures = Figures { pairs: 5, sides, ..Figures::default() };
        assert_eq!(
            figures.line(ELAPSED),
            "so far: 5 pairs, RTT of A p50 0.002 ms, max 0.003 ms; RTT of B p50 0.003 ms, max 0.005 ms, \
             in 12.1 s"
        );
    }

    #[test]
    fn diagnosis_has_the_number_of_its_findings() {
        let figures = Figures { findings: 2, ..Figures::default() };
        assert_eq!(figures.line(ELAPSED), "so far: 2 probes with a result, in 12.1 s");
    }
}
