"""Runs the client with names that have several addresses. Most of them do not answer.

Run the script in a new user, network and mount namespace. Many systems allow this without privileges:

    unshare -Urnm python3 many_addresses.py SCENARIO CLIENT ARGUMENT...

SCENARIO is a JSON object:

- "names": for each name, a list of addresses in the order in which the client tries them. 10.8.0.0/16 and 2001:db8:8::/48
  are addresses of this host, and a server listens on them. The other addresses are on an interface that drops all packets.
- "silent_resolver" (optional): if it is true, the client uses a DNS server that receives queries and never answers.

The server is a UDP and a TCP server on port 7777. The output is one line of JSON: the exit status and the output of the
client, its duration in seconds, the number of different addresses to which it sent packets, and what reached the server.
"""
import json
import socket
import subprocess
import sys
import threading
import time

from namespaces import sh

PORT = 7777


def build(names, has_silent_resolver):
    """Creates the interfaces, the names and a firewall rule that counts the destinations."""
    sh("mount -t tmpfs tmpfs /run && mkdir /run/etc")
    sh("sysctl -qw net.ipv6.conf.default.accept_dad=0 && ip link set lo up")
    # Without the address resolution (ARP), packets have a link address that no host has, so they are dropped.
    sh("ip link add silent0 arp off type veth peer name silent1 && ip link set silent0 up && ip link set silent1 up")
    sh("ip addr add 10.9.0.1/16 dev silent0 && ip addr add 2001:db8:9::1/64 dev silent0 nodad")
    lines = ["127.0.0.1 localhost"]
    for name, addresses in names.items():
        for address in addresses:
            lines.append(f"{address} {name}")
            if address.startswith("10.8."):
                sh(f"ip addr add {address}/32 dev lo")
            elif address.startswith("2001:db8:8:"):
                sh(f"ip addr add {address}/128 dev lo nodad")
    # The resolver sorts the addresses. With these rules, addresses that do not answer precede the server's addresses.
    rules = ["label ::/0 1", "precedence 2001:db8:9::/64 90", "precedence ::ffff:10.9.0.0/112 80",
             "precedence ::/0 50", "precedence ::ffff:0:0/96 40"]
    source = "dns" if has_silent_resolver else "files"
    files = {"hosts": lines, "gai.conf": rules, "nsswitch.conf": [f"hosts: {source}"],
             "resolv.conf": ["nameserver 127.0.0.1"]}
    for file, content in files.items():
        with open(f"/run/etc/{file}", "w") as handle:
            handle.write("\n".join(content) + "\n")
        sh(f"touch /etc/{file} 2>/dev/null; mount --bind /run/etc/{file} /etc/{file}")
    rules = """table inet count {
        set v4 { type ipv4_addr; flags dynamic; }
        set v6 { type ipv6_addr; flags dynamic; }
        chain output { type filter hook output priority 0;
            th dport 7777 add @v4 { ip daddr }
            th dport 7777 add @v6 { ip6 daddr }
        }
    }"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def destinations():
    """The number of different addresses to which packets were sent."""
    number = 0
    for name in ("v4", "v6"):
        listed = json.loads(subprocess.check_output(["nft", "-j", "list", "set", "inet", "count", name]))
        number += sum(len(item["set"].get("elem", [])) for item in listed["nftables"] if "set" in item)
    return number


def serve(counts):
    """Starts the servers. They reply in upper case."""
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    for listener in (udp, tcp):
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", PORT))
    tcp.listen()

    def datagrams():
        while True:
            request, client = udp.recvfrom(65536)
            counts["requests"] += 1
            udp.sendto(request.upper(), client)

    def connection(stream):
        while request := stream.recv(65536):
            counts["requests"] += 1
            stream.sendall(request.upper())
        stream.close()

    def connections():
        while True:
            stream, _ = tcp.accept()
            counts["connections"] += 1
            threading.Thread(target=connection, args=(stream,), daemon=True).start()

    for loop in (datagrams, connections):
        threading.Thread(target=loop, daemon=True).start()


def main():
    scenario, command = json.loads(sys.argv[1]), sys.argv[2:]
    build(scenario["names"], scenario.get("silent_resolver", False))
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    counts = {"requests": 0, "connections": 0}
    serve(counts)
    start = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    seconds = time.monotonic() - start
    print(json.dumps({"status": result.returncode, "out": result.stdout, "err": result.stderr, "seconds": seconds,
                      "destinations": destinations(), **counts}))


main()
