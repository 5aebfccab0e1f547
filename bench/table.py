"""Benchmark of speed and memory: rife by tier and precision compared with other inference engines ("peers"), as ratios and
as percent of the machine's peak. Results are in docs/performance.md.

usage: python bench/table.py [--quick] [--prepare] [--only SECTION ...] [--bin FOLDER]
  --quick    fewer rounds
  --prepare  only what is done once: exports, conversions, quantisation, comparison of outputs with PyTorch's
  --only     limits, networks (or one's version), trunk, kernels, factor, job, memory
  --bin      where `rife` and examples/ are (default: target/release; `cargo build --release -p rife-cli`, and
             `cargo build --release -p rife-cpu -p rife --examples`)

Peers need `pip install -r bench/requirements.txt`; missing or failing ones are skipped with a message. The machine should be
otherwise idle. rife runs before and after every peer, and a ratio is the peer's time divided by the mean of these two runs,
since machines drift; the median of all rounds is printed.
"""

import argparse
import functools
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from kernels import kernels
from video import factor, job, memory

BENCH = Path(__file__).resolve().parent
CACHE = BENCH.parent / "target" / "bench"
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}

# Network: size of the frames.
NETWORKS = {"4.25.lite": "1280x768", "4.26": "1280x768", "rife_m": "1280x736", "default": "1280x768"}
# Chain of convolutions by channels: size, and maximum ratio of our time to the best peer's.
TRUNKS = {90: ("320x180", 0.45), 150: ("160x90", 0.75), 240: ("80x45", 0.9)}
# Name: engine, environment.
PEERS = {"PyTorch": ("pytorch", {}), "PyTorch, channels last": ("channels-last", {}),
         "ONNX Runtime": ("onnxruntime", {}), "OpenVINO": ("openvino", {}), "ncnn": ("ncnn", {}),
         "OpenVINO, held to AVX2": ("openvino", AVX2), "PyTorch, channels last, held to AVX2": ("channels-last", AVX2),
         "OpenVINO int8": ("openvino-int8", {})}
# Name: RIFE_CPU, precision, threads. The first is the base of all ratios.
OURS = {"rife": ("", "f32", 2), "rife, 1 thread": ("", "f32", 1), "rife avx2": ("avx2", "f32", 2),
        "rife int8": ("", "int8", 2), "rife int8, 1 thread": ("", "int8", 1), "rife scalar": ("scalar", "f32", 2)}


class Peer:
    """Process of a peer, which waits for numbers of runs."""

    def __init__(self, name, what, size, *more):
        engine, settings = PEERS[name]
        self.process = subprocess.Popen([sys.executable, BENCH / "peers.py", engine, what, size, "2", *more], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env={**os.environ, **settings})
        self.state = self.answer()

    def answer(self):
        """Reads the next line of JSON, skipping other output of the engine."""
        for line in self.process.stdout:
            if line.startswith(('{"', "[")):
                return json.loads(line)
        return {"skipped": "ended without a word"}

    def time(self, runs, pick=statistics.median):
        """Returns the median of `runs` runs in milliseconds, or another statistic."""
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return pick(self.answer())

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def output(command, **settings):
    """Returns a command's standard output; exits with its last error line if it fails."""
    done = subprocess.run(command, text=True, capture_output=True, env={**os.environ, **settings})
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "failed").splitlines()[-1])
    return done.stdout


class Ours:
    """The rife binary and the examples of its crates."""

    def __init__(self, folder):
        self.folder = folder

    def pair(self, kind, version, size, runs):
        """Returns the milliseconds of a pair."""
        tier, precision, threads = OURS[kind]
        model = [] if version == "default" else ["--model-version", version, "--random-weights"]
        found = output([self.folder / "rife", "benchmark", "--time", "--size", size, "--runs", str(runs), "--json",
                        "--threads", str(threads), "--precision", precision, *model], **({"RIFE_CPU": tier} if tier else {}))
        return json.loads(found)["median_ms"]

    def trunk(self, kind):
        """Returns the milliseconds of each chain by channels."""
        tier, precision, threads = OURS[kind]
        found = output([self.folder / "examples" / "trunk", str(threads), *(["int8"] if precision == "int8" else [])],
                       **({"RIFE_CPU": tier} if tier else {}))
        return {int(c): float(ms) for c, ms in re.findall(r"c=(\d+) .*?: +([\d.]+) ms", found)}

    def limits(self):
        """Returns the machine's peak in billions of operations per second on two threads: f32 and int8; `one`: f32 on one thread."""
        found = json.loads(output([self.folder / "examples" / "limits"]))
        return {"f32": found["f32"][1], "int8": found["int8"][1], "one": found["f32"][0]}


def macs(version, size):
    """Returns the multiply-adds of all convolutions of a pair, without the first picture's features; None without PyTorch."""
    try:
        import networks
        import torch
    except ImportError:
        return None
    if version not in networks.NETWORKS:
        return None
    total, (width, height) = [0], map(int, size.split("x"))

    def count(layer, _, made):
        up = isinstance(layer, torch.nn.ConvTranspose2d)
        total[0] += layer.weight.numel() * (made.shape[2] * made.shape[3] // (4 if up else 1))
    net = networks.build(version)
    images = networks.inputs(net, 256, 256)
    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        net(*images)
    return total[0] / 256 ** 2 * width * height


def prepare():
    """Exports and converts all networks, and compares the peers' outputs with PyTorch's."""
    import networks

    for version in networks.NETWORKS:
        found = networks.check(version)
        print(f"{version}: " + ("skipped: no stored outputs" if found is None else
                                f"within {found:.0e} of the published definition's stored outputs"), flush=True)
    tasks = [(v, s) for v, s in NETWORKS.items() if v != "default"]
    agreement = {}
    for what, size in tasks + [(f"trunk{c}", size) for c, (size, _) in TRUNKS.items()]:
        for name in PEERS:
            if what.startswith("trunk") and name == "OpenVINO int8":
                continue
            peer = Peer(name, what, size, "--prepare")
            peer.close()
            agreement[f"{what} {name}"] = peer.state
            print(f"{what} {name}: {peer.state}", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "agreement.json").write_text(json.dumps(agreement, indent=1))


def agreement(what, name):
    """Returns what `--prepare` recorded about a peer."""
    path = CACHE / "agreement.json"
    return json.loads(path.read_text()).get(f"{what} {name}", {}) if path.exists() else {}


def started(what, name, size):
    """Starts a peer with a network; prints why and returns None if it does not run."""
    off = agreement(what, name).get("difference", 0)
    if off > 1e-3 and "int8" not in name:
        print(f"left out: {name} on {what}: its output is off by {off:.1g}")
        return None
    peer = Peer(name, what, size)
    if "skipped" in peer.state:
        print(f"left out: {name} on {what}: {peer.state['skipped']}")
        peer.close()
        return None
    return peer


def rows_of(rounds, base):
    """Returns the median time and the median ratio to the neighbouring runs of the base, by name."""
    return {name: (statistics.median(ms for ms, _ in found), statistics.median(ms / near for ms, near in found))
            for name, found in rounds.items()} | {base: (statistics.median(b for found in rounds.values()
                                                                           for _, b in found), 1.0)}


def alternate_each(base, other, rounds):
    """Times several networks at once in alternation with the base; both return times by network."""
    found, before = [], base()
    for _ in range(rounds):
        made, after = other(), base()
        found.append((made, {name: (before[name] + after[name]) / 2 for name in before}))
        before = after
    return found


def time_alternating(base, other, rounds):
    """Times `other` in alternation with the base; returns each time with the mean of the base's runs before and after."""
    pairs = alternate_each(lambda: {"": base()}, lambda: {"": other()}, rounds)
    return [(made[""], near[""]) for made, near in pairs]


def table(title, rows, operations, limits):
    """Prints rows, fastest first, with percent of the peak in f32 (for int8 also of the peak in int8)."""
    print(f"\n{title}\n| engine | ms | of rife's | percent of the limit |\n|---|---|---|---|")
    for name, (ms, ratio) in sorted(rows.items(), key=lambda row: row[1][0]):
        percent = "" if operations is None else f"{2e-4 * operations / ms / limits['f32']:.0f}"
        if "1 thread" in name and operations is not None:
            percent = f"{2e-4 * operations / ms / limits['one']:.0f} (of one thread's)"
        if "int8" in name and operations is not None and limits["int8"] and "1 thread" not in name:
            percent += f" ({2e-4 * operations / ms / limits['int8']:.0f} of VNNI's)"
        print(f"| {name} | {ms:.1f} | {ratio:.2f} | {percent} |")


def verdict(point, text, value, limit, above=False):
    """Prints a target, the measured value, and whether it is met."""
    met = value >= limit if above else value <= limit
    print(f"point {point}: {text}: {value:.3g}, asked {'at least' if above else 'at most'} {limit:.3g}: "
          f"{'met' if met else 'MISSED'}")


def networks(ours, limits, quick, only=None):
    """Times complete pairs, one peer at a time, since some need gigabytes."""
    for version, size in NETWORKS.items():
        if only and version not in only:
            continue
        slow, found = version == "rife_m", {}
        runs, rounds = 3 if quick or slow else 5, 1 if quick else {"rife_m": 2, "4.25.lite": 5}.get(version, 3)
        base = functools.partial(ours.pair, "rife", version, size, runs)
        for kind in OURS:
            if kind == "rife" or kind == "rife scalar" and (quick or version != "4.25.lite"):
                continue
            try:
                found[kind] = time_alternating(base, functools.partial(ours.pair, kind, version, size, runs), rounds)
            except RuntimeError as missing:
                # This machine or build does not support the tier or precision.
                print(f"left out: {kind}: {missing}")
        for name in PEERS if version != "default" else ():
            peer = started(version, name, size)
            if peer:
                found[name] = time_alternating(base, functools.partial(peer.time, 2 if slow else 3), rounds)
                peer.close()
        rows = rows_of(found, "rife")
        operations = macs(version, size)
        giga = "" if operations is None else f", {operations / 1e9:.1f} thousand million multiply-adds"
        table(f"{version}, {size}, f32, 2 threads unless said{giga}", rows, operations, limits)
        judge(version, {name: ratio for name, (_, ratio) in rows.items()})


def judge(version, ratio):
    """Checks the targets for a network."""
    least = {"4.25.lite": 5, "4.26": 4, "rife_m": 2.5}.get(version)
    if least and "OpenVINO" in ratio:
        verdict(1 if version == "4.25.lite" else 2, f"OpenVINO to ours, {version}", ratio["OpenVINO"], least, True)
    if version == "4.25.lite" and "PyTorch, channels last" in ratio:
        verdict(1, "PyTorch channels-last to ours", ratio["PyTorch, channels last"], 8, True)
    if version in ("4.25.lite", "rife_m") and "rife int8" in ratio:
        verdict(4, f"int8 to f32, {version}", ratio["rife int8"], 0.6 if version == "4.25.lite" else 0.45)
    if version == "4.25.lite" and {"rife int8", "OpenVINO int8"} <= ratio.keys():
        verdict(4, "OpenVINO int8 to ours", ratio["OpenVINO int8"] / ratio["rife int8"], 2, True)
    if "rife, 1 thread" in ratio:
        verdict(5, f"one thread to two, {version}", ratio["rife, 1 thread"], 1.85, True)
    if {"rife avx2", "OpenVINO, held to AVX2"} <= ratio.keys():
        verdict(5, f"OpenVINO held to AVX2 to our avx2, {version}",
                ratio["OpenVINO, held to AVX2"] / ratio["rife avx2"], 1, True)
    if "rife avx2" in ratio:
        verdict(5, f"the fastest tier to avx2, {version}", 1 / ratio["rife avx2"], 1.05)


def trunk(ours, limits, quick):
    """Times chains of eight convolutions: the minimum of seven runs, as in the example `trunk`."""
    kinds = ("rife int8",) if quick else ("rife, 1 thread", "rife avx2", "rife int8")
    others = {kind: functools.partial(ours.trunk, kind) for kind in kinds}
    peers = [(name, c, started(f"trunk{c}", name, size)) for name in PEERS if "int8" not in name
             for c, (size, _) in TRUNKS.items()]
    for name in PEERS:
        mine = {c: peer for other, c, peer in peers if peer and other == name}
        others[name] = lambda mine=mine: {c: peer.time(7, min) for c, peer in mine.items()}
    found = {c: {} for c in TRUNKS}
    for name, other in others.items():
        for made, near in alternate_each(functools.partial(ours.trunk, "rife"), other, 2 if quick else 3):
            for c, ms in made.items():
                found[c].setdefault(name, []).append((ms, near[c]))
    for _, _, peer in peers:
        if peer:
            peer.close()
    for c, (size, limit) in TRUNKS.items():
        rows = rows_of(found[c], "rife")
        width, height = map(int, size.split("x"))
        table(f"chain of eight convolutions, {c} channels, {size}", rows, 8 * 9 * c * c * width * height, limits)
        best = [ratio for name, (_, ratio) in rows.items() if name in PEERS]
        if best:
            verdict(3, f"ours to the best peer, {c} channels", 1 / min(best), limit)


SECTIONS = ("limits", "networks", "trunk", "kernels", "factor", "job", "memory")


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--only", nargs="+", default=SECTIONS, metavar="SECTION",
                        help=f"{', '.join(SECTIONS)}, or a network's version")
    parser.add_argument("--bin", type=Path, default=BENCH.parent / "target" / "release")
    args = parser.parse_args()
    if args.prepare:
        return prepare()
    ours = Ours(args.bin)
    limits = ours.limits()
    print(f"limits of this machine: {limits['f32']:.0f} GFLOP/s in f32 on two threads ({limits['one']:.0f} on one), "
          f"{limits['int8']:.0f} GOP/s by VNNI")
    some = [name for name in args.only if name in NETWORKS]
    if "networks" in args.only or some:
        networks(ours, limits, args.quick, some)
    for name, section in (("trunk", lambda: trunk(ours, limits, args.quick)),
                          ("kernels", lambda: kernels(args.bin, CACHE, limits)),
                          ("factor", lambda: factor(args.bin, verdict)),
                          ("job", lambda: job(args.bin, CACHE, verdict)),
                          ("memory", lambda: memory(args.bin, CACHE, verdict, args.quick))):
        if name in args.only:
            section()


if __name__ == "__main__":
    main()
