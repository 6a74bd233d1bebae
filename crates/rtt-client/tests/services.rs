//! Measurements of real programs: echo servers, Redis, memcached, web servers, DNS, NTP and SSH servers.
//!
//! Each test starts a program from the system's packages. If the program is missing, the test prints SKIPPED and passes.
//! With `REQUIRE_PROGRAMS`, as in CI, the test fails instead.
//!
//! There are two kinds of tests. The tests on 127.0.0.1 check counts. In the tests on a path with a known delay, the client
//! and an independent tool measure the same server in turns, and their medians agree.
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
#[path = "../../../tests/median.rs"]
mod median;
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
