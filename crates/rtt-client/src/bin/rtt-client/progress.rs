//! [`WithProgressBar`]: adds a progress bar on stderr to a report.

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use rtt_client::report::Charset;
use rtt_client::{ComparisonProgress, ComparisonStage, Event, Plan, Progress, Report};
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The template for a comparison. The bar starts again for each measurement of the comparison.
const COMPARISON: &str = "{wide_bar} {percent}% of {msg}";

/// The template for a series with a count or a duration.
const SERIES: &str = "{wide_bar} {percent}% {eta} left, {msg}";

/// The template for a series that runs until it is interrupted.
const ENDLESS_SERIES: &str = "{spinner} {elapsed}, {msg}";

/// The visible bar.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Calls `write`, which writes to the terminal. The bar is hidden meanwhile.
pub(crate) fn hide_while(write: impl FnOnce()) {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Draws the progress events of a run, and forwards all other events to `inner`. `Inner` is a text report that omits
/// the lines of the individual exchanges.
pub(crate) struct WithProgressBar<Inner> {
    inner: Inner,
    charset: Charset,
    /// Exists from the first progress event to the result.
    bar: Option<ProgressBar>,
}

impl<Inner: Report> WithProgressBar<Inner> {
    pub(crate) fn new(inner: Inner, charset: Charset) -> Self {
        Self { inner, charset, bar: None }
    }

    fn show_series(&mut self, progress: &Progress<'_>) {
        let Progress { plan, summary, elapsed } = *progress;
        let charset = self.charset;
        let bar = self.bar.get_or_insert_with(|| visible(series_bar(plan, charset)));
        match (plan.settings().count, plan.settings().duration) {
            (Some(_), _) => bar.set_position(summary.sent),
            (None, Some(_)) => bar.set_position(milliseconds(elapsed)),
            (None, None) => bar.tick(),
        }
        let median = summary.rtt.median().map_or_else(String::new, |median| {
            format!(", median RTT {:.3} ms", 1e3 * median.as_secs_f64())
        });
        let (received, lost) = (HumanCount(summary.received), HumanCount(summary.lost));
        bar.set_message(format!("{received} received, {lost} lost{median}"));
    }

    fn show_comparison(&mut self, progress: ComparisonProgress) {
        let charset = self.charset;
        let bar = self
            .bar
            .get_or_insert_with(|| visible(styled(ProgressBar::new(100), COMPARISON, charset)));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100"
        )]
        bar.set_position((100.0 * progress.share.clamp(0.0, 1.0)) as u64);
        bar.set_message(stage_name(progress.stage));
    }

    /// Forwards an event. The bar is hidden while the report writes.
    fn forward_hidden(&mut self, event: &Event<'_>) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.inner.event(event)),
            None => self.inner.event(event),
        }
    }
}

impl<Inner: Report> Report for WithProgressBar<Inner> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Progress(progress) => {
                self.show_series(progress);
                Ok(())
            }
            Event::ComparisonProgress(progress) => {
                self.show_comparison(*progress);
                Ok(())
            }
            // These events are frequent, and the inner report writes nothing for them. Hiding the bar each
            // time would slow down the run.
            Event::Pair { .. } => self.inner.event(event),
            Event::Exchange(exchange) if exchange.sent.is_some() => self.inner.event(event),
            // These are the last events, so the bar is removed.
            Event::Summary { .. } | Event::Verdict { .. } => {
                if let Some(bar) = self.bar.take() {
                    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    bar.finish_and_clear();
                }
                self.inner.event(event)
            }
            _ => self.forward_hidden(event),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Stores a bar for [`hide_while`].
fn visible(bar: ProgressBar) -> ProgressBar {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    bar
}

fn stage_name(stage: ComparisonStage) -> String {
    match stage {
        ComparisonStage::Pairs => "pairs".to_owned(),
        ComparisonStage::KernelTimestamps => "pairs with kernel timestamps".to_owned(),
        ComparisonStage::NewConnections => "pairs with new connections".to_owned(),
        ComparisonStage::Experiment { name } => name.to_owned(),
        ComparisonStage::RequestSize { bytes } => {
            format!("pairs of {} bytes", HumanCount(bytes as u64))
        }
        _ => "measurements".to_owned(),
    }
}

fn series_bar(plan: &Plan, charset: Charset) -> ProgressBar {
    let settings = plan.settings();
    match settings.count.or(settings.duration.map(milliseconds)) {
        Some(length) => styled(ProgressBar::new(length), SERIES, charset),
        None => styled(ProgressBar::new_spinner(), ENDLESS_SERIES, charset),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn styled(bar: ProgressBar, template: &str, charset: Charset) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates are constants");
    bar.set_style(match charset {
        Charset::Utf8 => style,
        Charset::Ascii => style.progress_chars("#>-").tick_chars("|/-\\ "),
    });
    bar
}
