"""Runs the client with a name whose addresses change, and with servers that start and stop.

Run the script in a new user, network and mount namespace. Many systems allow this without privileges:

    unshare -Urnm python3 changing_names.py SCENARIO CLIENT ARGUMENT...

SCENARIO is a JSON object:

- "names": for each name, a list of addresses. All addresses of 10.8.0.0/16 are addresses of this host.
- "servers": the addresses whose servers run at the start. Each has a UDP and a TCP server on port 7777. The servers at 0.0.0.0
  receive the requests to all addresses.
- "changes": a list of objects. The key "after" contains the number of an exchange. When the client has printed this exchange
  as JSON, the other keys of the object take effect: "names" replaces all names, "stop" and "start" contain addresses of
  servers.
- "flapping" (optional): a list of objects like "names". The script replaces the names with each of them in turn.
- "dns" (optional): if it is true, a name without an entry in /etc/hosts causes a query to a DNS server that never answers.

The output is one line of JSON: the exit status and the output of the client ("status", "out", "err"), its duration ("seconds"),
the time before and after each change in seconds since 1970 ("changed"), the number of requests to each address ("requests"), and
the number of queries for names ("queries").
"""
import collections
import itertools
import json
import selectors
import socket
import subprocess
import sys
import threading
import time

from namespaces import sh

PORT = 7777
FLAP_INTERVAL = 0.03


def write_names(names):
    """Replaces the content of /etc/hosts. The file is mounted, so it cannot be replaced by another file. A reader sees the old
    content, the new content, or the beginning of the new content."""
    lines = ["127.0.0.1 localhost"]
    lines += [f"{address} {name}" for name, addresses in names.items() for address in addresses]
    with open("/etc/hosts", "r+") as handle:
        content = "\n".join(lines) + "\n"
        handle.write(content)
        handle.truncate(len(content))


def build(names, has_dns):
    sh("mount -t tmpfs tmpfs /run && mkdir /run/etc")
    # On the loopback interface, all addresses of the prefix are local.
    sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up && ip addr add 10.8.0.1/16 dev lo")
    files = {"hosts": "", "nsswitch.conf": f"hosts: files{' dns' if has_dns else ''}\n",
             "resolv.conf": "nameserver 127.0.0.1\n"}
    for file, content in files.items():
        with open(f"/run/etc/{file}", "w") as handle:
            handle.write(content)
        sh(f"touch /etc/{file} 2>/dev/null; mount --bind /run/etc/{file} /etc/{file}")
    write_names(names)


class Server:
    """A UDP and a TCP server at one address. They reply in upper case."""

    def __init__(self, address, requests):
        self.requests = requests
        self.wake, self.wake_reader = socket.socketpair()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind((address, PORT))
        self.listener.bind((address, PORT))
        self.listener.listen()
        self.selector = selectors.DefaultSelector()
        for source, handler in ((self.udp, self.datagram), (self.listener, self.accept), (self.wake_reader, None)):
            self.selector.register(source, selectors.EVENT_READ, handler)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                key.data(key.fileobj)

    def datagram(self, udp):
        request, client = udp.recvfrom(65536)
        self.requests[udp.getsockname()[0]] += 1
        udp.sendto(request.upper(), client)

    def accept(self, listener):
        self.selector.register(listener.accept()[0], selectors.EVENT_READ, self.stream)

    def stream(self, stream):
        try:
            request = stream.recv(65536)
            if request:
                self.requests[stream.getsockname()[0]] += 1
                stream.sendall(request.upper())
                return
        except OSError:
            pass
        self.selector.unregister(stream)
        stream.close()

    def stop(self):
        """Closes all sockets."""
        self.wake.send(b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


class Dns:
    """A DNS server that counts the queries and never answers."""

    def __init__(self):
        self.queries = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            self.socket.recv(4096)
            self.queries += 1


def apply(change, servers, requests):
    """Makes a change. Returns the times before and after it."""
    before = time.time()
    if "names" in change:
        write_names(change["names"])
    for address in change.get("stop", []):
        servers.pop(address).stop()
    for address in change.get("start", []):
        servers[address] = Server(address, requests)
    return [before, time.time()]


def read_output(client, changes, servers, requests):
    """Returns the output of the client and the times of the changes. Each change follows its exchange."""
    lines, changed, pending = [], [], list(changes)
    for line in client.stdout:
        lines.append(line)
        if pending and f'"type":"exchange","seq":{pending[0]["after"]},' in line:
            changed.append(apply(pending.pop(0), servers, requests))
    return "".join(lines), changed


def flap(lists, is_over):
    """Replaces the names with each list in turn."""
    for names in itertools.cycle(lists):
        if is_over.wait(FLAP_INTERVAL):
            return
        write_names(names)


def main():
    scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
    build(scenario["names"], scenario.get("dns", False))
    dns, requests = Dns(), collections.Counter()
    servers = {address: Server(address, requests) for address in scenario.get("servers", [])}
    is_over = threading.Event()
    if "flapping" in scenario:
        threading.Thread(target=flap, args=(scenario["flapping"], is_over), daemon=True).start()
    start = time.monotonic()
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    timer = threading.Timer(60, client.kill)
    timer.start()
    out, changed = read_output(client, scenario.get("changes", []), servers, requests)
    err, status = client.stderr.read(), client.wait()
    seconds = time.monotonic() - start
    timer.cancel()
    is_over.set()
    for server in servers.values():
        server.stop()
    print(json.dumps({"status": status, "out": out, "err": err, "seconds": seconds, "changed": changed,
                      "requests": requests, "queries": dns.queries}))


main()
