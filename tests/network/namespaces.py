"""What both labs need to make namespaces and to work in them."""
import ctypes
import subprocess


def sh(command):
    subprocess.run(command, shell=True, check=True)


def enter(namespace):
    """Moves this process into a namespace that `ip netns` made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as handle:
        if libc.setns(handle.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")
