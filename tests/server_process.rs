//! Tests of the programs `udp-echo` and `tcp-echo`. The file `tests/process.rs` of each program includes this file, and
//! defines the server under test in the constant `SERVER`.

#[path = "textbook/python.rs"]
mod python;

#[cfg(all(target_os = "linux", not(portable)))]
#[path = "server_process/namespace.rs"]
mod namespace;
#[path = "server_process/process.rs"]
mod process;
#[cfg(all(target_os = "linux", not(portable)))]
#[path = "server_process/restrictions.rs"]
pub mod restrictions;
#[cfg(all(unix, not(portable)))]
#[path = "shell.rs"]
pub mod shell;
#[cfg(all(target_os = "linux", not(portable)))]
#[path = "server_process/systemd.rs"]
mod systemd;
#[cfg(all(unix, not(portable)))]
#[path = "server_process/unix.rs"]
pub mod unix;

#[cfg(all(unix, not(portable)))]
#[allow(unused_imports, reason = "only the tests of udp-echo use this function")]
pub use process::send_signal;
pub use process::{RunningServer, ServerBinary};

use super::SERVER;
use process::{has_ipv6, run};

#[cfg(unix)]
#[test]
fn sigint_and_sigterm_stop_the_server_with_totals_and_status_0() {
    let signals: &[&str] = if cfg!(portable) { &["INT"] } else { &["INT", "TERM"] };
    for signal in signals {
        let server = RunningServer::start(&["--listen", "127.0.0.1:0"]);
        server.signal(signal);
        let (status, out, err) = server.wait_with_output();
        assert_eq!(status, Some(0), "{signal}: {err}");
        assert_eq!(out, "", "stdout contains only one line for each socket");
        assert!(err.contains("answered=0"), "the totals are on stderr: {err}");
        assert!(!err.contains("WARN"), "a loopback address causes no warning: {err}");
        assert!(!err.contains('\x1b'), "no colours without a terminal: {err:?}");
    }
}

#[test]
fn start_event_has_a_field_for_each_active_limit() {
    let start_event = |options: &[&str]| {
        let mut server = RunningServer::start(&[&["--listen", "127.0.0.1:0"], options].concat());
        let line = server.log_lines()();
        let (_, fields) = line.split_once(" serving ").expect(&line);
        fields.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut fields = start_event(&[]);
    // These limits depend on the descriptor limit of this machine, or on its system.
    fields.retain(|field| {
        let (name, _) = field.split_once('=').unwrap();
        !SERVER.limits_of_this_machine.contains(&name)
    });
    assert_eq!(fields[0], format!("version={:?}", env!("CARGO_PKG_VERSION")));
    assert_eq!(fields[1..], *SERVER.default_limits);

    let options = ["--rate=123", "--allow=127.0.0.0/8", "--allow=::1", "--busy-poll=50us"];
    let fields = start_event(&options);
    for limit in [
        "rate_per_source=123",
        "rate_per_loopback_source=123",
        "allow=127.0.0.0/8,::1/128",
        "busy_poll_us=50",
    ] {
        assert!(fields.iter().any(|field| field == limit), "{limit}: {fields:?}");
    }
}

#[test]
fn each_socket_has_one_line_on_stdout_with_its_real_port() {
    let mut server = RunningServer::start(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    let addresses = [server.address.clone(), server.read_address()];
    assert_ne!(addresses[0], addresses[1]);
    for address in &addresses {
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
        (SERVER.exchange)(address, "hello");
    }
}

#[test]
fn json_log_has_one_object_per_line() {
    let mut server = RunningServer::start(&[
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--show-messages",
    ]);
    (SERVER.exchange)(&server.address, "say \"hello\"\n");
    let mut next_line = server.log_lines();
    let start_event = next_line();
    for field in [r#""rate_per_source":10000,"#, r#""rate_per_loopback_source":"unlimited""#] {
        assert!(start_event.contains(field), "{field}: {start_event}");
    }
    let mut line = next_line();
    while !line.contains("peer") {
        line = next_line();
    }
    for part in [
        r#"{"timestamp":""#,
        r#""level":"INFO""#,
        // The peer's text is in a separate field, so it cannot imitate a message of the server.
        r#""fields":{"message":"request""#,
        r#""text":"say \""#,
        r#""peer":"127.0.0.1:"#,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(line.ends_with("}\n"), "{line}");
}

#[test]
fn help_explains_every_limit() {
    let (_, help, _) = run(&["--help"]);
    let (_, limits) = help.split_once("\nLimits:\n").expect("a heading");
    for option in SERVER.limit_options {
        let (_, explanation) = limits.split_once(&format!("{option} <")).expect(option);
        assert!(explanation.split("\n\n").next().unwrap().len() > 40, "{option}: {explanation}");
    }
}

#[cfg(unix)]
#[test]
fn help_explains_every_counter_of_the_totals() {
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
fn unread_or_closed_log_does_not_stop_the_server() {
    for is_closed in [true, false] {
        let mut server = RunningServer::start(&["--listen", "127.0.0.1:0", "--show-messages"]);
        if is_closed {
            server.stderr = None;
        }
        // The log of these requests does not fit into the buffer of a pipe.
        for number in 0..1500 {
            (SERVER.exchange)(&server.address, &format!("request {number} {}", "x".repeat(100)));
        }
        server.signal("INT");
        assert_eq!(server.process.wait().unwrap().code(), Some(0), "is_closed: {is_closed}");
    }
}

#[test]
fn address_in_use_is_reported_in_one_line_with_status_2() {
    let first = RunningServer::start(&["--listen", "127.0.0.1:0"]);
    let (status, out, err) = run(&["--listen", &first.address]);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(&first.address) && err.contains("in use"), "{err}");
}

#[test]
fn invalid_argument_is_reported_by_clap_with_status_2() {
    for arguments in [&["--listen", "nonsense"][..], &["--listen"], &["--frobnicate"], &["x"]] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        // The first line contains the error and the argument. The next lines are clap's hints.
        let first_line = err.lines().next().unwrap();
        assert!(first_line.starts_with("error: ") && first_line.contains(arguments[0]), "{err}");
        assert!(err.contains("try '--help'"), "{err}");
    }
    let (_, _, err) = run(&["--workrs", "2"]);
    assert!(err.contains("a similar argument exists: '--workers'"), "{err}");
}

#[test]
fn only_an_address_that_other_hosts_can_reach_causes_a_warning() {
    let mut server = RunningServer::start(&["--listen", "0.0.0.0:0", "--listen", "127.0.0.1:0"]);
    assert!(server.address.starts_with("0.0.0.0:") && !server.address.ends_with(":0"));
    let mut next_line = server.log_lines();
    let warning = next_line();
    assert!(warning.contains(" WARN ") && warning.contains("other hosts can reach"), "{warning}");
    let address = format!("address={}", server.address);
    assert!(warning.split_whitespace().any(|field| field == address), "{address}: {warning}");
    let start_event = next_line();
    assert!(start_event.contains(" serving version="), "{start_event}");
}

#[test]
fn help_contains_the_default_address_and_fits_in_80_columns() {
    let (status, out, _) = run(&["--help"]);
    assert_eq!(status, Some(0));
    assert!(out.contains(&format!("127.0.0.1:{}", SERVER.default_port)), "{out}");
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn textbook_client_receives_replies_and_the_log_escapes_control_characters() {
    let script = format!("{}_client.py", SERVER.name.trim_end_matches("-echo"));
    for host in ["127.0.0.1", "::1"] {
        if host == "::1" && !has_ipv6() {
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
