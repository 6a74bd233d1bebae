//! The programs that the tests start: their command lines and their paths.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

/// A server program.
pub struct Server {
    /// The programs that the command uses.
    pub programs: &'static [&'static str],
    /// The command line of a server at this place. It can write files to the directory of the place.
    pub command: fn(&Place) -> Vec<String>,
    pub ready: Ready,
}

/// How a test detects that a server works.
#[derive(Clone, Copy)]
pub enum Ready {
    /// A connection.
    Connect,
    /// A reply to this datagram.
    Reply(&'static [u8]),
}

/// The address of a server, and a directory for its files.
pub struct Place {
    pub ip: &'static str,
    pub port: u16,
    pub directory: Directory,
}

impl Place {
    pub fn new(ip: &'static str, port: u16) -> Self {
        Self { ip, port, directory: Directory::new() }
    }

    /// The path of a file in the directory of the server.
    pub fn path(&self, name: &str) -> String {
        self.directory.0.join(name).to_str().unwrap().to_owned()
    }

    /// Creates a file in the directory of the server, and returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// A new directory. Dropping this value removes the directory.
pub struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("services-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Ignores errors, because `drop` cannot return them.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether all of these programs exist. If not, prints SKIPPED. If `REQUIRE_PROGRAMS` is set, the test fails instead.
pub fn exist(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| find(program).is_none());
    missing.is_none_or(|program| skip(&format!("this machine has no program `{program}`")))
}

/// Whether this process runs as the superuser. If not, prints SKIPPED, or fails, like [`exist`].
pub fn is_superuser() -> bool {
    nix::unistd::geteuid().is_root() || skip("only the superuser can start the server")
}

fn skip(reason: &str) -> bool {
    assert!(env::var_os("REQUIRE_PROGRAMS").is_none(), "REQUIRE_PROGRAMS is set, but {reason}");
    eprintln!("SKIPPED: {reason}");
    false
}

/// The path of an existing program.
pub fn path(program: &str) -> String {
    find(program).unwrap().to_str().unwrap().to_owned()
}

/// Also searches the directories of servers, because `PATH` often contains them for the superuser only.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories =
        env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|path| Path::is_file(path))
}

/// The arguments of a command.
pub fn arguments<const N: usize>(arguments: [&str; N]) -> Vec<String> {
    arguments.map(str::to_owned).to_vec()
}
