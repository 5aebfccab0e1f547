"""Times RIFE 4.25.lite, exported to ONNX from the definition in bench/pytorch.py, in ONNX Runtime and OpenVINO.
Needs `pip install torch onnx onnxruntime openvino`; an engine that is not installed is left out with a word.

usage: python bench/runtimes.py [--size 1280x768] [--threads 2] [--runs 7]
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pytorch import IFNet, interpolate


class Pair(torch.nn.Module):
    """Two frames to the one halfway, as one graph."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.net = IFNet((192, 128, 96, 64, 24), (32, 16, 8, 4, 1)).eval()

    def forward(self, a, b):
        return interpolate(self.net, a, b, 0.5)


def onnxruntime_session(path, threads):
    """A function of two images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda a, b: session.run(None, {"a": a, "b": b})[0]


def openvino_session(path, threads):
    """A function of two images, in f32."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = core.compile_model(core.read_model(path), "CPU", options)
    return lambda a, b: model([a, b])[0]


def median_ms(run, images, runs):
    """Median of `runs` after one that does not count."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        run(*images)
        times.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(times[1:]), 1)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x768")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    images = [np.random.default_rng(i).random((1, 3, height, width), np.float32) for i in range(2)]
    pair, tensors = Pair(), [torch.from_numpy(i) for i in images]
    with torch.inference_mode():
        expected = pair(*tensors).numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "pair.onnx")
        torch.onnx.export(pair, tuple(tensors), path, opset_version=17, dynamo=False, input_names=["a", "b"])
        for name, session in (("onnxruntime", onnxruntime_session), ("openvino", openvino_session)):
            try:
                run = session(path, args.threads)
            except ImportError:
                print(f"skipped: {name} is not installed")
                continue
            print(json.dumps({"engine": name, "median_ms": median_ms(run, images, args.runs),
                              "threads": args.threads, "size": args.size,
                              "largest_difference_to_pytorch": float(np.abs(run(*images) - expected).max())}))


if __name__ == "__main__":
    main()
