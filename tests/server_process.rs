//! Tests that both servers must pass as processes. The crate that includes this file defines the server under test as
//! `SERVER`.

#[path = "textbook/python.rs"]
mod python;

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "network/namespaces.rs"]
mod namespaces;

#[path = "server_process/process.rs"]
mod process;

#[cfg(unix)]
pub use process::send_signal;
#[cfg(all(unix, not(portable)))]
pub use process::start_with_passed_socket;
pub use process::{RunningServer, ServerBinary};

use super::SERVER;
use process::{announced_address, command, run};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

#[cfg(unix)]
#[test]
fn sigint_and_sigterm_end_the_server_with_totals_and_status_0() {
    let signals: &[&str] = if cfg!(portable) { &["INT"] } else { &["INT", "TERM"] };
    for signal in signals {
        let server = RunningServer::start(&["--listen", "127.0.0.1:0"]);
        server.signal(signal);
        let (status, out, err) = server.wait_with_output();
        assert_eq!(status, Some(0), "{signal}: {err}");
        assert_eq!(out, "", "stdout contains only one line for each socket");
        assert!(err.contains("answered=0"), "the totals are on stderr: {err}");
        assert!(!err.contains('\x1b'), "no colours without a terminal: {err:?}");
    }
}

#[cfg(all(unix, not(portable)))]
#[test]
fn sigusr1_logs_the_totals_and_sighup_does_not_end_the_server() {
    let mut server = RunningServer::start(&["--listen", "127.0.0.1:0"]);
    (SERVER.exchange)(&server.address, "hello");
    let mut next_line = server.log_lines();
    assert!(next_line().contains("serving version="));
    server.signal("HUP");
    assert!(next_line().contains("SIGHUP"));
    server.signal("USR1");
    let totals = next_line();
    assert!(totals.contains("totals so far") && !totals.contains("answered=0"), "{totals}");
    (SERVER.exchange)(&server.address, "still there");
}

#[test]
fn the_start_event_shows_every_limit_in_force_as_a_field() {
    let start_event = |arguments: &[&str]| {
        let mut server = RunningServer::start(arguments);
        let line = server.log_lines()();
        assert!(line.contains("serving version="), "{line}");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let fields = start_event(&["--listen", "127.0.0.1:0"]);
    for limit in SERVER.default_limits {
        assert!(fields.iter().any(|field| field == limit), "{limit}: {fields:?}");
    }
    let fields =
        start_event(&["--listen", "127.0.0.1:0", "--rate", "123", "--allow", "127.0.0.0/8"]);
    for limit in ["rate_per_source=123", "rate_per_loopback_source=123", "allow=127.0.0.0/8"] {
        assert!(fields.iter().any(|field| field == limit), "{limit}: {fields:?}");
    }
}

#[test]
fn each_socket_has_one_line_on_stdout_with_its_real_port() {
    let mut server = RunningServer::start(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let mut line = String::new();
    server.stdout.read_line(&mut line).unwrap();
    let addresses = [server.address.clone(), announced_address(&line)];
    assert_ne!(addresses[0], addresses[1]);
    for address in &addresses {
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
        (SERVER.exchange)(address, "hello");
    }
}

#[test]
fn the_json_log_has_one_object_per_line() {
    let mut server = RunningServer::start(&[
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--show-messages",
    ]);
    (SERVER.exchange)(&server.address, "say \"hello\"\n");
    let mut next_line = server.log_lines();
    let mut line = next_line();
    while !line.contains("peer") {
        line = next_line();
    }
    for part in [
        r#"{"timestamp":""#,
        r#""level":"INFO""#,
        r#""fields":{"message":""#,
        r#""peer":"127.0.0.1:"#,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(line.ends_with("}\n"), "{line}");
}

#[cfg(all(unix, not(portable)))]
#[test]
fn a_passed_socket_is_served_and_stays_usable_for_the_next_process() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let is_udp = SERVER.name.starts_with("udp");
    let address = if is_udp { udp.local_addr() } else { tcp.local_addr() }.unwrap().to_string();
    // Two processes, one after the other: the end of the first one must not shut down the supervisor's socket.
    for _ in 0..2 {
        let (mut server, line) = if is_udp {
            start_with_passed_socket(udp.try_clone().unwrap(), "1")
        } else {
            start_with_passed_socket(tcp.try_clone().unwrap(), "1")
        };
        assert_eq!(line, format!("{} listening on {address}\n", SERVER.name));
        (SERVER.exchange)(&address, "hello");
        send_signal(&server, "TERM");
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
    let (mut server, line) = if is_udp {
        start_with_passed_socket(tcp, "1")
    } else {
        start_with_passed_socket(udp, "1")
    };
    assert_eq!((line.as_str(), server.wait().unwrap().code()), ("", Some(2)));
    let mut error = String::new();
    server.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("supervisor") && error.lines().count() == 1, "{error}");
}

#[cfg(all(unix, not(portable)))]
#[test]
fn the_supervisor_is_notified_of_start_and_shutdown() {
    let directory = std::env::temp_dir().join(format!("{}-{}", SERVER.name, std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("notify");
    let supervisor = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let mut server = command(&["--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let receive = || {
        let mut text = [0; 100];
        let length = supervisor.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let ready = receive();
    send_signal(&server, "TERM");
    let stopping = receive();
    let status = server.wait().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    assert_eq!((ready.trim(), stopping.trim(), status.code()), ("READY=1", "STOPPING=1", Some(0)));
}

#[test]
fn the_help_explains_every_limit() {
    let (_, help, _) = run(&["--help"]);
    let (_, limits) = help.split_once("\nLimits:\n").expect("a heading");
    for option in SERVER.limit_options {
        let (_, explanation) = limits.split_once(&format!("{option} <")).expect(option);
        assert!(explanation.split("\n\n").next().unwrap().len() > 40, "{option}: {explanation}");
    }
}

#[cfg(unix)]
#[test]
fn the_help_explains_every_counter_of_the_totals() {
    let server = RunningServer::start(&["--listen", "127.0.0.1:0"]);
    server.signal("INT");
    let (_, _, log) = server.wait_with_output();
    let totals = log.lines().find(|line| line.contains("totals at the end")).expect("the totals");
    let counters = totals.split_whitespace().filter_map(|field| field.split_once('='));
    let counters: Vec<_> = counters.map(|(counter, _)| counter).collect();
    assert!(counters.len() > 5, "{totals}");
    let (_, help, _) = run(&["--help"]);
    let (_, explanations) = help.split_once("\nCounters in the totals:\n").expect("a heading");
    for counter in counters {
        let (_, explanation) = explanations.split_once(&format!("  {counter}\n")).expect(counter);
        assert!(
            explanation.split("\n\n").next().unwrap().trim().len() > 20,
            "{counter}: {explanation}"
        );
    }
}

#[cfg(unix)]
#[test]
fn an_unread_or_closed_log_does_not_stop_the_server() {
    for is_closed in [true, false] {
        let mut server = RunningServer::start(&["--listen", "127.0.0.1:0", "--show-messages"]);
        if is_closed {
            server.stderr = None;
        }
        // More lines than fit into the buffer of a pipe.
        for number in 0..1500 {
            (SERVER.exchange)(&server.address, &format!("request {number} {}", "x".repeat(100)));
        }
        server.signal("INT");
        assert_eq!(server.process.wait().unwrap().code(), Some(0), "is_closed: {is_closed}");
    }
}

#[test]
fn an_address_in_use_is_reported_in_one_line_with_status_2() {
    let first = RunningServer::start(&["--listen", "127.0.0.1:0"]);
    let (status, out, err) = run(&["--listen", &first.address]);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&first.address) && err.contains("in use"), "{err}");
}

#[test]
fn a_bad_argument_is_reported_by_clap_with_status_2() {
    for arguments in [&["--listen", "nonsense"][..], &["--listen"], &["--frobnicate"], &["x"]] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        // The first line contains the error and its location. clap's hints follow.
        let first_line = err.lines().next().unwrap();
        assert!(first_line.starts_with("error: ") && first_line.contains(arguments[0]), "{err}");
        assert!(err.contains("try '--help'"), "{err}");
    }
    let (_, _, err) = run(&["--workrs", "2"]);
    assert!(err.contains("a similar argument exists: '--workers'"), "{err}");
}

#[test]
fn an_address_that_other_hosts_can_reach_is_reported_at_the_start() {
    let mut server = RunningServer::start(&["--listen", "0.0.0.0:0"]);
    assert!(server.address.starts_with("0.0.0.0:"));
    let line = server.log_lines()();
    assert!(line.contains("other hosts can reach"), "{line}");
}

/// Starts the server in a network namespace in which the loopback interface has a link-local address.
#[cfg(all(target_os = "linux", not(portable)))]
#[test]
fn a_link_local_address_with_a_zone_is_accepted() {
    if !namespaces::is_possible("true") {
        return;
    }
    let script = "ip link set lo up; ip address add fe80::1/64 dev lo nodad; exec \"$0\" \"$@\"";
    for zone in ["lo", "1"] {
        let mut server = Command::new("unshare")
            .args(["-Urn", "sh", "-c", script, SERVER.path, "--listen"])
            .arg(format!("[fe80::1%{zone}]:0"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // The system reports the zone as the number of the interface. The loopback interface has the number 1.
        assert!(announced_address(&line).starts_with("[fe80::1%1]:"), "{line}");
        send_signal(&server, "TERM");
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_help_states_the_default_address_and_fits_in_80_columns() {
    let (status, out, _) = run(&["--help"]);
    assert_eq!(status, Some(0));
    assert!(out.contains(&format!("127.0.0.1:{}", SERVER.default_port)), "{out}");
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_textbook_client_receives_its_replies_and_the_log_escapes_control_characters() {
    let script = format!("{}_client.py", SERVER.name.trim_end_matches("-echo"));
    for host in ["127.0.0.1", "::1"] {
        if host == "::1" && std::net::UdpSocket::bind((host, 0)).is_err() {
            let is_required = std::env::var_os("REQUIRE_IPV6").is_some();
            assert!(!is_required, "REQUIRE_IPV6 is set, but this machine has no IPv6");
            eprintln!("SKIPPED: this machine has no IPv6");
            continue;
        }
        let listen = std::net::SocketAddr::new(host.parse().unwrap(), 0).to_string();
        let server = RunningServer::start(&["--listen", &listen, "--show-messages"]);
        let port = server.address.rsplit(':').next().unwrap().parse().unwrap();
        for (sentence, expected) in [
            ("hello, world", "HELLO, WORLD"),
            ("straße und ŉ", "STRASSE UND ʼN"),
            ("\x1b[31mred", "\x1b[31MRED"),
        ] {
            if let Some(reply) = python::client(&script, host, port, sentence) {
                assert_eq!(String::from_utf8(reply).unwrap(), expected);
            }
        }
        #[cfg(unix)]
        {
            server.signal("INT");
            let (status, _, log) = server.wait_with_output();
            assert_eq!(status, Some(0));
            assert!(!log.contains('\x1b'), "the log contains a control character: {log:?}");
        }
    }
}
