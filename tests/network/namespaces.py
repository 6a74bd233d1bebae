"""Functions of the network labs: run shell commands, and enter a network namespace."""
import ctypes
import subprocess


def sh(command):
    """Runs a shell command. Raises an exception if the command fails."""
    subprocess.run(command, shell=True, check=True)


def enter(namespace):
    """Moves this process into a namespace that `ip netns add` has created."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as handle:
        if libc.setns(handle.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")
