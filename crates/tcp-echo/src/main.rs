//! `tcp-echo`: log, bind, serve, exit.

mod cli;

use clap::Parser as _;
use cli::Cli;
use echo_service::{LogTotals as _, announce, catch_signals, log_to_stderr, open_tcp_listeners};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _written_at_the_end = log_to_stderr(cli.service.verbose, cli.service.log_format);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tcp-echo: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(cli: &Cli) -> anyhow::Result<()> {
    let listeners = open_tcp_listeners(&cli.service, tcp_echo::DEFAULT_PORT)?;
    let signals = catch_signals().await?;
    for listener in &listeners[0] {
        announce("tcp-echo", listener.local_addr()?);
    }
    let config = cli.config();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        workers = cli.service.workers,
        ?config,
        "serving"
    );
    let totals = tcp_echo::serve(listeners, config, signals).await?;
    totals.log("totals at the end");
    Ok(())
}
