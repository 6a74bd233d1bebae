//! A child process that ends when its owner drops it, and functions that run a command to its end.
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

use crate::error::{Error, Result};
use shared_child::SharedChild;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// All children that run now. The signal handler ends them.
static RUNNING: Mutex<Vec<Arc<SharedChild>>> = Mutex::new(Vec::new());

/// How often the signal handler checks whether a child has ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The exit status of a program that Ctrl-C has ended: 128 plus the number of SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

/// The number of SIGTERM in POSIX.
#[cfg(unix)]
const SIGTERM: i32 = 15;

/// Installs a handler for Ctrl-C and SIGTERM. The handler sends SIGTERM to all children and kills those that still
/// run after `grace_period`. Then it prints a line that begins with `program`, and exits with status 130.
///
/// A server needs the grace period to answer the requests that it has received. A child that ends its own children
/// in this way needs a longer one than they do.
///
/// # Errors
///
/// [`Error::SignalHandler`] if the operating system refuses the handler, or if this function is called twice.
pub fn end_children_on_signal(program: &'static str, grace_period: Duration) -> Result<()> {
    ctrlc::set_handler(move || {
        // This lock is held until the exit, so that no other thread can start another child.
        let running = running();
        end_all(&running, grace_period);
        eprintln!("{program}: interrupted; all programs that it started have ended");
        std::process::exit(INTERRUPTED);
    })
    .map_err(Error::SignalHandler)
}

/// Ends all `children`. It ignores errors: they mean that the child has already ended.
fn end_all(children: &[Arc<SharedChild>], grace_period: Duration) {
    for child in children {
        let _ = request_end(child);
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
fn request_end(child: &SharedChild) -> io::Result<()> {
    use shared_child::unix::SharedChildExt as _;
    child.send_signal(SIGTERM)
}

/// Without SIGTERM, the only way to end another process is to kill it.
#[cfg(not(unix))]
fn request_end(child: &SharedChild) -> io::Result<()> {
    child.kill()
}

fn running() -> MutexGuard<'static, Vec<Arc<SharedChild>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process. Dropping it kills the process and waits for its end.
pub struct Child {
    process: Arc<SharedChild>,
    command: String,
}

impl Child {
    /// Starts `command`.
    ///
    /// # Errors
    ///
    /// [`Error::Start`].
    pub fn start(command: &mut Command) -> Result<Self> {
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

    /// The standard output, if it is a pipe and has not been taken before.
    #[must_use]
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.process.take_stdout()
    }

    /// The standard error output, if it is a pipe and has not been taken before.
    #[must_use]
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.process.take_stderr()
    }

    /// Waits until the process ends.
    ///
    /// # Errors
    ///
    /// [`Error::Communicate`].
    pub fn wait(&self) -> Result<ExitStatus> {
        self.process.wait().map_err(|error| self.error(error))
    }

    /// Sends SIGTERM, waits until the process has ended, and checks that its exit status is 0. On systems
    /// without SIGTERM it kills the process and checks nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Communicate`], and [`Error::Status`] for another exit status than 0.
    pub fn terminate(self) -> Result<()> {
        request_end(&self.process).map_err(|error| self.error(error))?;
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
        // Both calls fail if the process has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
        running().retain(|other| !Arc::ptr_eq(other, &self.process));
    }
}

/// Runs `command` to its end. The command uses this terminal.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Communicate`], and [`Error::Status`] for another exit status than 0.
pub fn run(command: &mut Command) -> Result<()> {
    let child = Child::start(command)?;
    child.check(child.wait()?, &[0])
}

/// Runs `command` to its end and returns its exit status. The command uses this terminal.
///
/// # Errors
///
/// [`Error::Start`] and [`Error::Communicate`].
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    Child::start(command)?.wait()
}

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Communicate`], and [`Error::Status`] for another exit status than 0.
pub fn output(command: &mut Command) -> Result<String> {
    output_with_status(command, &[0])
}

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Communicate`], and [`Error::Status`] for an exit status that is not in `expected`.
pub fn output_with_status(command: &mut Command, expected: &[i32]) -> Result<String> {
    let child = Child::start(command.stdout(Stdio::piped()))?;
    let mut text = String::new();
    if let Some(mut stdout) = child.take_stdout() {
        stdout.read_to_string(&mut text).map_err(|error| child.error(error))?;
    }
    child.check(child.wait()?, expected)?;
    Ok(text)
}

/// The command as a user would type it: the name of the program without its directory, then the arguments.
/// Arguments with special characters are quoted.
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
