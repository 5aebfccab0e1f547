#!/bin/sh
# Installs what rife needs beside the Rust toolchain: ffmpeg (5.1 or later) with ffprobe.
set -eu
if command -v ffmpeg >/dev/null 2>&1 && command -v ffprobe >/dev/null 2>&1; then
    exit 0
fi
root=""
[ "$(id -u)" = 0 ] || root="sudo"
if command -v apt-get >/dev/null 2>&1; then
    echo "ffmpeg is missing: installing it from the distribution"
    $root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq ffmpeg >/dev/null
elif command -v dnf >/dev/null 2>&1; then
    $root dnf install -y ffmpeg-free
elif command -v pacman >/dev/null 2>&1; then
    $root pacman -S --noconfirm ffmpeg
elif command -v brew >/dev/null 2>&1; then
    brew install ffmpeg
else
    echo "ffmpeg is missing, and no known package manager was found: install ffmpeg 5.1 or later" >&2
    exit 1
fi
