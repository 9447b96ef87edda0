"""What `./run bench datapath` measures: how each contender joins two hosts, and how it is taken away.

Those that carry Ethernet join two containers, the others (layer 3) the two hosts themselves, which
spares them a container's veth pair. Each is started anew in every round.
"""
import os
import subprocess

from hosts import CONTAINER, UNDERLAY, wait_for

ENVIRONMENT = os.environ.get


class Contender:
    encrypts = False
    joins_containers = True
    program = None  # What must be there.

    def missing(self):
        """Why it cannot be measured here, or nothing."""
        if self.program and subprocess.run(["which", self.program], check=False, capture_output=True).returncode:
            return f"no {self.program}"
        return None

    def version(self):
        return ""

    def net(self, _host):
        """The network namespace that its traffic begins and ends in; nothing: the host's."""
        return CONTAINER if self.joins_containers else None

    def address(self, host):
        return host.inner

    def stop(self, hosts):
        for host in hosts:
            host.stop_daemons()
            host.attempt("ip", "netns", "delete", CONTAINER)
            host.attempt("ip", "link", "delete", "kport")
            host.attempt("ip", "link", "delete", "kbridge")


def first_line(*command):
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return (done.stdout.splitlines() or [""])[0]


class Veth(Contender):
    """The bare wire: what is left when nobody encapsulates."""
    name = "veth"
    joins_containers = False

    def start(self, hosts, mtu):
        pass

    def address(self, host):
        return host.address


class Vxlan(Contender):
    """What an operator would build by hand of the kernel's parts."""
    name = "vxlan"

    def start(self, hosts, mtu):
        for host in hosts:
            other = hosts[2 - host.number]
            host.ip(f"""link add kbridge type bridge
link add kvxlan type vxlan id 77 dstport 4790 remote {other.address} dev {UNDERLAY}
link set kvxlan master kbridge up
link set kbridge up""")
            host.plug_container("kbridge", mtu - 50)

    def stop(self, hosts):
        super().stop(hosts)
        for host in hosts:
            host.attempt("ip", "link", "delete", "kvxlan")


class Weft(Contender):
    socket = "/run/weft/weft.sock"
    plugin = "/run/docker/plugins/weft.sock"
    network = f"{1:064x}"
    options = ()

    def start(self, hosts, mtu):
        for host in hosts:
            host.write("/etc/weft-password", "correct horse battery\n", 0o600)
            others = [other.address for other in hosts if other.number < host.number]
            host.start("weft", "agent", "--host", host.address, "--no-dns", "--ui-listen", "off",
                       *self.options, *others)
            wait_for("weft is ready", 20, lambda at=host: at.ask(self.socket, "GET", "/ready"))
        for host in hosts:
            wait_for("the hosts of weft know each other", 20, lambda at=host: self.is_whole(at))
            self.attach(host)

    def is_whole(self, host):
        status = host.ask_json(self.socket, "GET", "/status?format=json")
        return sum(1 for peer in status["router"]["peers"] if peer["reachable"] or peer["self"]) == 2

    def attach(self, host):
        ids = {"NetworkID": self.network, "EndpointID": f"{host.number:064x}"}
        host.ask(self.plugin, "POST", "/NetworkDriver.CreateNetwork",
                 '{"NetworkID":"%s","Options":{},"IPv6Data":[],"IPv4Data":[{"AddressSpace":"weftlocal",'
                 '"Pool":"10.32.77.0/24","Gateway":"10.32.77.254/24"}]}' % self.network)
        mac = host.ask_json(self.plugin, "POST", "/NetworkDriver.CreateEndpoint",
                            ids | {"Options": {}, "Interface": {"Address": f"{host.inner}/24"}})["Interface"]["MacAddress"]
        link = host.ask_json(self.plugin, "POST", "/NetworkDriver.Join",
                             ids | {"SandboxKey": f"/run/netns/{CONTAINER}", "Options": {}})["InterfaceName"]["SrcName"]
        host.ip(f"netns add {CONTAINER}\nlink set {link} netns {CONTAINER} name eth0 address {mac}")
        host.run("ip", "addr", "add", f"{host.inner}/24", "dev", "eth0", net=CONTAINER)
        host.run("ip", "link", "set", "eth0", "up", net=CONTAINER)

    def stop(self, hosts):
        super().stop(hosts)
        for host in hosts:
            host.attempt("weft", "reset")


class WeftClear(Weft):
    name = "clear"


class WeftEncrypted(Weft):
    name = "encrypted"
    encrypts = True
    options = ("--password-file", "/etc/weft-password")


class WireguardGo(Contender):
    name = "wireguard-go"
    encrypts = True
    joins_containers = False
    program = ENVIRONMENT("WEFT_BENCH_WIREGUARD_GO", "wireguard-go")

    def version(self):
        return first_line(self.program, "--version")

    def start(self, hosts, mtu):
        keys = [self.key_pair() for _ in hosts]
        for host in hosts:
            host.start("env", "LOG_LEVEL=error", self.program, "-f", "wg0")
            wait_for("wireguard-go is up", 10, lambda at=host: os.path.exists(at.path("/run/wireguard/wg0.sock")))
            other = hosts[2 - host.number]
            host.run("socat", "-t", "5", "-", "UNIX-CONNECT:/run/wireguard/wg0.sock", given=(
                f"set=1\nprivate_key={keys[host.number - 1][0]}\nlisten_port=51820\n"
                f"public_key={keys[other.number - 1][1]}\nendpoint={other.address}:51820\n"
                "allowed_ip=10.32.77.0/24\n\n"))
            host.ip(f"addr add {host.inner}/24 dev wg0\nlink set wg0 mtu {mtu - 80} up")

    @staticmethod
    def key_pair():
        """Hexadecimal, private and public: the last 32 octets of what OpenSSL writes."""
        private = subprocess.run(["openssl", "genpkey", "-algorithm", "X25519", "-outform", "DER"],
                                 check=True, capture_output=True).stdout
        public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
                                input=private, check=True, capture_output=True).stdout
        return private[-32:].hex(), public[-32:].hex()


class Nebula(Contender):
    name = "nebula"
    encrypts = True
    joins_containers = False
    program = "nebula"

    def version(self):
        return "nebula " + first_line("nebula", "-version").removeprefix("Version: ")

    def start(self, hosts, mtu):
        first = hosts[0]
        first.run("mkdir", "-p", "/etc/nebula")
        first.run("sh", "-c", "cd /etc/nebula && rm -f *.crt *.key && nebula-cert ca -name bench")
        for host in hosts:
            first.run("sh", "-c", f"cd /etc/nebula && nebula-cert sign -name {host.name} -ip {host.inner}/24")
        for host in hosts:
            for file in ("ca.crt", f"{host.name}.crt", f"{host.name}.key"):
                with open(first.path(f"/etc/nebula/{file}"), encoding="ascii") as source:
                    host.write(f"/etc/nebula/{file}", source.read(), 0o600)
            known = "\n".join(f'  "{other.inner}": ["{other.address}:4242"]' for other in hosts if other is not host)
            host.write("/etc/nebula/bench.yml", f"""pki: {{ca: /etc/nebula/ca.crt, cert: /etc/nebula/{host.name}.crt, key: /etc/nebula/{host.name}.key}}
static_host_map:
{known}
lighthouse: {{am_lighthouse: false}}
listen: {{host: {host.address}, port: 4242}}
tun: {{dev: nebula1, mtu: {mtu - 100}}}
logging: {{level: error}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
""")
        for host in hosts:
            host.start("nebula", "-config", "/etc/nebula/bench.yml")


class Tinc(Contender):
    name = "tinc"
    encrypts = True
    program = "tincd"

    def version(self):
        return first_line("tincd", "--version")

    def start(self, hosts, mtu):
        for host in hosts:
            host.run("rm", "-rf", "/etc/tinc")
            host.write("/etc/tinc/bench/tinc.conf", f"Name = {host.name}\nMode = switch\nInterface = tap0\n"
                       + "".join(f"ConnectTo = {other.name}\n" for other in hosts if other is not host))
            host.write(f"/etc/tinc/bench/hosts/{host.name}", f"Address = {host.address}\n")
            host.run("tincd", "-n", "bench", "-K2048", given="\n\n")
        for host in hosts:
            for other in hosts:
                with open(other.path(f"/etc/tinc/bench/hosts/{other.name}"), encoding="ascii") as source:
                    host.write(f"/etc/tinc/bench/hosts/{other.name}", source.read())
        for host in hosts:
            host.start("tincd", "-n", "bench", "-D")
            bridge_tap(host, mtu - 100)


class Fastd(Contender):
    name = "fastd"
    encrypts = True
    program = "fastd"

    def version(self):
        return first_line("fastd", "--version")

    def start(self, hosts, mtu):
        keys = [self.key_pair() for _ in hosts]
        for host in hosts:
            other = hosts[2 - host.number]
            host.write("/etc/fastd.conf", f"""mode tap; interface "tap0"; mtu {mtu - 100}; log level error;
method "salsa2012+umac"; bind {host.address}:10000; secret "{keys[host.number - 1][0]}";
peer "other" {{ key "{keys[other.number - 1][1]}"; remote {other.address}:10000; }}
""", 0o600)
        for host in hosts:
            host.start("fastd", "-c", "/etc/fastd.conf")
            bridge_tap(host, mtu - 100)

    @staticmethod
    def key_pair():
        made = subprocess.run(["fastd", "--generate-key", "--machine-readable"], check=True, text=True,
                              capture_output=True).stdout.strip()
        public = subprocess.run(["fastd", "--show-key", "--machine-readable", "--config", "-"], check=True, text=True,
                                input=f'secret "{made}";', capture_output=True).stdout.strip()
        return made, public


class Openvpn(Contender):
    name = "openvpn"
    encrypts = True
    joins_containers = False
    program = "openvpn"

    def version(self):
        return " ".join(first_line("openvpn", "--version").split()[:2])

    def start(self, hosts, mtu):
        for host in hosts:
            host.run("mkdir", "-p", "/etc/openvpn")
            host.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes",
                     "-days", "2", "-subj", f"/CN={host.name}", "-keyout", "/etc/openvpn/key", "-out", "/etc/openvpn/crt")
        for host in hosts:
            other = hosts[2 - host.number]
            print_of = other.run("openssl", "x509", "-in", "/etc/openvpn/crt", "-noout", "-sha256", "-fingerprint")
            role = ("--tls-server", "--dh", "none") if host.number == 1 else ("--tls-client",)
            host.start("openvpn", "--dev", "tun0", "--proto", "udp", "--local", host.address, "--remote", other.address,
                       "--ifconfig", host.inner, other.inner, "--cert", "/etc/openvpn/crt", "--key", "/etc/openvpn/key",
                       "--peer-fingerprint", print_of.strip().split("=")[1], "--data-ciphers", "AES-256-GCM",
                       "--tun-mtu", str(mtu - 80), "--txqueuelen", "1000", "--verb", "1", *role)


class DockerOverlay(Contender):
    """Swarm's overlay network, in clear as it is by default."""
    name = "docker"

    def address(self, host):
        # The first ones are those of the engines' load balancers.
        return f"10.32.77.{100 + host.number}"

    def missing(self):
        return None if ENVIRONMENT("BENCH_DOCKER") else "the lab has no Docker engines"

    def version(self):
        return first_line("docker", "--version")

    def start(self, hosts, mtu):
        manager, worker = hosts
        manager.run("docker", "swarm", "init", "--advertise-addr", manager.address)
        token = manager.run("docker", "swarm", "join-token", "-q", "worker").strip()
        worker.run("docker", "swarm", "join", "--advertise-addr", worker.address, "--token", token, f"{manager.address}:2377")
        wait_for("both engines are in the swarm", 20,
                 lambda: manager.run("docker", "node", "ls", "--format", "{{.Status}}").count("Ready") == len(hosts))
        manager.run("docker", "network", "create", "-d", "overlay", "--attachable", "--subnet", "10.32.77.0/24", "--gateway", "10.32.77.254",
                    "-o", f"com.docker.network.driver.mtu={mtu - 50}", "bench")
        for host in hosts:
            wait_for("a container on Docker's overlay", 60, lambda at=host: self.run_container(at))
            pid = host.run("docker", "inspect", "-f", "{{.State.Pid}}", "bench").strip()
            host.run("ip", "netns", "attach", CONTAINER, pid)

    def run_container(self, host):
        try:
            host.run("docker", "run", "-d", "--name", "bench", "--network", "bench", "--ip", self.address(host), "--stop-signal",
                     "KILL", "weft-tools", "sleep", "100000")
        except RuntimeError as error:  # The network takes a moment to reach the second host.
            host.attempt("docker", "rm", "-f", "bench")
            raise OSError(str(error)) from error
        return True

    def stop(self, hosts):
        for host in reversed(hosts):
            host.attempt("ip", "netns", "delete", CONTAINER)
            host.attempt("docker", "rm", "-f", "bench")
        hosts[0].attempt("docker", "network", "rm", "bench")
        for host in reversed(hosts):
            host.attempt("docker", "swarm", "leave", "--force")


class Weave(Contender):
    """Weave Net's router, encrypted and so without its kernel path, in whatever version WEFT_BENCH_WEAVER names."""
    name = "weave"
    encrypts = True
    program = ENVIRONMENT("WEFT_BENCH_WEAVER", "")

    def missing(self):
        return None if self.program else "set WEFT_BENCH_WEAVER to a ready build of its router"

    def start(self, hosts, mtu):
        for host in hosts:
            # Kernels without dummy devices have no other device for it to take the bridge's MTU from.
            host.attempt("ip", "link", "add", "dummy0", "type", "veth", "peer", "name", "dummy1")
            others = [other.address for other in hosts if other is not host]
            host.start("env", "-C", "/var/lib", "CHECKPOINT_DISABLE=1", self.program, "--host", host.address,
                       "--nickname", host.name, "--name", f"02:00:00:00:00:{host.number:02x}", "--no-fastdp", "--no-dns",
                       "--docker-api", "", "--token", "", "--ipalloc-range", "10.32.0.0/12", "--mtu", str(mtu - 124),
                       "--db-prefix", "/var/lib/weave-", "--host-root", "/run", "--http-addr", "/run/weave.sock",
                       "--password", "correct horse battery", *others)
        for host in hosts:
            wait_for("Weave's bridge", 20, lambda at=host: os.path.exists(at.path("/sys/class/net/weave")))
            host.plug_container("weave", mtu - 124)
            # As Weave does: it takes frames from the bridge as they are, checksums and all.
            host.run("ethtool", "-K", "eth0", "tx", "off", net=CONTAINER)

    def stop(self, hosts):
        super().stop(hosts)
        for host in hosts:
            host.attempt("sh", "-c", "rm -f /run/weave.sock /var/lib/weave-* /var/lib/restart.sentinel; ip link delete dummy0; "
                                     "ip link delete vethwe-bridge; ip link delete weave; "
                                     "iptables-save | grep -vi weave | iptables-restore")


def bridge_tap(host, mtu):
    wait_for("tap0 is there", 10, lambda: os.path.exists(host.path("/sys/class/net/tap0")))
    host.ip(f"""link set tap0 mtu {mtu} up
link add kbridge mtu {mtu} type bridge
link set tap0 master kbridge
link set kbridge up""")
    host.plug_container("kbridge", mtu)


ALL = [Veth(), Vxlan(), WeftClear(), WeftEncrypted(), WireguardGo(), Nebula(), Openvpn(), Fastd(), Tinc(),
       DockerOverlay(), Weave()]
