//! `udp-echo`: parse, log, bind, serve, exit.

mod cli;

use cli::Cli;
use echo_service::{announce, log_to_stderr, parse, shutdown_on_signal, udp_sockets};
use std::process::ExitCode;
use tokio::net::UdpSocket;

fn main() -> ExitCode {
    let cli: Cli = match parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let _written_at_the_end = log_to_stderr(cli.service.verbose);
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
    let shutdown = shutdown_on_signal().await?;
    let sockets = udp_sockets(&cli.service.listen, udp_echo::DEFAULT_PORT)?
        .into_iter()
        .map(UdpSocket::from_std)
        .collect::<Result<Vec<_>, _>>()?;
    for socket in &sockets {
        announce("udp-echo", socket.local_addr()?);
    }
    let config = udp_echo::Config { show_messages: cli.service.show_messages };
    let totals = udp_echo::serve(sockets, config, shutdown).await;
    tracing::info!("{totals}");
    Ok(())
}
