"""Makes the files of the fuzz targets' corpus that other programs' encoders write: pictures and containers, by ffmpeg. Those of
rife's own formats are written by `cargo test -p rife --test fuzz write -- --ignored`; texts were typed.

usage: python3 fuzz/make_corpus.py
"""

import subprocess
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
SOURCE = "testsrc2=size=16x16:rate=25:duration=0.12"

PICTURES = {
    "gray.jpg": "-pix_fmt gray -c:v mjpeg",
    "yuv420.jpg": "-pix_fmt yuvj420p -c:v mjpeg",
    "yuv444_restart.jpg": "-pix_fmt yuvj444p -c:v mjpeg -huffman default -slices 2",
    "lossy.webp": "-c:v libwebp -quality 50",
    "lossless_alpha.webp": "-pix_fmt bgra -c:v libwebp -lossless 1",
    "packbits.tif": "-c:v tiff -compression_algo packbits",
    "lzw.tif": "-c:v tiff -compression_algo lzw",
    "deflate16.tif": "-pix_fmt rgb48le -c:v tiff -compression_algo deflate",
    "zip.exr": "-pix_fmt gbrpf32le -c:v exr -compression zip16 -format half",
    "rle_alpha.exr": "-pix_fmt gbrapf32le -c:v exr -compression rle",
    "plain.gif": "-c:v gif",
}

CONTAINERS = {
    "plain.mp4": "-c:v mpeg4",
    "encrypted.mp4": "-c:v mpeg4 -encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff"
    " -encryption_kid 00112233445566778899aabbccddeeff",
    "fragmented.mp4": "-c:v mpeg4 -movflags +frag_keyframe+empty_moov",
    "plain.mkv": "-c:v mpeg4",
    "plain.avi": "-c:v mpeg4",
    "plain.ts": "-c:v mpeg2video -f mpegts",
    "plain.flv": "-c:v flv",
    "plain.wmv": "-c:v wmv2",
}


def make(path: Path, words: str) -> None:
    """Encodes a few frames of a test pattern into `path`."""
    path.parent.mkdir(exist_ok=True)
    start = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", SOURCE]
    subprocess.run([*start, *words.split(), "-fflags", "+bitexact", "-map_metadata", "-1", path], check=True)


def main() -> None:
    """Makes the files."""
    for name, words in PICTURES.items():
        make(CORPUS / "image" / name, f"-frames:v 1 {words}")
    for name, words in CONTAINERS.items():
        make(CORPUS / "container" / name, words)
    # Files that their own headers call cut off.
    for name in ("plain.mp4", "plain.mkv", "plain.avi", "plain.flv", "plain.wmv"):
        path = CORPUS / "container" / name
        whole = path.read_bytes()
        path.with_stem("cut").write_bytes(whole[: len(whole) * 3 // 4])


main()
