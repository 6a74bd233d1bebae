//! The program `tcp-echo`: parses the command line, opens the log and the listeners, and runs the server.

mod cli;

use anyhow::Context as _;
use cli::Cli;
use echo_service::{
    LogTotals as _, announce, catch_signals, duration_field, exit_code, limit_field, log_limits,
    log_to_stderr, open_tcp_listeners, parse_arguments, runtime,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    match parse_arguments() {
        Ok(cli) => exit_code("tcp-echo", run(&cli)),
        Err(status) => status,
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let _log = log_to_stderr(cli.service.verbose, cli.service.log_format)?;
    let runtime = runtime().context("cannot create the tokio runtime")?;
    let listeners = open_tcp_listeners(&cli.service, tcp_echo::DEFAULT_PORT)?;
    let signals = catch_signals()?;
    for listener in &listeners[0] {
        let address =
            listener.local_addr().context("cannot read the local address of a listener")?;
        announce("tcp-echo", address);
    }
    let config = cli.config()?;
    let limits = config.prefix_limits();
    log_limits!(
        &cli.service,
        connections = config.max_connections,
        reserved_connections = tcp_echo::reserved(config.max_connections),
        connections_per_source = limit_field(limits.source.other_hosts),
        connections_per_loopback_source = limit_field(limits.source.loopback),
        connections_per_ipv6_56_network = limit_field(limits.site.other_hosts),
        connections_per_ipv4_24_or_ipv6_48_network = limit_field(limits.network.other_hosts),
        idle_s = duration_field(config.idle_timeout),
        stall_s = duration_field(config.stall_timeout),
        min_transfer_bytes_per_s = tcp_echo::MIN_TRANSFER_RATE,
        shutdown_s = duration_field(tcp_echo::SHUTDOWN_TIMEOUT),
        read_bytes = tcp_echo::READ_SIZE,
        timed_request_bytes = tcp_echo::MAX_TIMED_REQUEST_SIZE,
        receive_buffer_bytes = tcp_echo::RECEIVE_BUFFER,
        send_buffer_bytes = tcp_echo::SEND_BUFFER,
        unsent_bytes = tcp_echo::MAX_UNSENT,
        kernel_bytes_per_connection = tcp_echo::MAX_KERNEL_MEMORY_PER_CONNECTION,
        process_bytes_per_connection = tcp_echo::MAX_PROCESS_MEMORY_PER_CONNECTION,
        max_memory_bytes = tcp_echo::max_memory(config.max_connections),
    );
    let totals = runtime.block_on(tcp_echo::serve(listeners, config, signals))?;
    totals.log("totals at the end");
    Ok(())
}
