//! Processes that a task starts, and that do not outlive it: not when it fails, and not on Ctrl-C.

use anyhow::{Context as _, Result, bail, ensure};
use shared_child::SharedChild;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Everything that runs, for the one who ends it all.
static RUNNING: Mutex<Vec<Arc<SharedChild>>> = Mutex::new(Vec::new());

/// From now on, Ctrl-C and SIGTERM end all that was started, and then this.
pub(crate) fn end_all_on_signal() -> Result<()> {
    ctrlc::set_handler(|| {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        for child in running.iter() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        // The lock is held to the end, so that nothing is started any more.
        eprintln!("xtask: interrupted; all that was started has been ended");
        std::process::exit(130);
    })
    .context("catching Ctrl-C")
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    // Cargo takes a relative one from where it runs: the root.
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// One of the workspace's programs, as `cargo build --release` has made it.
pub(crate) fn program(name: &str) -> Command {
    let path = target_directory().join("release").join(name);
    Command::new(path.with_extension(std::env::consts::EXE_EXTENSION))
}

/// Cargo, as it runs this, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// Runs `command` to its end, with this terminal. An error if it does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let child = Child::start(command)?;
    let status = child.0.wait()?;
    ensure!(status.success(), "{} ended with {status}", told(command));
    Ok(())
}

/// Runs `command` to its end and returns what it printed on stdout. An error if it does not succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    output_ending_with(command, &[0])
}

/// The same of a command that may end with one of these statuses.
pub(crate) fn output_ending_with(command: &mut Command, expected: &[i32]) -> Result<String> {
    let child = Child::start(command.stdout(Stdio::piped()))?;
    let mut text = String::new();
    child.0.take_stdout().context("a pipe")?.read_to_string(&mut text)?;
    let status = child.0.wait()?;
    let is_expected = status.code().is_some_and(|code| expected.contains(&code));
    ensure!(is_expected, "{} ended with {status}", told(command));
    Ok(text)
}

/// Whether `command` can be run and succeeds. It prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// An address of this host on which nothing listens.
pub(crate) fn closed_port() -> Result<String> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// A server that has said where it listens.
pub(crate) struct Server {
    child: Child,
    /// Its address and port.
    pub(crate) address: String,
}

impl Server {
    /// Starts `command` and waits for its line "... listening on ADDRESS".
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = Child::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let stdout = child.0.take_stdout().context("a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some((_, address)) = line.trim_end().split_once(" listening on ") else {
            bail!("{} did not say where it listens: {line:?}", told(command));
        };
        Ok(Self { address: address.to_owned(), child })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// What the process has in memory that is nobody else's and of no file, in bytes.
    pub(crate) fn own_memory(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("smaps_rollup")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// How many files and sockets it has open.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// Its log, if that was asked for and nobody else has taken it.
    pub(crate) fn stderr(&self) -> Option<ChildStderr> {
        self.child.0.take_stderr()
    }

    /// Ends it as an operator would, where the system can; it prints its totals then.
    pub(crate) fn end(self) -> Result<()> {
        #[cfg(unix)]
        {
            use shared_child::unix::SharedChildExt as _;
            self.child.0.send_signal(SIGTERM)?;
            let status = self.child.0.wait()?;
            ensure!(status.success(), "a server ended with {status}");
        }
        #[cfg(not(unix))]
        println!("(not on this system, which has no way to ask a server for its end)");
        Ok(())
    }
}

/// The number that POSIX gives it.
#[cfg(unix)]
const SIGTERM: i32 = 15;

/// A process that ends when this is dropped.
pub(crate) struct Child(Arc<SharedChild>);

impl Child {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let child = SharedChild::spawn(command)
            .with_context(|| format!("cannot start {}", told(command)))?;
        let child = Arc::new(child);
        running.push(Arc::clone(&child));
        Ok(Self(child))
    }
}

impl Child {
    /// What it prints, if that was asked for and nobody else has taken it.
    pub(crate) fn stdout(&self) -> Option<ChildStdout> {
        self.0.take_stdout()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| !Arc::ptr_eq(other, &self.0));
    }
}

/// A command as a person would type it.
pub(crate) fn told(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args().map(|argument| argument.to_string_lossy()) {
        let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=[]".contains(c));
        let quote = if plain && !argument.is_empty() { "" } else { "'" };
        line.extend([" ", quote, &argument, quote]);
    }
    line
}
