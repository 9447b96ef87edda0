#!/usr/bin/env python3
"""Tables, a chart and ratio lines of what datapath.py measured.

    report.py SAMPLES.json OUT-DIRECTORY     writes table.md and chart.svg there, prints ratios
"""
import json
import statistics
import sys

# weft first, then what it is measured beside.
ORDER = ["clear", "vxlan", "veth", "docker", "encrypted", "wireguard-go", "nebula", "openvpn", "fastd", "tinc", "weave"]
TITLES = {"clear": "weft, clear", "encrypted": "weft, encrypted", "vxlan": "kernel VXLAN + bridge", "veth": "no encapsulation",
          "docker": "Docker overlay", "weave": "Weave, encrypted"}
# Measure, heading, format.
COLUMNS = [("tcp1", "TCP, 1 stream (Gbit/s)", "{:.2f}"), ("tcp4", "4 streams", "{:.2f}"), ("cpu_per_gb", "CPU s/GB", "{:.2f}"),
           ("udp64", "UDP 64 B (kpps received)", "{:.0f}"), ("loss64", "lost %", "{:.0f}"),
           ("cpu_per_packet64", "CPU ns/packet", "{:.0f}"),
           ("udp1300", "1,300 B (kpps)", "{:.0f}"), ("loss1300", "lost %", "{:.0f}"), ("rtt_p50", "round trip p50 (µs)", "{:.0f}"),
           ("rtt_p99", "p99", "{:.0f}"), ("loaded_p99", "p99 beside bulk", "{:.0f}"), ("resident", "RSS (MB)", "{:.0f}")]
RATIOS = ["tcp1", "tcp4", "udp64", "udp1300", "rtt_p50", "cpu_per_gb", "cpu_per_packet64", "loaded_p99"]
PAIRS = [("clear", peer) for peer in ("vxlan", "docker", "veth")] + [
    ("encrypted", peer) for peer in ("vxlan", "wireguard-go", "nebula", "openvpn", "fastd", "tinc", "weave")]
MODE_TEXT = {"one": "everything on one CPU, bounded window", "split": "a CPU for each host",
             "wire": "a CPU for each host, segments cut before they cross"}


class Samples:
    def __init__(self, values):
        self.values = values
        self.runs = []  # (mode, mtu) in order of appearance.
        for key in values:
            _, mode, mtu, _ = key.split()
            if (mode, int(mtu)) not in self.runs:
                self.runs.append((mode, int(mtu)))

    def of(self, contender, run, measure):
        return self.values.get(f"{contender} {run[0]} {run[1]} {measure}")

    def has(self, contender, run):
        return any(self.of(contender, run, measure) for measure, _, _ in COLUMNS)

    def median(self, contender, run, measure):
        values = self.of(contender, run, measure)
        return statistics.median(values) if values else None


def suffix(run):
    mode, mtu = run
    return ("" if mode == "split" else f"_{mode}") + ("" if mtu == 1500 else f"_{mtu}")


def cell(values, pattern):
    if not values:
        return "–"
    middle = pattern.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({pattern.format(min(values))} … {pattern.format(max(values))})"


def table(samples):
    lines = []
    for run in samples.runs:
        lines += ["", f"MTU {run[1]}, {MODE_TEXT[run[0]]}: medians (least … most)", "",
                  "| | " + " | ".join(heading for _, heading, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
        for contender in ORDER:
            if samples.has(contender, run):
                cells = [cell(samples.of(contender, run, measure), pattern) for measure, _, pattern in COLUMNS]
                lines.append(f"| {TITLES.get(contender, contender)} | " + " | ".join(cells) + " |")
    return "\n".join(lines).lstrip() + "\n"


def ratios(samples):
    for run in samples.runs:
        for subject, peer in PAIRS:
            for measure in RATIOS:
                ours, theirs = samples.median(subject, run, measure), samples.median(peer, run, measure)
                if ours is not None and theirs:
                    yield f"ratio {subject}/{peer} {measure}{suffix(run)} {ours / theirs:.3g}"


def bars(samples, run, measure, heading, left, width):
    """One column of bars, in SVG."""
    rows = [(contender, samples.median(contender, run, measure)) for contender in ORDER]
    rows = [(contender, value) for contender, value in rows if value is not None]
    largest = max((value for _, value in rows), default=0) or 1
    yield f'<text x="{left}" y="22" font-weight="bold">{heading}</text>'
    for index, (contender, value) in enumerate(rows):
        top = 36 + 24 * index
        length = max(1.0, value / largest * (width - 190))
        colour = "#1f6f54" if contender in ("clear", "encrypted") else "#a9b4b0"
        yield f'<text x="{left + 128}" y="{top + 13}" text-anchor="end">{TITLES.get(contender, contender)}</text>'
        yield f'<rect x="{left + 134}" y="{top}" width="{length:.1f}" height="17" fill="{colour}"/>'
        yield f'<text x="{left + 138 + length:.1f}" y="{top + 13}">{value:.3g}</text>'


def chart(samples):
    run = next((run for run in samples.runs if run == ("split", 1500)), samples.runs[0])
    width = 340
    charts = [("tcp1", "TCP, one stream (Gbit/s)"), ("udp64", "UDP 64 B (1,000 packets/s)"), ("rtt_p50", "round trip, median (µs)")]
    height = 44 + 24 * sum(1 for contender in ORDER if samples.has(contender, run))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * len(charts) + 10} {height}" '
             'font-family="sans-serif" font-size="11" fill="#222"><rect width="100%" height="100%" fill="#fff"/>']
    for index, (measure, heading) in enumerate(charts):
        parts += bars(samples, run, measure, heading, 10 + width * index, width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(values, out):
    samples = Samples(values)
    if not samples.runs:
        raise SystemExit("bench datapath: nothing was measured")
    text = table(samples)
    with open(f"{out}/table.md", "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{out}/chart.svg", "w", encoding="utf-8") as file:
        file.write(chart(samples))
    print(text)
    for line in ratios(samples):
        print(line)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="ascii") as given:
        write(json.load(given), sys.argv[2])
