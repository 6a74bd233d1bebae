//! [`TextConfig`]: the appearance of a text report.

/// The appearance of a text report. The report itself reads neither the environment nor the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextConfig {
    /// The number of columns of a line. Values outside [`Self::MIN_WIDTH`] to [`Self::MAX_WIDTH`] are
    /// replaced by the nearer of these limits.
    pub width: usize,
    /// The number of columns of an error message, or `None` for one line for each message.
    pub error_width: Option<usize>,
    /// The characters that the report may use.
    pub charset: Charset,
    /// Whether the report writes escape codes for bold text and colours.
    pub styling: Styling,
    /// Whether the report omits the line for each exchange of a series.
    pub quiet: bool,
    /// Whether the report draws a progress bar on stderr.
    pub progress: bool,
}

/// The characters that a report may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// All of Unicode, as UTF-8.
    Utf8,
    /// ASCII only. The report replaces other characters, for example `µs` by `us`.
    Ascii,
}

/// The escape codes that a report may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Styling {
    /// None.
    Plain,
    /// Bold headings.
    Bold,
    /// Bold headings and coloured bars.
    BoldAndColour,
}

impl TextConfig {
    /// The narrowest layout. Tables and diagrams need this width.
    pub const MIN_WIDTH: usize = 60;
    /// The widest layout. Longer lines of prose are hard to read.
    pub const MAX_WIDTH: usize = 120;
    /// The width of output that does not go to a terminal.
    pub const DEFAULT_WIDTH: usize = 80;
}

impl Default for TextConfig {
    /// The appearance of output that does not go to a terminal.
    fn default() -> Self {
        Self {
            width: Self::DEFAULT_WIDTH,
            error_width: None,
            charset: Charset::Utf8,
            styling: Styling::Plain,
            quiet: false,
            progress: false,
        }
    }
}
