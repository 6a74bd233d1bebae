"""Runs the client in a network of two hosts, and changes the network meanwhile.

    client (10.9.0.1, fd09::1) -- server (10.9.0.2, fd09::2)

Both hosts are network namespaces ("c" and "s"), and a veth pair joins their interfaces c0 and s0. Run this script in new
user, network and mount namespaces. Many systems allow this without privileges:

    unshare -Urnm python3 dead_path.py SCENARIO CLIENT-COMMAND...

SCENARIO is a JSON object with these keys:

- "server": the command of the server. It prints a line when it is ready.
- "before": a shell command that runs before the client.
- "after": [n, command]: a shell command that starts when the client has printed the exchange with number n as JSON.
- "at": [s, command]: a shell command that starts s seconds after the start of the client.

In the commands, `on HOST COMMAND` runs a command on a host, and `rules HOST RULE...` replaces the firewall rules for the
packets that a host receives.

The script prints one line of JSON: "status", "out" and "err" are the exit status and the output of the client.
"changed" is the time at which the command of "after" ended, in seconds since 1970.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from namespaces import enter, sh

FUNCTIONS = """
on() { host=$1; shift; ip netns exec $host "$@"; }
rules() {
    receiver=$1; shift
    { echo 'flush ruleset; table inet lab { chain input { type filter hook input priority 0;'
      for rule; do echo "$rule"; done; echo '}'; echo '}'; } | on $receiver nft -f -
}
"""

NETWORK = """
mount -t tmpfs tmpfs /run; mkdir /run/netns
for host in c s; do
    ip netns add $host; ip -n $host link set lo up
    on $host sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
done
ip link add c0 netns c type veth peer name s0 netns s
ip -n c address add 10.9.0.1/24 dev c0; ip -n c address add fd09::1/64 dev c0
ip -n s address add 10.9.0.2/24 dev s0; ip -n s address add fd09::2/64 dev s0
ip -n c link set c0 up; ip -n s link set s0 up
"""


def run(commands):
    sh(f"set -e\n{FUNCTIONS}{commands}")


def contact_server():
    """Sends a datagram to a closed port over both versions of IP, until the server's host replies. Then both hosts have
    the link address of the other one."""
    enter("c")
    for family, address in ((socket.AF_INET, "10.9.0.2"), (socket.AF_INET6, "fd09::2")):
        probe = socket.socket(family, socket.SOCK_DGRAM)
        probe.settimeout(0.2)
        probe.connect((address, 9))
        while True:
            try:
                probe.send(b"probe")
                probe.recv(1)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                break


def read_output(client, after):
    """Returns the output of the client, and the time at which the command of `after` ended. The command starts when its
    exchange is over."""
    number, command = after or (None, None)
    lines, thread, changed = [], None, []

    def change():
        run(command)
        changed.append(time.time())

    for line in client.stdout:
        lines.append(line)
        if number is not None and thread is None and f'"type":"exchange","seq":{number},' in line:
            # The client's output is read meanwhile, so that the client does not wait.
            thread = threading.Thread(target=change)
            thread.start()
    if thread:
        thread.join()
    # If the command failed, there is no time.
    return "".join(lines), changed[0] if after else None


def main():
    scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
    run(NETWORK)
    child = os.fork()
    if child == 0:
        try:
            contact_server()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    server = subprocess.Popen(["ip", "netns", "exec", "s", *scenario["server"]], stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    run(scenario.get("before", ""))
    client = subprocess.Popen(
        ["ip", "netns", "exec", "c", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    timers = [threading.Timer(60, client.kill)]
    if "at" in scenario:
        seconds, commands = scenario["at"]
        timers.append(threading.Timer(seconds, run, (commands,)))
    for timer in timers:
        timer.start()
    out, changed = read_output(client, scenario.get("after"))
    err, status = client.stderr.read(), client.wait()
    timers[0].cancel()
    for timer in timers:
        timer.join()
    server.send_signal(signal.SIGKILL)
    server.wait()
    print(json.dumps({"status": status, "out": out, "err": err, "changed": changed}))


main()
