"""Markdown table of real clips, each run through `rife video` and `rife verify`: declared and decoded frames (ffprobe), and
frames, duration and streams of the result. For checking timelines, not speed.

usage: python tools/clips.py RIFE FOLDER > table.md
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENDS = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".264"}
TAGS = ("color_range", "color_space", "color_transfer", "color_primaries")


def probe(path):
    """Runs ffprobe: first video stream, all streams, format; None without a video stream or after a timeout."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-count_frames", path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None
    found = json.loads(done.stdout or "{}")
    video = next((s for s in found.get("streams", []) if s["codec_type"] == "video"), None)
    return video and {"video": video, "streams": found["streams"], "format": found["format"]}


def kinds(found):
    """Formats the numbers of streams by type, such as `v2 a1`."""
    names = [stream["codec_type"][0] for stream in found["streams"]]
    return " ".join(f"{name}{names.count(name)}" for name in sorted(set(names), reverse=True))


def seconds(found):
    """Formats the declared duration in seconds."""
    return f"{float(found['format']['duration']):.3f}" if "duration" in found["format"] else "unknown"


def lines(text):
    """Parses JSON objects, one per line."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def row(rife, clip, folder):
    """Converts and verifies one clip; returns its cells."""
    before = probe(clip)
    declared = before["video"].get("nb_frames", "-") if before else "-"
    counted = before["video"].get("nb_read_frames", "-") if before else "-"
    own = [declared, counted, seconds(before) if before else "-", kinds(before) if before else "-"]
    out = folder / "out.mkv"
    # A transparent WebM would become VP9, whose encoder has other presets.
    fast = ["--codec", "h264", "--preset", "ultrafast"]
    done = subprocess.run([rife, "video", clip, "-o", out, "--manifest", "--overwrite", "--restart", "--json", *fast],
                          capture_output=True, text=True)
    if done.returncode:
        said = next((e["message"] for e in lines(done.stdout + done.stderr) if e.get("event") == "error"), "failed")
        said = re.sub(r"\[[^\]]*@ 0x[0-9a-f]+\] |; file:.*", "", said.replace(f"{clip.parent}/", "")).replace("|", "/")
        return [*own, f"refused ({done.returncode}): {said[:160].strip()}", *6 * [""]]
    end = lines(done.stdout)[-1]
    after = probe(out)
    checked = lines(subprocess.run([rife, "verify", out, "--json"], capture_output=True, text=True).stdout)[0]
    sync = next((c["found"] for c in checked["checks"] if c["name"] == "sound in sync"), "no audio")
    changed = [t for t in TAGS if before["video"].get(t) not in (None, "unknown", after["video"].get(t))]
    return [*own, str(end["frames_in"]), after["video"]["nb_read_frames"], f"{end['duration_s']:.3f}", sync, kinds(after),
            "kept" if not changed else " ".join(f"{t} {before['video'].get(t)} -> {after['video'].get(t)}" for t in changed),
            "ok" if checked["ok"] else "; ".join(c["name"] for c in checked["checks"] if c["verdict"] == "wrong")]


def main():
    """Runs the command line."""
    rife, source = sys.argv[1], Path(sys.argv[2])
    heads = ["clip", "frames declared", "counted", "s declared", "streams", "frames read", "made", "s", "audio", "streams",
             "colour tags", "verify"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    with tempfile.TemporaryDirectory() as folder:
        for clip in sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDS):
            cells = [str(clip.relative_to(source)), *row(rife, clip, Path(folder))]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
