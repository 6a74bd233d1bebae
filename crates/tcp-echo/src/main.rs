//! `tcp-echo`: parse, log, bind, serve, exit.

mod cli;

use cli::Cli;
use echo_service::{announce, log_to_stderr, parse, shutdown_on_signal, tcp_listeners};
use std::process::ExitCode;
use tokio::net::TcpListener;

fn main() -> ExitCode {
    let cli: Cli = match parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let _written_at_the_end = log_to_stderr(cli.service.verbose);
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
    let shutdown = shutdown_on_signal().await?;
    let listeners = tcp_listeners(&cli.service.listen, tcp_echo::DEFAULT_PORT)?
        .into_iter()
        .map(TcpListener::from_std)
        .collect::<Result<Vec<_>, _>>()?;
    for listener in &listeners {
        announce("tcp-echo", listener.local_addr()?);
    }
    let config = tcp_echo::Config { show_messages: cli.service.show_messages };
    let totals = tcp_echo::serve(listeners, config, shutdown).await;
    tracing::info!("{totals}");
    Ok(())
}
