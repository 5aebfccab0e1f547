#!/bin/sh
# Installs the dependencies of rife besides the Rust toolchain: ffmpeg (5.1 or later) with ffprobe.
#
#   tools/setup.sh            ffmpeg
#   tools/setup.sh --tests    also lavapipe, the software Vulkan driver that the GPU engine is tested on, where apt-get exists
set -eu

# Fails if the installed ffmpeg is older than 5.1. Snapshots (N-..., git-...) count as newer.
check_version() {
    version=$("${RIFE_FFMPEG:-ffmpeg}" -version 2>/dev/null | sed -n 's/^ffmpeg version n\{0,1\}\([^ ]*\).*/\1/p' | head -n 1)
    case $version in
        N-* | git-*) return 0 ;;
    esac
    major=${version%%.*}
    rest=${version#*.}
    minor=${rest%%[!0-9]*}
    case $major in
        '' | *[!0-9]*) major=$(printf '%s' "$major" | sed 's/[^0-9].*//') ;;
    esac
    if [ "${major:-0}" -gt 5 ] || { [ "${major:-0}" -eq 5 ] && [ "${minor:-0}" -ge 1 ]; }; then
        return 0
    fi
    echo "ffmpeg is version ${version:-of no readable number}; rife needs 5.1 or later." >&2
    echo "Install a newer one (Debian 12, Ubuntu 23.04 and later have it; static builds: https://ffmpeg.org/download.html)" >&2
    echo "and set RIFE_FFMPEG and RIFE_FFPROBE to its path where it is not the first on PATH." >&2
    return 1
}

root=""
[ "$(id -u)" = 0 ] || root="sudo"
if [ "${1-}" = --tests ] && command -v apt-get >/dev/null 2>&1 && ! dpkg -s mesa-vulkan-drivers >/dev/null 2>&1; then
    echo "no software Vulkan driver for the GPU engine's tests: installing it from the distribution"
    $root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq mesa-vulkan-drivers libvulkan1 >/dev/null
fi
if command -v "${RIFE_FFMPEG:-ffmpeg}" >/dev/null 2>&1 && command -v "${RIFE_FFPROBE:-ffprobe}" >/dev/null 2>&1; then
    check_version
    exit
fi
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
check_version
