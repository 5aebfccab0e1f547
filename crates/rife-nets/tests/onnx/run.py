"""Checks and runs ONNX models: python run.py FOLDER

FOLDER has a folder a case: model.onnx, and <input>.f32 for each of its inputs (little-endian, the input's shape), or
folders with these inputs, one a run. Every output is written as <output>.f32 next to the inputs. Prints one line a case: its
name, inputs, outputs and metadata.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime


def run(folder):
    model = onnx.load(os.path.join(folder, "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    runs = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
    for place in runs or [folder]:
        read = lambda value: np.fromfile(os.path.join(place, value.name + ".f32"), "<f4").reshape(value.shape)
        inputs = {value.name: read(value) for value in session.get_inputs()}
        for value, result in zip(session.get_outputs(), session.run(names, inputs)):
            assert list(result.shape) == value.shape, (value.name, result.shape, value.shape)
            result.astype("<f4").tofile(os.path.join(place, value.name + ".f32"))
    metadata = session.get_modelmeta().custom_metadata_map
    print(os.path.basename(folder), ",".join(inputs), ",".join(names), metadata)


for case in sorted(os.listdir(sys.argv[1])):
    run(os.path.join(sys.argv[1], case))
