//! Shell scripts that limit the number of descriptors.

/// The same script without the descriptors that the tests inherited, for example from a lock or a job server. With a low
/// limit, they would use descriptors of the program under test.
pub fn without_inherited_descriptors(script: &str) -> String {
    format!("exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; {script}")
}
