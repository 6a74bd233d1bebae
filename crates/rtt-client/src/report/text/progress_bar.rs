//! [`Progress`]: the progress bar on stderr.

use super::config::Charset;
use super::unit::MILLISECONDS;
use crate::event;
use crate::event::{ComparisonProgress, ComparisonStage};
use crate::model::format::count;
use crate::plan::Plan;
use indicatif::{ProgressBar, ProgressStyle};

/// The bar of a comparison. Each of its measurements fills the bar once.
const COMPARISON: &str = "{wide_bar} {percent}% of {msg}";

/// The bar of a series that has an end, and of one that has none.
const SERIES: &str = "{wide_bar} {percent}% {eta} left, {msg}";
const ENDLESS_SERIES: &str = "{spinner} {elapsed}, {msg}";

/// The progress bar on stderr. It appears with the first progress event.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    charset: Charset,
}

impl Progress {
    pub(super) fn new(charset: Charset) -> Self {
        Self { bar: None, charset }
    }

    /// Shows the progress of a series.
    pub(super) fn series(&mut self, progress: &event::Progress<'_>) {
        let event::Progress { plan, summary, elapsed } = *progress;
        let charset = self.charset;
        let bar = self.bar.get_or_insert_with(|| series_bar(plan, charset));
        match (plan.settings.count, plan.settings.duration) {
            (Some(_), _) => bar.set_position(summary.sent),
            (None, Some(_)) => {
                bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            }
            (None, None) => bar.tick(),
        }
        let median = summary.rtt.median().map_or_else(String::new, |median| {
            format!(", median RTT {}", MILLISECONDS.quantity(median))
        });
        let (received, lost) = (count(summary.received), count(summary.lost));
        bar.set_message(format!("{received} received, {lost} lost{median}"));
    }

    /// Shows the progress of a comparison.
    pub(super) fn comparison(&mut self, progress: ComparisonProgress) {
        let charset = self.charset;
        let bar =
            self.bar.get_or_insert_with(|| styled(ProgressBar::new(100), COMPARISON, charset));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100"
        )]
        bar.set_position((100.0 * progress.share.clamp(0.0, 1.0)) as u64);
        bar.set_message(stage_name(progress.stage));
    }

    /// Removes the bar from the terminal.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn stage_name(stage: ComparisonStage) -> String {
    match stage {
        ComparisonStage::Pairs => "pairs".to_owned(),
        ComparisonStage::KernelTimestamps => "pairs with kernel timestamps".to_owned(),
        ComparisonStage::NewConnections => "pairs with new connections".to_owned(),
        ComparisonStage::TwoWrites => "requests in two writes".to_owned(),
        ComparisonStage::RequestSize { bytes } => {
            format!("pairs of {} bytes", count(bytes as u64))
        }
    }
}

fn series_bar(plan: &Plan, charset: Charset) -> ProgressBar {
    let length = match (plan.settings.count, plan.settings.duration) {
        (Some(count), _) => Some(count),
        (None, Some(duration)) => u64::try_from(duration.as_millis()).ok(),
        (None, None) => None,
    };
    let template = if length.is_some() { SERIES } else { ENDLESS_SERIES };
    styled(length.map_or_else(ProgressBar::new_spinner, ProgressBar::new), template, charset)
}

fn styled(bar: ProgressBar, template: &str, charset: Charset) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates are constants");
    bar.set_style(match charset {
        Charset::Utf8 => style,
        Charset::Ascii => style.progress_chars("#>-").tick_chars("|/-\\ "),
    });
    bar
}
