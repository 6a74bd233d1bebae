//! A child process, and functions that run a command and wait for its end.
//!
//! ```
//! # fn main() -> child_process::Result<()> {
//! use child_process::workspace;
//!
//! let version = child_process::output(workspace::cargo().arg("--version"))?;
//! assert!(version.starts_with("cargo "));
//! # Ok(())
//! # }
//! ```

use crate::parent::end_with_this_thread;
use crate::print::print_error;
use crate::{Error, Result};
use shared_child::SharedChild;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// All child processes that run now. The signal handler stops them.
static RUNNING: Mutex<Vec<Arc<SharedChild>>> = Mutex::new(Vec::new());

/// The pause between two checks of the signal handler for the end of a child.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The exit status of a program after Ctrl-C, as shells report it: 128 + 2, the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// The number of SIGTERM in POSIX.
#[cfg(unix)]
const SIGTERM: i32 = 15;

/// Installs a handler for Ctrl-C and SIGTERM. The handler sends SIGTERM to all children and kills those that still run
/// after `grace_period`. Then it prints a line that begins with `program`, and exits with status 130.
///
/// In the grace period, a server answers the requests that it has received. If a child also calls this function, its
/// parent needs a longer grace period than the child.
///
/// # Errors
///
/// [`Error::SignalHandler`] if the operating system refuses the handler, or if the program already has one.
pub fn end_children_on_signal(program: &'static str, grace_period: Duration) -> Result<()> {
    ctrlc::set_handler(move || {
        // The lock is never released, so no other thread can start a child before the exit.
        let running = running();
        stop_all(&running, grace_period);
        print_error(format_args!(
            "{program}: interrupted; all programs that it started have ended\n"
        ));
        std::process::exit(INTERRUPTED);
    })
    .map_err(Error::SignalHandler)
}

/// Sends SIGTERM to all `children`, and kills those that still run after `grace_period`. Ignores errors, because the
/// program exits in any case.
fn stop_all(children: &[Arc<SharedChild>], grace_period: Duration) {
    for child in children {
        let _ = send_sigterm(child);
    }
    let deadline = Instant::now() + grace_period;
    for child in children {
        while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(CHECK_INTERVAL);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[cfg(unix)]
fn send_sigterm(child: &SharedChild) -> io::Result<()> {
    use shared_child::unix::SharedChildExt as _;
    child.send_signal(SIGTERM)
}

/// Kills the process, because the system has no SIGTERM.
#[cfg(not(unix))]
fn send_sigterm(child: &SharedChild) -> io::Result<()> {
    child.kill()
}

fn running() -> MutexGuard<'static, Vec<Arc<SharedChild>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process. Dropping this value kills the process and waits for its end.
pub struct Child {
    process: Arc<SharedChild>,
    command: String,
}

impl Child {
    /// Starts `command`. On Linux, the child ends when the calling thread ends. So it also ends if SIGKILL ends this
    /// process.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if the program does not exist or cannot be executed.
    pub fn start(command: &mut Command) -> Result<Self> {
        end_with_this_thread(command);
        let mut running = running();
        let started = SharedChild::spawn(command);
        let command = command_line(command);
        match started {
            Ok(process) => {
                let process = Arc::new(process);
                running.push(Arc::clone(&process));
                Ok(Self { process, command })
            }
            Err(source) => Err(Error::Start { command, source }),
        }
    }

    /// The process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The standard output, if it is a pipe. Only the first call returns it.
    #[must_use]
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.process.take_stdout()
    }

    /// The standard error output, if it is a pipe. Only the first call returns it.
    #[must_use]
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.process.take_stderr()
    }

    /// Waits until the process ends.
    ///
    /// # Errors
    ///
    /// [`Error::Communicate`] if the operating system cannot report the exit status.
    pub fn wait(&self) -> Result<ExitStatus> {
        self.process.wait().map_err(|error| self.error(error))
    }

    /// Sends SIGTERM, waits for the end of the process, and checks that its exit status is 0. On systems without
    /// SIGTERM, this kills the process and checks no status.
    ///
    /// # Errors
    ///
    /// [`Error::Communicate`], and [`Error::Status`] if the exit status is not 0.
    pub fn terminate(self) -> Result<()> {
        send_sigterm(&self.process).map_err(|error| self.error(error))?;
        let status = self.wait()?;
        if cfg!(unix) { self.check(status, &[0]) } else { Ok(()) }
    }

    pub(crate) fn error(&self, source: io::Error) -> Error {
        Error::Communicate { command: self.command.clone(), source }
    }

    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    fn check(&self, status: ExitStatus, expected: &[i32]) -> Result<()> {
        if status.code().is_some_and(|code| expected.contains(&code)) {
            return Ok(());
        }
        Err(Error::Status { command: self.command.clone(), status })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Ignores errors, because `drop` cannot return them.
        let _ = self.process.kill();
        let _ = self.process.wait();
        running().retain(|other| !Arc::ptr_eq(other, &self.process));
    }
}

/// Runs `command` and waits for its end. The command uses this terminal.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Communicate`], and [`Error::Status`] if the exit status is not 0.
pub fn run(command: &mut Command) -> Result<()> {
    let child = Child::start(command)?;
    child.check(child.wait()?, &[0])
}

/// Runs `command` and returns its exit status. The command uses this terminal.
///
/// # Errors
///
/// [`Error::Start`] and [`Error::Communicate`].
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    Child::start(command)?.wait()
}

/// Runs `command` and returns its standard output.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Communicate`], and [`Error::Status`] if the exit status is not 0.
pub fn output(command: &mut Command) -> Result<String> {
    output_with_status(command, &[0])
}

/// Runs `command` and returns its standard output. `expected` lists the exit statuses that are not errors.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Communicate`], and [`Error::Status`] for any other exit status.
pub fn output_with_status(command: &mut Command, expected: &[i32]) -> Result<String> {
    let child = Child::start(command.stdout(Stdio::piped()))?;
    let mut text = String::new();
    if let Some(mut stdout) = child.take_stdout() {
        stdout.read_to_string(&mut text).map_err(|error| child.error(error))?;
    }
    child.check(child.wait()?, expected)?;
    Ok(text)
}

/// The command line as a user types it, without the directory of the program. Empty arguments and arguments with
/// special characters have quotes.
///
/// ```
/// use std::process::Command;
///
/// let mut command = Command::new("target/release/rtt-client");
/// command.args(["udp", "127.0.0.1:25000", "hello, world"]);
/// assert_eq!(child_process::command_line(&command), "rtt-client udp 127.0.0.1:25000 'hello, world'");
/// ```
#[must_use]
pub fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args().map(|argument| argument.to_string_lossy()) {
        let is_plain =
            argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=[]".contains(c));
        let quote = if is_plain && !argument.is_empty() { "" } else { "'" };
        line.extend([" ", quote, &argument, quote]);
    }
    line
}
