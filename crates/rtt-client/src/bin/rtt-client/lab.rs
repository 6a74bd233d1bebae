//! `trace`: with servers that are there, with servers of one's own in a network of one's own, or from a file.

use crate::cli::TraceArgs;
use crate::process::{report, stop_on_ctrl_c};
use anyhow::{Context as _, Result, bail};
use rtt_client::{PROTOCOLS, Target, enter_lab, read_trace, trace as trace_exchanges};
use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Traces as asked for; returns whether every exchange was answered.
pub(crate) fn trace(args: &TraceArgs) -> Result<bool> {
    let mut report = report(args.measure.format, args.measure.quiet, false);
    if let Some(file) = &args.read {
        let open = File::open(file).with_context(|| file.display().to_string())?;
        read_trace(BufReader::new(open), file, report.as_mut())?;
        return Ok(true);
    }
    // What can't be done is said before anything is started; and a namespace is entered before there are threads.
    args.tracing(&[])?;
    let servers = if args.lab { Some(Servers::start()?) } else { None };
    let targets = servers.as_ref().map_or(&[][..], |servers| &servers.targets);
    let tracing = args.tracing(targets)?;
    let stop = stop_on_ctrl_c()?;
    Ok(trace_exchanges(&tracing, args.write.as_deref(), report.as_mut(), stop)?)
}

/// A server for each protocol, in a network of their own. They end when this is dropped.
struct Servers {
    running: Vec<Child>,
    targets: Vec<Target>,
}

impl Servers {
    fn start() -> Result<Self> {
        let programs: Vec<(&str, PathBuf)> = PROTOCOLS
            .iter()
            .map(|protocol| Ok((protocol.name, program(&format!("{}-echo", protocol.name))?)))
            .collect::<Result<_>>()?;
        enter_lab()?;
        let mut servers = Self { running: Vec::new(), targets: Vec::new() };
        for (protocol, program) in programs {
            let mut command = Command::new(&program);
            command.args(["--listen", "127.0.0.1:0"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child =
                command.spawn().with_context(|| format!("starting {}", program.display()))?;
            let stdout = child.stdout.take();
            servers.running.push(child);
            let mut line = String::new();
            if let Some(stdout) = stdout {
                BufReader::new(stdout).read_line(&mut line)?;
            }
            let Some((_, address)) = line.trim_end().split_once(" listening on ") else {
                bail!("{} did not say where it listens", program.display());
            };
            servers.targets.push(format!("{protocol}://{address}").parse()?);
        }
        Ok(servers)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.running {
            // Both fail where it has ended already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where a server's program is: beside this one, or on the path.
fn program(name: &str) -> Result<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let here = env::current_exe().ok().and_then(|this| Some(this.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_default();
    let found = here.into_iter().chain(env::split_paths(&path));
    let found = found.map(|directory| directory.join(&file)).find(|program| program.is_file());
    found.with_context(|| format!("--lab needs {name} beside this program or on the path"))
}
