//! `udp-echo`: parse, log, bind, serve, exit.

mod cli;

use cli::Cli;
use echo_service::{Tell as _, announce, log_to_stderr, orders_from_signals, parse, udp_sockets};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli: Cli = match parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
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
    let sockets = udp_sockets(&cli.service, udp_echo::DEFAULT_PORT, udp_echo::prepare)?;
    let orders = orders_from_signals().await?;
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
    let totals = udp_echo::serve(sockets, config, orders).await?;
    totals.tell("totals at the end");
    Ok(())
}
