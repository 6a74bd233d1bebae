//! `cargo xtask soak --duration 60s`: honest and hostile clients at both servers together.
//!
//! It fails if an honest client gets a wrong reply or none, if a server's memory grows, or if it keeps
//! descriptors. Over UDP a request may be made again, as every client of UDP must be able to: what does not fit
//! into the kernel's queue beside a flood is lost before a server can know of it. All of it is on loopback, whose addresses are as many sources; the loads are bounded.

mod honest;
mod hostile;

use crate::process::{self, Server, cargo, program};
use anyhow::{Context as _, Result, bail, ensure};
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The servers' limits: low, so that hostile clients reach them and honest ones do not.
const UDP_LIMITS: [&str; 2] = ["--rate", "5000"];
const TCP_LIMITS: [&str; 10] = [
    "--rate",
    "5000",
    "--connections",
    "150",
    "--connections-per-source",
    "40",
    "--idle",
    "1s",
    "--stall",
    "1s",
];

/// How much more memory a server may have at the end than after a quarter of the time, in bytes: the buffers of a
/// UDP socket, 2 MiB, whose pages count once something was received there, and a little.
const GROWTH: u64 = (2 << 20) + (256 << 10);

/// How long after the clients' end the servers have to let go of everything: twice their limits.
const SETTLE: Duration = Duration::from_secs(4);

/// What a client, or several of a kind, did.
#[derive(Debug, Default)]
struct Tally {
    offered: AtomicU64,
    answered: AtomicU64,
    wrong: AtomicU64,
    repeated: AtomicU64,
}

impl Tally {
    fn offer(&self) {
        self.offered.fetch_add(1, Relaxed);
    }

    /// A request got no reply in time, and is made again.
    fn repeat(&self) {
        self.repeated.fetch_add(1, Relaxed);
    }

    fn answer(&self, is_right: bool) {
        self.answered.fetch_add(1, Relaxed);
        self.wrong.fetch_add(u64::from(!is_right), Relaxed);
    }
}

/// A client: whom it asks, from which address, until when.
type Client = fn(SocketAddr, IpAddr, Instant, &Tally);

/// All of them: name, whether it is honest, whether it goes to the TCP server, its own address's last byte, how
/// many there are, and what it does.
const CLIENTS: [(&str, bool, bool, u8, usize, Client); 14] = [
    ("UDP: asks, and asks again", true, false, 1, 2, honest::udp),
    ("UDP: repeats the same capitals", true, false, 2, 1, honest::udp_capitals),
    ("TCP: keeps its connection", true, true, 1, 4, honest::tcp_kept),
    ("TCP: connects each time", true, true, 2, 2, honest::tcp_each),
    ("TCP: long text with growing letters", true, true, 3, 1, honest::tcp_long),
    ("UDP: floods from one source", false, false, 66, 1, hostile::udp_flood),
    ("UDP: a service's and the server's port", false, false, 67, 1, hostile::udp_ports),
    ("UDP: garbage, replies too long", false, false, 68, 1, hostile::udp_garbage),
    ("UDP: gone before its reply", false, false, 69, 1, hostile::udp_gone),
    ("TCP: opens and says nothing", false, true, 70, 1, hostile::tcp_silent),
    ("TCP: sends and never reads", false, true, 71, 2, hostile::tcp_glutton),
    ("TCP: resets at every stage", false, true, 72, 1, hostile::tcp_reset),
    ("TCP: drips a message that never ends", false, true, 73, 2, hostile::tcp_drip),
    ("TCP: asks without end", false, true, 74, 1, hostile::tcp_flood),
];

/// Runs it.
pub(crate) fn run(lasting: &str) -> Result<()> {
    let lasting = duration(lasting)?;
    ensure!(
        cfg!(target_os = "linux"),
        "the soak needs Linux: its many loopback addresses, and /proc"
    );
    println!("Building ...");
    process::run(cargo().args(["build", "--release", "--quiet", "--workspace"]))?;
    let start = |protocol: &str, limits: &[&str]| {
        let mut server = program(&format!("{protocol}-echo"));
        server.args(["--listen", "127.0.0.1:0"]).args(limits);
        Server::start(server.stderr(Stdio::piped()))
    };
    let servers = [start("udp", &UDP_LIMITS)?, start("tcp", &TCP_LIMITS)?];
    let addresses: Vec<SocketAddr> =
        servers.iter().map(|server| server.address.parse()).collect::<Result<_, _>>()?;
    let totals: Vec<_> = servers.iter().map(last_line).collect::<Result<_>>()?;
    let state = || -> Result<Vec<(u64, usize)>> {
        servers.iter().map(|server| Ok((server.own_memory()?, server.descriptors()?))).collect()
    };

    let before = state()?;
    println!("{lasting:?} of honest and hostile clients; 127.0.0.66 to .74 are the hostile ones");
    let until = Instant::now() + lasting;
    let tallies = CLIENTS.map(|_| Tally::default());
    let mut early = Ok(Vec::new());
    let is_watched = std::io::stderr().is_terminal();
    thread::scope(|scope| {
        for ((_, _, is_tcp, host, count, client), tally) in CLIENTS.iter().zip(&tallies) {
            let address = addresses[usize::from(*is_tcp)];
            for _ in 0..*count {
                scope
                    .spawn(move || client(address, IpAddr::from([127, 0, 0, *host]), until, tally));
            }
        }
        thread::sleep(lasting / 4);
        early = state();
        while Instant::now() < until {
            let left = until - Instant::now();
            if is_watched {
                eprint!("\r{:>5} s left ", left.as_secs());
            }
            thread::sleep(left.min(Duration::from_secs(1)));
        }
        if is_watched {
            eprint!("\r{:14}\r", "");
        }
    });
    let early = early?;
    let late = state()?;
    let settled_by = Instant::now() + SETTLE;
    while Instant::now() < settled_by
        && state()?.iter().zip(&before).any(|(now, then)| now.1 > then.1)
    {
        thread::sleep(Duration::from_millis(50));
    }
    let after = state()?;
    let mut breaches = Vec::new();
    tell_clients(&tallies, &mut breaches);
    println!("\n{:<10}{:>46}{:>23}", "", "own memory, KiB", "descriptors");
    println!(
        "{:<10}{:>10}{:>13}{:>10}{:>13}{:>12}{:>11}",
        "", "before", "a quarter on", "at end", "afterwards", "before", "after"
    );
    for (place, name) in ["udp-echo", "tcp-echo"].into_iter().enumerate() {
        let kib = |state: &[(u64, usize)]| state[place].0 / 1024;
        println!(
            "{name:<10}{:>10}{:>13}{:>10}{:>13}{:>12}{:>11}",
            kib(&before),
            kib(&early),
            kib(&late),
            kib(&after),
            before[place].1,
            after[place].1
        );
        if late[place].0 > early[place].0 + GROWTH {
            breaches.push(format!("{name}'s memory grew"));
        }
        if after[place].1 != before[place].1 {
            breaches.push(format!("{name} keeps descriptors"));
        }
    }
    println!(
        "\nLost in the kernel's queue before udp-echo: {}",
        queue_losses(addresses[0].port())?
    );
    println!("\nWhat the servers say:");
    for (server, totals) in servers.into_iter().zip(totals) {
        server.end()?;
        let Ok(line) = totals.join() else { bail!("a thread panicked") };
        println!("{}", wrapped(&line));
    }
    ensure!(breaches.is_empty(), "{}", breaches.join("; "));
    println!(
        "\nsoak: every honest request was answered, all of them right; memory and descriptors held"
    );
    Ok(())
}

fn tell_clients(tallies: &[Tally], breaches: &mut Vec<String>) {
    println!("\n{:<43}{:>10}{:>10}{:>6}{:>9}", "", "offered", "answered", "wrong", "repeated");
    for ((name, is_honest, ..), tally) in CLIENTS.iter().zip(tallies) {
        let counts = [&tally.offered, &tally.answered, &tally.wrong, &tally.repeated];
        let [offered, answered, wrong, repeated] = counts.map(|count| count.load(Relaxed));
        let kind = if *is_honest { "honest " } else { "hostile" };
        println!("{kind} {name:<35}{offered:>10}{answered:>10}{wrong:>6}{repeated:>9}");
        if wrong > 0 {
            breaches.push(format!("{wrong} replies to `{name}` were wrong"));
        }
        if *is_honest && (answered < offered || offered == 0) {
            breaches.push(format!("{} requests of `{name}` got no reply", offered - answered));
        }
    }
}

/// A thread that reads a server's log to its end, and returns its last line: its totals.
fn last_line(server: &Server) -> Result<thread::JoinHandle<String>> {
    let log = BufReader::new(server.stderr().context("a pipe")?);
    Ok(thread::spawn(move || {
        let lines = log.lines().map_while(Result::ok);
        let totals = lines.filter(|line| line.contains("answered"));
        // The time and the level are of no interest here.
        totals
            .last()
            .and_then(|line| Some(line.split_once("INFO ")?.1.to_owned()))
            .unwrap_or_default()
    }))
}

/// How many datagrams for a port of 127.0.0.1 did not fit into its queue (`drops` in /proc/net/udp).
fn queue_losses(port: u16) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/net/udp")?;
    let ours = format!("0100007F:{port:04X}");
    let row = text.lines().find(|row| row.split_whitespace().nth(1) == Some(ours.as_str()));
    let drops = row.and_then(|row| row.split_whitespace().last()).context("the server's socket")?;
    Ok(drops.parse()?)
}

/// A line broken at its commas and semicolons to fit 80 columns.
fn wrapped(line: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        if column + word.trim_end().len() > 76 {
            text.push_str("\n    ");
            column = 4;
        } else if column == 0 {
            text.push_str("  ");
            column = 2;
        }
        text.push_str(word);
        column += word.len();
    }
    text
}

/// A number of seconds or minutes: `60s`, `5m`.
fn duration(text: &str) -> Result<Duration> {
    let number = |suffix| text.strip_suffix(suffix).and_then(|number| number.parse::<u64>().ok());
    let seconds = number('s').or_else(|| Some(number('m')? * 60));
    match seconds {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => bail!("a duration from 1s to 1440m, not {text:?}"),
    }
}
