"""Runs the client on hosts with limits: few ports, a short send queue, refused socket options, a small MTU.

    client (10.9.0.1, fd09::1) -- router (10.9.0.254, fd09::fe) -- server (10.9.1.2 and 10.9.1.3, fd09:1::2 and ::3)

Each host is a network namespace. Run the script in a new user, network and mount namespace. Many systems allow this
without privileges:

    unshare -Urnm python3 local_limits.py SCENARIO UDP-SERVER TCP-SERVER CLIENT

SCENARIO is the name of a function below. It returns the runs of the client. The output is one line of JSON: for each
run the exit status, the events (or the text), and the standard error.
"""
import ctypes
import json
import os
import platform
import socket
import struct
import subprocess
import sys
import threading

from namespaces import enter, sh

SERVER, OTHER = "10.9.1.2", "10.9.1.3"
SERVER6, OTHER6 = "fd09:1::2", "fd09:1::3"
ENOPROTOOPT = 92


def build():
    """Creates the namespaces c (client), r (router) and s (server)."""
    sh("mount -t tmpfs tmpfs /run && mkdir /run/netns")
    for host in ("c", "r", "s"):
        sh(f"ip netns add {host} && ip -n {host} link set lo up")
        for name in ("default", "all"):
            sh(f"ip netns exec {host} sysctl -qw net.ipv6.conf.{name}.accept_dad=0")
    for left, right, subnet in (("c", "r", 0), ("r", "s", 1)):
        sh(f"ip link add {left}{right} netns {left} type veth peer name {right}{left} netns {right}")
        prefix = "fd09::" if subnet == 0 else "fd09:1::"
        for end, other in ((left, right), (right, left)):
            v4, v6 = {"c": ("1", "1"), "r": ("254", "fe"), "s": ("2", "2")}[end]
            sh(f"ip -n {end} addr add 10.9.{subnet}.{v4}/24 dev {end}{other}")
            sh(f"ip -n {end} addr add {prefix}{v6}/64 dev {end}{other} nodad")
            sh(f"ip -n {end} link set {end}{other} up")
    sh("ip -n s addr add 10.9.1.3/24 dev sr && ip -n s addr add fd09:1::3/64 dev sr nodad preferred_lft 0")
    sh("ip netns exec r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    for host, subnet in (("c", 0), ("s", 1)):
        prefix = "fd09::" if subnet == 0 else "fd09:1::"
        sh(f"ip -n {host} route add default via 10.9.{subnet}.254 && ip -n {host} route add default via {prefix}fe")


class Lab:
    """The programs, and the processes that the scenario has started."""

    def __init__(self, udp_server, tcp_server, client):
        self.servers = {"udp": udp_server, "tcp": tcp_server}
        self.client = client
        self.processes = []

    def start(self, protocol, namespace, *addresses):
        """Starts a server of this project."""
        listen = [argument for address in addresses for argument in ("--listen", address)]
        command = ["ip", "netns", "exec", namespace, self.servers[protocol], *listen]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.processes.append(server)
        for _ in addresses:
            server.stdout.readline()

    def run(self, arguments, refuse=()):
        """Runs the client in the namespace c. The system refuses the socket options in `refuse`."""
        is_text = "text" in arguments
        arguments = arguments.split() + ([] if "--format" in arguments else ["--format", "json"])

        def prepare():
            enter("c")
            if refuse:
                refuse_options(refuse)

        result = subprocess.run([self.client, *arguments], preexec_fn=prepare, capture_output=True, text=True,
                                timeout=60)
        events = [] if is_text else [json.loads(line) for line in result.stdout.splitlines()]
        return {"arguments": arguments, "status": result.returncode, "events": events, "out": result.stdout,
                "err": result.stderr}

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def refuse_options(options):
    """Installs a filter for the system calls of this process. `setsockopt` fails with ENOPROTOOPT for each pair of a level
    and an option (seccomp(2))."""
    number = {"x86_64": 54, "aarch64": 208}[platform.machine()]
    load, jump_if_equal, give_back = 0x20, 0x15, 0x06
    allow, error = 0x7FFF0000, 0x00050000 | ENOPROTOOPT
    # In `struct seccomp_data`, the number of the call is at offset 0, and the lower half of argument n at 16 + 8 n.
    program = []
    for level, option in options:
        program += [(load, 0, 0, 0), (jump_if_equal, 0, 5, number), (load, 0, 0, 24), (jump_if_equal, 0, 3, level),
                    (load, 0, 0, 32), (jump_if_equal, 0, 1, option), (give_back, 0, 0, error)]
    program.append((give_back, 0, 0, allow))
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((38, 1, 0, 0, 0), (22, 2, ctypes.addressof(header), 0, 0)):
        if libc.prctl(*map(ctypes.c_ulong, arguments)) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def ports(first, last):
    sh(f'ip netns exec c sysctl -qw net.ipv4.ip_local_port_range="{first} {last}"')


def send_queue(lab):
    """The queueing discipline of the client's interface drops most requests."""
    lab.start("udp", "s", f"{SERVER}:7777")
    sh("ip netns exec c tc qdisc add dev cr root tbf rate 1mbit burst 3000 latency 20ms")
    run = lab.run(f"udp {SERVER}:7777 -c 3000 --rate 1000 -s 200 -W 0.5")
    queue = subprocess.check_output(["ip", "netns", "exec", "c", "tc", "-s", "-j", "qdisc", "show", "dev", "cr"])
    text = lab.run(f"udp {SERVER}:7777 -c 300 --rate 1000 -s 200 -W 0.5 --format text")
    return [{**run, "dropped": json.loads(queue)[0]["drops"]}, text]


def few_ports(lab, bind=""):
    """The client runs out of ports for connections."""
    lab.start("tcp", "s", f"{SERVER}:7777")
    ports(40000, 40099)
    return [lab.run(f"tcp {SERVER}:7777 --connection each -c 300 -i 0 {bind}")]


def few_ports_of_an_address(lab):
    """The client runs out of ports, and the user selects the local address."""
    return few_ports(lab, "-B 10.9.0.1")


def few_ports_for_a_comparison(lab):
    """A comparison has measured its pairs. Then it runs out of ports for new connections."""
    lab.start("tcp", "s", f"{SERVER}:7777", f"{OTHER}:7777")
    ports(40000, 40009)
    return [lab.run(f"compare tcp://{SERVER}:7777 tcp://{OTHER}:7777 -c 20 -i 0")]


def removed_address(lab):
    """The local address that the user selects disappears during the run."""
    lab.start("tcp", "s", f"{SERVER}:7777")
    sh("ip -n c addr add 10.9.0.7/24 dev cr")
    removal = threading.Timer(0.5, lambda: sh("ip -n c addr del 10.9.0.7/24 dev cr"))
    removal.start()
    run = lab.run(f"tcp {SERVER}:7777 --connection each -c 20 -i 0.1 -B 10.9.0.7 -W 0.2")
    removal.join()
    return [run]


def no_address(lab):
    """This host has no address of the target's IP version."""
    sh("ip netns exec c sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
    return [lab.run(f"{protocol} [::1]:7777 hello") for protocol in ("tcp", "udp")]


def one_port(lab):
    """The only port is the target's port. No server listens there."""
    ports(40001, 40001)
    return [lab.run(f"{protocol} 127.0.0.1:40001 HELLO") for protocol in ("tcp", "udp")]


def own_port(lab):
    """The user selects the target's port as the local port."""
    target = "127.0.0.1:40001"
    return [lab.run(f"{protocol} {target} HELLO -B {target}") for protocol in ("tcp", "udp")]


def service_ports(lab):
    """Some ports belong to services, so servers do not reply to them."""
    lab.start("udp", "c", "127.0.0.1:7777")
    ports(24999, 25001)
    runs = [lab.run("udp 127.0.0.1:7777 hello") for _ in range(20)]
    ports(25000, 25000)
    runs.append(lab.run("udp 127.0.0.1:7777 hello"))
    runs.append(lab.run("udp 127.0.0.1:7777 -c 1 -W 0.3 -B 127.0.0.1:25000"))
    return runs


def wrong_settings(lab):
    """Errors before anything is measured."""
    return [lab.run("udp 127.0.0.1:7777 hello -B 192.0.2.1"), lab.run("tcp 127.0.0.1:7777 hello -B 192.0.2.1")]


def small_mtu(lab):
    """The link behind the router has an MTU of 1300 bytes."""
    for host, device in (("r", "rs"), ("s", "sr")):
        sh(f"ip -n {host} link set {device} mtu 1300")
    lab.start("udp", "s", f"{SERVER}:7777", f"[{SERVER6}]:7777", f"{OTHER}:7777", f"[{OTHER6}]:7777")
    # The routers have the link addresses of their neighbours after these exchanges.
    for target in (SERVER, f"[{SERVER6}]", OTHER, f"[{OTHER6}]"):
        assert lab.run(f"udp {target}:7777 hello -W 10")["status"] == 0
    return [lab.run(f"udp {target}:7777 -s 1400 -i 0 -c {count}")
            for count, targets in ((1, (SERVER, f"[{SERVER6}]")), (5, (OTHER, f"[{OTHER6}]"))) for target in targets]


def other_address(lab):
    """The server replies from its first address to requests for its second address."""
    process = os.fork()
    if process == 0:
        enter("s")
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            server = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((address, 7001))

            def serve(server=server):
                while True:
                    request, client = server.recvfrom(65536)
                    server.sendto(b"\0" if request.startswith(b"ignore") else request.upper(), client)

            threading.Thread(target=serve).start()
        return []
    runs = []
    for first, second in ((SERVER, OTHER), (f"[{SERVER6}]", f"[{OTHER6}]")):
        # The server needs time to start.
        while lab.run(f"udp {first}:7001 hello -W 0.2")["status"] != 0:
            pass
        target = f"{second}:7001"
        runs += [lab.run(f"udp {target} hello -W 0.5"), lab.run(f"udp {target} ignore -W 0.5"),
                 lab.run(f"udp {target} -c 1000 --rate 1000 -W 0.5"), lab.run(f"diagnose udp://{target} -W 1"),
                 lab.run(f"udp {target} hello -W 0.5 --format text")]
    os.kill(process, 9)
    os.waitpid(process, 0)
    return runs


# Pairs of a level and an option, from the kernel's headers.
OPTIONS = {
    "SO_TIMESTAMPING": (1, 37), "SO_RCVTIMEO": (1, 20), "SO_SNDTIMEO": (1, 21), "IP_RECVERR": (0, 11),
    "IP_RECVTTL": (0, 12), "TCP_NODELAY": (6, 1),
}


def refused_options(lab):
    """The system refuses optional socket options."""
    for protocol in ("udp", "tcp"):
        lab.start(protocol, "c", "127.0.0.1:7777")
    options = [OPTIONS["SO_TIMESTAMPING"]]
    runs = [lab.run(f"{protocol} 127.0.0.1:7777 -c 5 -i 0 --breakdown", options) for protocol in ("udp", "tcp")]
    runs.append(lab.run("compare udp://127.0.0.1:7777 tcp://127.0.0.1:7777 -c 20 -i 0", options))
    runs += [lab.run(f"{protocol} 127.0.0.1:7777 -c 5 -i 0 --breakdown", OPTIONS.values())
             for protocol in ("udp", "tcp")]
    runs.append(lab.run("udp 127.0.0.1:9999 hello -W 1", [OPTIONS["IP_RECVERR"]]))
    return runs


def main():
    scenario, *programs = sys.argv[1:]
    build()
    lab = Lab(*programs)
    try:
        runs = globals()[scenario](lab)
    finally:
        lab.stop()
    if runs:
        print(json.dumps(runs))


main()
