//! The command line of xtask. This code parses it without clap, because clap takes longer to build than xtask.

/// The text that `--help` and wrong arguments print.
pub(crate) const USAGE: &str = "\
usage: cargo xtask TASK

tasks:
  demo     run the six tasks of the lab assignment on this machine
  bench    measure memory, and compare RTT and throughput with minimal echo
           programs (the floor) in the same run
  soak [--duration DURATION]
           attack the servers and the client, and measure the effect on honest
           clients (examples of DURATION: 10s, 5m, 1h)
  ci [--skip-tests]
           run all checks that CI runs; --skip-tests: without the check `tests`,
           which is the same as `cargo test --workspace`";

/// The selected task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Demo,
    Bench,
    Soak {
        /// The text that the user typed. `echo-bench` parses it and defines the default.
        duration: Option<String>,
    },
    Ci {
        /// Whether `cargo test --workspace` has already passed.
        skip_tests: bool,
    },
    Help,
}

impl Task {
    /// Parses the command line without the program's name. Returns `None` if the task does not exist or does not
    /// accept these arguments.
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
            ["ci"] => Some(Self::Ci { skip_tests: false }),
            ["ci", "--skip-tests"] => Some(Self::Ci { skip_tests: true }),
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
        assert_eq!(parse("ci"), Some(Task::Ci { skip_tests: false }));
        assert_eq!(parse("ci --skip-tests"), Some(Task::Ci { skip_tests: true }));
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
