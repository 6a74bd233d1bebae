//! Pins this process to a CPU.

use anyhow::Result;

/// Keeps this process, and the processes that it starts from now on, on one CPU.
#[cfg(target_os = "linux")]
pub(crate) fn pin(cpu: usize) -> Result<()> {
    use anyhow::Context as _;

    let mut cpus = nix::sched::CpuSet::new();
    cpus.set(cpu)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus)
        .with_context(|| format!("pinning the process to CPU {cpu}"))
}

/// Other systems choose the CPU; the ratios vary more there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_cpu: usize) -> Result<()> {
    Ok(())
}

/// Whether the machine has a second CPU. It does not depend on the CPUs to which this process is pinned.
pub(crate) fn has_two_cpus() -> bool {
    std::path::Path::new("/sys/devices/system/cpu/cpu1").exists()
}
