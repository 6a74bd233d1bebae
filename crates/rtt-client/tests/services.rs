//! Measurements of real programs: echo servers, Redis, memcached, web servers, DNS, NTP and SSH servers.
//!
//! Each test starts a program of the system's packages. If the program is missing, the test prints SKIPPED and passes. If
//! `REQUIRE_PROGRAMS` is set, as in CI, the test fails instead.
//!
//! There are two kinds of tests. On 127.0.0.1, they compare counts. On a path with a known delay, an independent tool
//! measures the same server in turns with the client, and the medians agree.
#![cfg(all(target_os = "linux", not(portable)))]

#[path = "services/agreement.rs"]
mod agreement;
#[path = "services/dns.rs"]
mod dns;
#[path = "services/echo.rs"]
mod echo;
#[path = "services/http.rs"]
mod http;
#[path = "services/lab.rs"]
mod lab;
#[path = "services/loopback.rs"]
mod loopback;
#[path = "services/memcached.rs"]
mod memcached;
#[path = "../../../tests/network/namespaces.rs"]
mod namespaces;
#[path = "services/ntp.rs"]
mod ntp;
#[path = "services/program.rs"]
mod program;
#[path = "services/redis.rs"]
mod redis;
#[path = "services/ssh.rs"]
mod ssh;
