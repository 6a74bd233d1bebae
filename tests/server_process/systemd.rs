//! Tests of the units in `dist/systemd`: their bounds agree with the server, and systemd accepts them.

#[path = "../systemd_units.rs"]
mod systemd_units;

use super::super::SERVER;
use super::process::RunningServer;
use std::path::PathBuf;
use std::process::Command;
use systemd_units::Unit;

/// Maximum exposure that `systemd-analyze security` reports, from 0 (isolated) to 100. The units have 11 with systemd
/// 252. An open sandbox has more than 90.
const MAX_EXPOSURE: u32 = 20;

/// The directory of the programs in the units.
const INSTALLED: &str = "/usr/local/bin/";

/// A unit of the server under test. `kind` is `service` or `socket`.
fn unit(kind: &str) -> Unit {
    Unit::read(&format!("{}.{kind}", SERVER.name))
}

#[test]
fn units_permit_loopback_addresses_only() {
    for unit in [unit("service"), unit("socket")] {
        assert_eq!(unit.value("IPAddressDeny"), "any");
        assert_eq!(unit.value("IPAddressAllow"), "localhost");
    }
    assert_eq!(unit("service").value("SocketBindDeny"), "any");
    assert!(unit("service").values("SocketBindAllow").is_empty());
}

#[test]
fn unit_restarts_a_server_that_fails_or_hangs() {
    let unit = unit("service");
    assert_eq!(unit.value("Type"), "notify");
    assert_eq!(unit.value("Restart"), "on-failure");
    // The heartbeat needs passes of each worker within three quarters of this time. A worker of an idle server
    // has one at each check.
    let watchdog: u32 = unit.value("WatchdogSec").parse().unwrap();
    assert!((5..=60).contains(&watchdog), "{watchdog}");
}

#[test]
fn unit_bounds_the_threads_and_the_cpus() {
    let unit = unit("service");
    // The socket unit has two sockets too.
    let mut server = RunningServer::start(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
    (SERVER.exchange)(&server.address.clone(), "hello");
    let second = server.read_address();
    (SERVER.exchange)(&second, "hello");
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process.id())).unwrap();
    let threads = tasks.count();
    let text = format!("# The server has {threads} threads: ");
    assert!(unit.text.contains(&text), "{text}: {}", unit.text);
    let limit: usize = unit.value("TasksMax").parse().unwrap();
    assert!(threads <= limit && limit <= 4 * threads, "{threads} threads, TasksMax={limit}");
    assert_eq!(unit.value("CPUQuota"), "200%");
    assert_eq!(unit.value("CPUWeight"), "50");
}

/// Runs `systemd-analyze` for copies of the units that contain the path of the server under test. Prints SKIPPED if the
/// program is not installed.
#[test]
fn systemd_accepts_the_units_and_reports_a_low_exposure() {
    let directory = copies();
    let path = |kind: &str| directory.join(format!("{}.{kind}", SERVER.name));
    let analyze = |arguments: &[&str], paths: &[PathBuf]| {
        Command::new("systemd-analyze").args(arguments).args(paths).output()
    };
    match analyze(&["verify"], &[path("service"), path("socket")]) {
        Err(error) => eprintln!("SKIPPED: cannot run systemd-analyze: {error}"),
        Ok(verified) => {
            let text = String::from_utf8_lossy(&verified.stderr);
            assert!(verified.status.success(), "{text}");
            // Other units of the machine can cause warnings.
            assert!(!text.contains(SERVER.name), "{text}");
            let threshold = format!("--threshold={MAX_EXPOSURE}");
            let arguments = ["security", "--offline=true", "--no-pager", &threshold];
            let security = analyze(&arguments, &[path("service")]).unwrap();
            let text = String::from_utf8_lossy(&security.stdout);
            assert!(
                security.status.success(),
                "{text}{}",
                String::from_utf8_lossy(&security.stderr)
            );
        }
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// Writes copies of the units to a new directory.
fn copies() -> PathBuf {
    let name = format!("{}-units-{}", SERVER.name, std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for kind in ["service", "socket"] {
        let installed = format!("{INSTALLED}{}", SERVER.name);
        let text = unit(kind).text.replace(&installed, SERVER.path);
        std::fs::write(directory.join(format!("{}.{kind}", SERVER.name)), text).unwrap();
    }
    directory
}
