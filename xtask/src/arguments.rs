//! The command line of xtask. It is parsed by hand, because an argument parser would take longer to build than
//! all of xtask.

/// The text for `--help` and for wrong arguments.
pub(crate) const USAGE: &str = "\
usage: cargo xtask TASK

tasks:
  demo     run the six tasks of the lab on this machine, one after the other
  bench    compare RTT, throughput and memory with a floor measured in the same run
  soak [--duration DURATION]
           run honest and hostile clients against both servers
           (default duration: 60s)
  ci       run all checks that CI runs";

/// The selected task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Demo,
    Bench,
    Soak {
        /// As the user typed it; `echo-bench` parses it.
        duration: Option<String>,
    },
    Ci,
    Help,
}

impl Task {
    /// Parses the command line without the program's name. `None` if there is no such task, or if it does not
    /// take these arguments.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Option<Self> {
        let arguments: Vec<String> = arguments.into_iter().collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["demo"] => Some(Self::Demo),
            ["bench"] => Some(Self::Bench),
            ["soak"] => Some(Self::Soak { duration: None }),
            ["soak", "--duration", duration] => {
                Some(Self::Soak { duration: Some(duration.to_owned()) })
            }
            ["ci"] => Some(Self::Ci),
            ["help" | "--help" | "-h"] => Some(Self::Help),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Task> {
        Task::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_documented_task_is_parsed() {
        assert_eq!(parse("demo"), Some(Task::Demo));
        assert_eq!(parse("bench"), Some(Task::Bench));
        assert_eq!(parse("ci"), Some(Task::Ci));
        assert_eq!(parse("soak"), Some(Task::Soak { duration: None }));
        let duration = Some("10s".to_owned());
        assert_eq!(parse("soak --duration 10s"), Some(Task::Soak { duration }));
        assert_eq!(parse("--help"), Some(Task::Help));
    }

    #[test]
    fn unknown_arguments_are_refused() {
        let lines =
            ["", "dmeo", "demo now", "soak 10s", "soak --duration", "ci --fast", "floor server"];
        for line in lines {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
