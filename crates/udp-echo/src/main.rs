//! The program `udp-echo`: parses the command line, opens the log and the sockets, and runs the server.

mod cli;

use anyhow::Context as _;
use cli::Cli;
use echo_service::{
    LogTotals as _, announce, catch_signals, duration_field, exit_code, log_limits, log_to_stderr,
    open_udp_sockets, parse_arguments, runtime,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    match parse_arguments() {
        Ok(cli) => exit_code("udp-echo", run(&cli)),
        Err(status) => status,
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let _log = log_to_stderr(cli.service.verbose, cli.service.log_format)?;
    let runtime = runtime().context("cannot create the tokio runtime")?;
    let sockets = open_udp_sockets(&cli.service, udp_echo::DEFAULT_PORT, udp_echo::prepare)?;
    let signals = catch_signals()?;
    for socket in &sockets[0] {
        let address = socket.local_addr().context("cannot read the local address of a socket")?;
        announce("udp-echo", address);
    }
    let sockets: Vec<_> = sockets.into_iter().flatten().collect();
    log_limits!(
        &cli.service,
        reply_bytes_ipv4 = echo_core::MAX_UDP_PAYLOAD_IPV4,
        reply_bytes_ipv6 = echo_core::MAX_UDP_PAYLOAD_IPV6,
        shutdown_s = duration_field(udp_echo::SHUTDOWN_TIMEOUT),
        max_memory_bytes_per_socket = udp_echo::MAX_MEMORY_PER_SOCKET,
        max_memory_bytes = udp_echo::max_memory(sockets.len()),
    );
    let totals = runtime.block_on(udp_echo::serve(sockets, cli.config(), signals))?;
    totals.log("totals at the end");
    Ok(())
}
