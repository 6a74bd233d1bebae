//! `udp-echo`: log, bind, serve, exit.

mod cli;

use clap::Parser as _;
use cli::Cli;
use echo_service::{LogTotals as _, announce, catch_signals, log_to_stderr, open_udp_sockets};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _written_at_the_end = log_to_stderr(cli.service.verbose, cli.service.log_format);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp-echo: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(cli: &Cli) -> anyhow::Result<()> {
    let sockets = open_udp_sockets(&cli.service, udp_echo::DEFAULT_PORT, udp_echo::prepare)?;
    let signals = catch_signals().await?;
    for socket in &sockets[0] {
        announce("udp-echo", socket.local_addr()?);
    }
    let sockets = sockets.into_iter().flatten().collect();
    let config = cli.config();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        workers = cli.service.workers,
        ?config,
        "serving"
    );
    let totals = udp_echo::serve(sockets, config, signals).await?;
    totals.log("totals at the end");
    Ok(())
}
