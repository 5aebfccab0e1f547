"""Benchmark of video jobs: time by factor, time by stage, and memory. Used by table.py."""

import json
import os
import resource
import subprocess
import time


def clip(cache, name, size, frames, rate=25):
    """Renders a clip of moving detail unless it exists, and returns the path."""
    path = cache / f"{name}.mp4"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
                        f"mandelbrot=size={size}:rate={rate}:start_scale=0.5:end_scale=0.05:end_pts=200",
                        "-frames:v", str(frames), "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", path],
                       check=True)
    return path


def factor(folder, verdict):
    """Times all new frames of a pair at factors 2, 4 and 8."""
    for version in ("4.25.lite", "4.26"):
        lines = subprocess.run([folder / "examples" / "factor", "1280x768", version], text=True, capture_output=True,
                               check=True).stdout
        times = {found["factor"]: found["ms"] for found in map(json.loads, lines.splitlines())}
        print(f"\n{version}: " + ", ".join(f"{n}x {ms:.1f} ms, {ms / (n - 1):.1f} a new frame"
                                           for n, ms in times.items()))
        for n in (4, 8):
            verdict(8, f"factor {n} to factor 2, {version}", times[n] / times[2], n)
            print(f"  to {n - 1} times factor 2, for the {n - 1} new frames: {times[n] / times[2] / (n - 1):.2f}")


def spent(command):
    """Returns wall and CPU seconds of a command, including its child processes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def job(folder, cache, verdict, frames=120):
    """Compares a 720p job at factor 2 with its stages run alone."""
    source, result = clip(cache, "720p", "1280x720", frames), cache / "720p-x2.mp4"
    # The minimum of two runs: other load only adds time.
    whole = min(spent([folder / "rife", "video", source, "--factor", "2", "-q", "-y",
                       "--restart", "-o", result]) for _ in range(2))
    few, many = (spent([folder / "rife", "benchmark", "--time", "--size", "1280x720", "--runs", str(runs), "--json"])
                 for runs in (1, frames))
    network = tuple(most - least for least, most in zip(few, many))
    # Transcodes the result, so that the encoder gets the same frames; decoding them costs slightly more than decoding the source.
    coding = min(spent(["ffmpeg", "-v", "error", "-y", "-i", result, "-c:v", "libx264", "-crf", "18", "-preset", "medium",
                        "-f", "null", "-"]) for _ in range(2))
    short = spent([folder / "rife", "video", clip(cache, "720p-short", "1280x720", 2), "--factor", "2", "-q", "-y",
                   "--restart", "-o", result])
    cores = os.cpu_count()
    larger, smaller = sorted((network, coding), reverse=True)
    bound, least = larger[0] + smaller[1] / cores, max(larger[0], (network[1] + coding[1]) / cores)
    print(f"\nrife video, 1280x720, {frames} frames to twice their rate, {cores} cores, seconds")
    print("| | wall | CPU |\n|---|---|---|")
    for name, (wall, cpu) in (("the whole job", whole), ("its network alone", network),
                              ("ffmpeg decoding and encoding alone", coding), ("a job of two frames", short)):
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")
    print(f"the larger alone and the other's share of {cores} cores: {bound:.2f} s; were no core ever idle: {least:.2f} s")
    more, idle = whole[1] - network[1] - coding[1], cores * whole[0] - whole[1]
    print(f"over the latter {whole[0] - least:.2f} s: {more / cores:.2f} s of other work (pictures to and from the video's "
          f"format, pipes, finding cuts), {idle / cores:.2f} s of idle cores (the network alone: "
          f"{network[0] - network[1] / cores:.2f} s)")
    verdict(7, "the whole job to the larger alone and the other's share", whole[0] / bound, 1.08)


def memory_of(command):
    """Returns the peak resident memory of a process in MB, without its children, and a series over time."""
    process, series, peak = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), [], 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                found = dict(line.split(":", 1) for line in status)
            peak = max(peak, int(found["VmHWM"].split()[0]) / 1e3)
            series.append(int(found["VmRSS"].split()[0]) / 1e3)
        except (KeyError, OSError):
            pass  # The process has ended.
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"{command[0]} fails with {process.returncode}")
    return peak, series


def memory(folder, cache, verdict, quick):
    """Measures the resident memory of a job at two sizes, and over many frames."""
    lite = ["--model-version", "4.25.lite", "--random-weights", "-q", "-y", "--restart", "-o"]
    print()
    for name, size, more, limit in (("1080p", "1920x1080", [], 700), ("2160p", "3840x2160", ["--scale", "0.5"], 2000)):
        out = cache / f"{name}-x2.mp4"
        peak, _ = memory_of([folder / "rife", "video", clip(cache, name, size, 8), *more, *lite, out])
        out.unlink()
        verdict(6, f"MB of memory at {size} {' '.join(more)}".rstrip(), peak, limit)
    frames, out = (300 if quick else 1000), cache / "long-x2.mp4"
    peak, series = memory_of([folder / "rife", "video", clip(cache, f"long-{frames}", "320x180", frames), *lite, out])
    out.unlink()
    quarters = [max(series[i * len(series) // 4:(i + 1) * len(series) // 4]) for i in range(4)]
    print(f"{2 * frames} frames at 320x180, most in each quarter of the run: "
          + ", ".join(f"{mb:.0f}" for mb in quarters) + " MB")
    verdict(6, "the last quarter to the second", quarters[3] / quarters[1], 1.05)
