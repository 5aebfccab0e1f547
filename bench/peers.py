"""Worker process that runs one network on one other inference engine ("peer"); a separate process, so that engines do not
share threads or settings. Started by table.py; prints a line of JSON when ready, then reads numbers of runs from standard
input and prints the milliseconds of each run.

usage: python bench/peers.py ENGINE WHAT SIZE THREADS [--prepare]
  ENGINE  pytorch, channels-last, onnxruntime, openvino, openvino-int8, ncnn
  WHAT    a network of networks.py, or trunk90 for a chain of that many channels
  --prepare  only export, convert or quantise, and compare the outputs with PyTorch's
"""

import json
import sys
import time
from pathlib import Path

import torch

import networks

CACHE = Path(__file__).resolve().parents[1] / "target" / "bench"


class Task:
    """Network or chain of convolutions, its inputs, and the paths of its exports."""

    def __init__(self, what, size):
        width, height = map(int, size.split("x"))
        self.name = CACHE / f"{what}-{size}"
        if what.startswith("trunk"):
            torch.manual_seed(1)
            self.net, c = networks.Trunk(int(what[5:])).eval(), int(what[5:])
            self.inputs = (torch.rand(1, c, height, width) - 0.5,)
        else:
            net = networks.build(what)
            self.net, self.inputs = networks.Middle(net).eval(), networks.inputs(net, width, height)
        self.names = ["a", "b", "known"][:len(self.inputs)]

    def numpy(self):
        """Returns the inputs as NumPy arrays."""
        return [tensor.numpy() for tensor in self.inputs]

    def file(self, suffix):
        """Returns the path of an export under target/."""
        CACHE.mkdir(parents=True, exist_ok=True)
        return self.name.with_name(self.name.name + suffix)

    def onnx(self):
        """Exports the network as ONNX unless done before, and returns the path."""
        path = self.file(".onnx")
        if not path.exists():
            part = self.file(".part")
            torch.onnx.export(self.net, self.inputs, str(part), opset_version=17, dynamo=False,
                              input_names=self.names, output_names=["frame", "state"][:2 if len(self.inputs) > 1 else 1])
            part.rename(path)
        return str(path)


def first(outputs):
    """Returns the frame, or the chain's output."""
    return outputs[0] if isinstance(outputs, (tuple, list)) else outputs


def pytorch(task, threads, layout=torch.contiguous_format):
    """PyTorch, default memory format."""
    torch.set_num_threads(threads)
    net = task.net.to(memory_format=layout)
    inputs = [tensor.contiguous(memory_format=layout) for tensor in task.inputs]

    def run():
        with torch.inference_mode():
            return first(net(*inputs)).numpy()
    return run, {"isa": torch.backends.cpu.get_cpu_capability()}


def channels_last(task, threads):
    """PyTorch, channels-last memory format."""
    return pytorch(task, threads, torch.channels_last)


def onnxruntime(task, threads):
    """ONNX Runtime, CPU provider."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(task.onnx(), options, providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    feed = {name: value for name, value in zip(task.names, task.numpy()) if name in wanted}
    return lambda: session.run(None, feed)[0], {}


def compiled(model, task, threads):
    """Compiles a model with OpenVINO, in f32 unless quantised; returns it with the instruction sets of its convolutions."""
    import openvino

    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    net = openvino.Core().compile_model(model, "CPU", options)
    feed = dict(zip(task.names, task.numpy()))
    feed = {port.any_name: feed[port.any_name] for port in net.inputs}
    info = [op.get_rt_info() for op in net.get_runtime_model().get_ops()]
    kinds = sorted({i["primitiveType"].astype(str) for i in info if i["layerType"].astype(str) == "Convolution"})
    request = net.create_infer_request()

    def run():
        request.infer(feed, share_inputs=True)
        return request.get_output_tensor(0).data
    return run, {"isa": ", ".join(kinds)}


def openvino(task, threads):
    """OpenVINO, CPU plugin in f32."""
    import openvino as ov

    return compiled(ov.Core().read_model(task.onnx()), task, threads)


def openvino_int8(task, threads):
    """OpenVINO, post-training quantisation calibrated on the inputs alone: only time is measured."""
    import openvino as ov

    path = task.file("-int8.xml")
    if not path.exists():
        import nncf

        model = ov.Core().read_model(task.onnx())
        feed = dict(zip(task.names, task.numpy()))
        feed = {port.any_name: feed[port.any_name] for port in model.inputs}
        model = nncf.quantize(model, nncf.Dataset([feed] * 2), subset_size=2)
        ov.save_model(model, str(path), compress_to_fp16=False)
    return compiled(ov.Core().read_model(str(path)), task, threads)


def ncnn(task, threads):
    """ncnn, converted by pnnx, in f32."""
    import ncnn as runtime
    import numpy as np

    folder = task.file("-ncnn")
    if not (folder / "net.ncnn.bin").exists():
        import pnnx

        folder.mkdir(exist_ok=True)
        pnnx.export(task.net, str(folder / "net.pt"), task.inputs, fp16=False)
    net = runtime.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    if net.load_param(str(folder / "net.ncnn.param")) or net.load_model(str(folder / "net.ncnn.bin")):
        raise RuntimeError("ncnn can't load what pnnx made")
    feed = [(f"in{i}", runtime.Mat(value[0]).clone()) for i, value in enumerate(task.numpy())]
    feed = [(name, value) for name, value in feed if name in net.input_names()]

    def run():
        extractor = net.create_extractor()
        for name, value in feed:
            extractor.input(name, value)
        failed, out = extractor.extract("out0")
        if failed:
            raise RuntimeError(f"ncnn fails with {failed}")
        return np.array(out)[None]
    return run, {}


ENGINES = {"pytorch": pytorch, "channels-last": channels_last, "onnxruntime": onnxruntime, "openvino": openvino,
           "openvino-int8": openvino_int8, "ncnn": ncnn}


def main():
    """Runs the command line."""
    engine, what, size, threads = sys.argv[1:5]
    prepare = "--prepare" in sys.argv
    task = Task(what, size)
    try:
        run, info = ENGINES[engine](task, int(threads))
        made = run()
    except ImportError as missing:
        print(json.dumps({"skipped": f"{missing.name} is not installed"}))
        return
    except Exception as error:  # Any failure of a peer is reported in its row of the table.
        print(json.dumps({"skipped": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}))
        return
    if prepare:
        expected = pytorch(task, int(threads))[0]()
        info["difference"] = float(abs(made - expected).max())
    print(json.dumps({"ready": engine, **info}), flush=True)
    for line in () if prepare else sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            run()
            times.append((time.perf_counter() - began) * 1e3)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
