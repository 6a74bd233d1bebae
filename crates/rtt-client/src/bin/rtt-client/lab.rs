//! The command `trace`: with servers that are already running, with its own servers in an isolated network
//! (`--lab`), or with a capture file.

use crate::cli::TraceArgs;
use crate::interim;
use crate::process::{ReportOptions, report};
use crate::signals::{print_figures_on_request, stop_on_interrupt};
use anyhow::{Context as _, Result, bail};
use rtt_client::{
    OutputFile, Target, end_with_this_thread, enter_lab, protocols_with_servers, read_trace,
    trace as trace_exchanges,
};
use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Runs the trace that `args` select. Returns whether every exchange had a correct reply. For a file, the result
/// is always true.
pub(crate) fn trace(args: &TraceArgs) -> Result<bool> {
    let options = ReportOptions { format: args.format.into(), quiet: false, progress_bar: false };
    let mut report = report(options);
    if let Some(path) = &args.read {
        let file =
            File::open(path).with_context(|| format!("cannot open the file {}", path.display()))?;
        read_trace(BufReader::new(file), path, report.as_mut())?;
        return Ok(true);
    }
    // Check the arguments before a server starts.
    args.plan(&[])?;
    // The signal handlers are threads, and a process with several threads cannot enter the isolated network. So the
    // process enters the network first.
    let servers = if args.lab { Some(LabServers::start()?) } else { None };
    let targets = servers.as_ref().map_or(&[][..], |servers| &servers.targets);
    let plan = args.plan(targets)?;
    // If the file cannot be created, no packet is sent. A named pipe waits for its reader, and Ctrl-C then ends the
    // process.
    let file = args.write.as_deref().map(OutputFile::create).transpose()?;
    let stop = stop_on_interrupt()?;
    interim::set_state("the trace runs; its results follow at the end");
    print_figures_on_request()?;
    Ok(trace_exchanges(&plan, file, report.as_mut(), stop)?)
}

/// Our server for each protocol, in an isolated network. Dropping this value stops the servers.
struct LabServers {
    children: Vec<Child>,
    targets: Vec<Target>,
}

impl LabServers {
    /// Enters the isolated network and starts the servers there.
    fn start() -> Result<Self> {
        let programs: Vec<(&str, PathBuf)> = protocols_with_servers()
            .filter_map(|protocol| Some((protocol.name, protocol.our_server()?)))
            .map(|(protocol, program)| Ok((protocol, find_program(program)?)))
            .collect::<Result<_>>()?;
        enter_lab()?;
        let mut servers = Self { children: Vec::new(), targets: Vec::new() };
        for (protocol, program) in programs {
            let mut command = Command::new(&program);
            command.args(["--listen", "127.0.0.1:0"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            // After SIGKILL, this process does not drop `servers`, so the kernel must end them.
            end_with_this_thread(&mut command);
            let mut child =
                command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
            let stdout = child.stdout.take();
            servers.children.push(child);
            let mut line = String::new();
            if let Some(stdout) = stdout {
                BufReader::new(stdout)
                    .read_line(&mut line)
                    .with_context(|| format!("cannot read the output of {}", program.display()))?;
            }
            let Some((_, address)) = line.trim_end().split_once(" listening on ") else {
                bail!("{} did not print its listening address", program.display());
            };
            let target = format!("{protocol}://{address}").parse().with_context(|| {
                format!("{} printed an address that is not valid", program.display())
            })?;
            servers.targets.push(target);
        }
        Ok(servers)
    }
}

impl Drop for LabServers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Errors mean that the server has already stopped.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Finds the program of a server: first in the directory of this program, then in the directories of `PATH`.
fn find_program(name: &str) -> Result<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let own_directory = env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    let search_path = env::var_os("PATH").unwrap_or_default();
    own_directory
        .into_iter()
        .chain(env::split_paths(&search_path))
        .map(|directory| directory.join(&file))
        .find(|path| path.is_file())
        .with_context(|| {
            format!("--lab needs the program {name}, next to rtt-client or in a directory of PATH")
        })
}
