"""Time of the convolutions of a pair by kernel family, and percent of the machine's peak. Used by table.py;
`rife info --plan` prints the same layer by layer."""

import json
import subprocess
from collections import defaultdict

from video import clip


def kernels(folder, cache, limits, runs=3):
    """Prints a row for each family and kind of convolution: the sum over its layers of the minimum time of a few runs."""
    source = clip(cache, "720p", "1280x720", 120)
    for version, precision in (("4.25.lite", "f32"), ("4.25.lite", "int8"), ("rife_m", "f32"), ("rife_m", "int8")):
        command = [folder / "rife", "info", "--plan", "--json", "--random-weights", "--model-version", version,
                   "--precision", precision, source]
        found = [subprocess.run(command, text=True, capture_output=True) for _ in range(runs)]
        if any(one.returncode for one in found):
            print(f"left out: {version} in {precision}: {found[0].stderr.strip()}")
            continue
        layers, families = [json.loads(one.stdout)["layers"] for one in found], defaultdict(lambda: [0, 0, 0])
        for same in zip(*layers):
            fastest = min(same, key=lambda layer: layer["ms"])
            family = families[fastest["kernel"], fastest["kind"]]
            family[0] += 1
            family[1] += fastest["ms"]
            family[2] += fastest["ms"] * fastest["gmacs_a_second"] / 1e3
        print(f"\n{version}, {precision}, 1280x720: convolutions by kernel, with the computing of inputs that are not kept\n"
              "| kernel | kind | layers | ms | thousand million multiply-adds | percent of the limit |\n|---|---|---|---|---|---|")
        for (kernel, kind), (count, ms, giga) in sorted(families.items(), key=lambda row: -row[1][1]):
            print(f"| {kernel} | {kind} | {count} | {ms:.1f} | {giga:.2f} | {2e5 * giga / ms / limits['f32']:.0f} |")
