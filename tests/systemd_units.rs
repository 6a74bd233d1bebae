//! Reads the systemd units in `dist/systemd`, and checks their memory limit.
#![allow(dead_code, reason = "each test file uses only a part of this module")]

use std::path::Path;

/// A systemd unit.
pub struct Unit {
    pub text: String,
}

impl Unit {
    /// Reads a unit. `name` is the name of its file, for example `tcp-echo.service`.
    pub fn read(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/systemd");
        Self { text: std::fs::read_to_string(directory.join(name)).unwrap() }
    }

    /// All values of a setting.
    pub fn values(&self, setting: &str) -> Vec<&str> {
        let values = self.text.lines().filter_map(|line| line.strip_prefix(setting));
        values.filter_map(|rest| rest.strip_prefix('=')).collect()
    }

    /// The value of a setting that the unit contains once.
    pub fn value(&self, setting: &str) -> &str {
        let values = self.values(setting);
        assert_eq!(values.len(), 1, "{setting}: {values:?}");
        values[0]
    }

    /// The value of a setting that is a size (systemd.resource-control(5)): the suffixes K, M and G are powers of 1024.
    pub fn bytes(&self, setting: &str) -> usize {
        let size = self.value(setting);
        let (number, exponent) = match size.split_at(size.len() - 1) {
            (number, "K") => (number, 1),
            (number, "M") => (number, 2),
            (number, "G") => (number, 3),
            _ => (size, 0),
        };
        number.parse::<usize>().unwrap() * 1024_usize.pow(exponent)
    }

    /// Asserts that the limit `MemoryMax` permits `needed` bytes and little more. `parts` are the texts that the comment
    /// above the limit must contain.
    pub fn check_memory_limit(&self, needed: usize, parts: &[String]) {
        let limit = self.bytes("MemoryMax");
        assert!(limit >= needed, "MemoryMax is {limit}, but {needed} bytes are possible");
        assert!(
            limit <= needed + needed / 4,
            "MemoryMax is {limit}, but only {needed} bytes are possible"
        );
        let (before, _) = self.text.split_once("\nMemoryMax=").unwrap();
        let comment = before.rsplit("\n\n").next().unwrap().replace("\n# ", " ");
        for part in parts {
            assert!(comment.contains(part), "{part}: {comment}");
        }
    }
}
