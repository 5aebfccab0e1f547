//! `rife convert`: its outputs, read by rife and by PyTorch, safetensors and ONNX, and its errors.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use rife::nets::checkpoint::{Dtype, load, save_pkl, save_safetensors};
use rife::nets::{BlockSpec, Blocks, NetworkSpec, Version, Weights, deterministic};

use super::support::{Place, has_default_network};
use rife_testing::Need;

fn weights(version: &str) -> Weights {
    deterministic::weights(version.parse().unwrap())
}

fn keys(path: &Path) -> Vec<String> {
    let loaded = load(path).unwrap();
    loaded.weights.keys().map(str::to_owned).collect()
}

/// Runs Python code (`RIFE_PYTHON`, else `python3`) in the test's folder and returns its output; `None` without these
/// libraries.
pub(crate) fn python(place: &Place, libraries: &str, code: &str) -> Option<String> {
    let program = std::env::var_os("RIFE_PYTHON").unwrap_or_else(|| "python3".into());
    let run = |code: &str| {
        Command::new(&program)
            .args(["-c", code])
            .current_dir(place.path(""))
            .stdin(Stdio::null())
            .output()
    };
    let found = run(&format!("import {libraries}")).is_ok_and(|ran| ran.status.success());
    let need = if libraries.contains("torch") {
        Need::Torch
    } else {
        Need::Python
    };
    if !need.is_met(found, format!("{} has no {libraries}", program.display())) {
        return None;
    }
    let ran = run(code).unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn every_format_holds_the_same_weights() {
    let place = Place::new();
    let weights = weights("4.15.lite");
    save_pkl(&place.path("in.pkl"), &weights).unwrap();
    for output in ["a.safetensors", "b.pkl", "c.pth", "D.PKL", "train_log/"] {
        let printed = place
            .rife(&["convert", "in.pkl", output, "--model-version", "4.15.lite"])
            .ok();
        assert!(printed.starts_with(output), "{printed}");
        assert_eq!(load(&place.path(output)).unwrap().weights, weights, "{output}");
    }
    let object = place
        .rife(&["export", "in.pkl", "half.safetensors", "--f16", "--json"])
        .json()
        .remove(0);
    assert_eq!(object["files"][0], "half.safetensors");
    let info = place
        .rife(&["models", "info", "in.pkl", "--json"])
        .json()
        .remove(0);
    assert_eq!(object["weights_sha256"], info["weights_sha256"]);
    let bytes = |name: &str| std::fs::metadata(place.path(name)).unwrap().len();
    assert!(bytes("half.safetensors") < bytes("a.safetensors") * 52 / 100);
    assert!(
        place.names().iter().all(|name| !name.contains(".part")),
        "{:?}",
        place.names()
    );
}

#[test]
fn pytorch_loads_what_is_written_for_it() {
    let place = Place::new();
    let network = if has_default_network() {
        "default"
    } else {
        "in.pkl"
    };
    save_pkl(&place.path("in.pkl"), &weights("4.25.lite")).unwrap();
    place.rife(&["convert", network, "net.safetensors"]).ok();
    place.rife(&["convert", network, "net.pkl"]).ok();
    place
        .rife(&["convert", network, "plain.pth", "--plain-keys"])
        .ok();
    // As RIFE's own code does: with several GPUs the keys as they are, with one those under `module.` without it.
    let code = "
import torch
from safetensors.torch import load_file
expected = load_file('net.safetensors')
published = torch.load('net.pkl', map_location='cpu', weights_only=True)
single = {key.replace('module.', ''): value for key, value in published.items() if 'module.' in key}
plain = torch.load('plain.pth', map_location='cpu', weights_only=True)
for found in (single, plain):
    assert list(found) == sorted(expected), list(found)[:3]
    for key, value in found.items():
        assert value.dtype == torch.float32 and value.is_contiguous() and torch.equal(value, expected[key]), key

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for key, value in expected.items():
            owner = self
            *path, name = key.split('.')
            for part in path:
                if part not in dict(owner.named_children()):
                    owner.add_module(part, torch.nn.Module())
                owner = owner.get_submodule(part)
            owner.register_parameter(name, torch.nn.Parameter(torch.zeros_like(value)))

net = Net()
net.load_state_dict(plain)
torch.nn.DataParallel(net).load_state_dict(published)
assert all(torch.equal(net.state_dict()[key], expected[key]) for key in expected)
print(len(expected))";
    if let Some(printed) = python(&place, "torch, safetensors", code) {
        let count = keys(&place.path("net.pkl")).len();
        assert_eq!(printed.trim(), count.to_string());
    }
}

#[test]
fn an_onnx_model_runs() {
    let place = Place::new();
    save_pkl(&place.path("in.pkl"), &weights("4.15.lite")).unwrap();
    let command = [
        "export",
        "in.pkl",
        "net.onnx",
        "--size",
        "72x40",
        "--model-version",
        "4.15.lite",
    ];
    place.rife(&command).ok();
    let model = std::fs::read(place.path("net.onnx")).unwrap();
    place.rife(&[&command[..], &["--overwrite"]].concat()).ok();
    assert_eq!(
        std::fs::read(place.path("net.onnx")).unwrap(),
        model,
        "equal files"
    );
    let info = place
        .rife(&["models", "info", "in.pkl", "--json"])
        .json()
        .remove(0);
    let code = "
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession('net.onnx', providers=['CPUExecutionProvider'])
frame = np.full((1, 3, 40, 72), 0.25, np.float32)
time = np.full((1, 1, 1, 1), 0.5, np.float32)
[merged] = session.run(None, {'img0': frame, 'img1': frame, 'timestep': time})
metadata = session.get_modelmeta().custom_metadata_map
print(merged.shape, np.abs(merged - 0.25).max() < 1e-6, metadata['rife_version'], metadata['rife_weights_sha256'])";
    if let Some(printed) = python(&place, "numpy, onnxruntime", code) {
        let sha256 = info["weights_sha256"].as_str().unwrap();
        assert_eq!(printed.trim(), format!("(1, 3, 40, 72) True 4.15.lite {sha256}"));
    }
    let refused = place.rife(&["models", "info", "net.onnx"]).failed(5);
    assert!(refused.contains("it looks like an ONNX model"), "{refused}");
}

#[test]
fn a_network_in_three_parts_is_a_folder_of_three_files() {
    let place = Place::new();
    save_pkl(&place.path("in.pkl"), &weights("rife_hdv2")).unwrap();
    let refused = place.rife(&["convert", "in.pkl", "out.pkl"]).failed(2);
    assert!(
        refused.contains("contextnet.pkl, flownet.pkl, unet.pkl"),
        "{refused}"
    );
    std::fs::create_dir(place.path("log")).unwrap();
    std::fs::write(place.path("log/unet.pkl"), "precious").unwrap();
    let refused = place.rife(&["convert", "in.pkl", "log"]).failed(4);
    assert!(refused.contains("unet.pkl"), "{refused}");
    let files = || super::support::names(&place.path("log"));
    assert_eq!(
        files(),
        ["unet.pkl"],
        "all are looked for before the first is written"
    );
    place.rife(&["convert", "in.pkl", "log", "-y"]).ok();
    assert_eq!(files(), ["contextnet.pkl", "flownet.pkl", "unet.pkl"]);
    assert_eq!(load(&place.path("log")).unwrap().weights, weights("rife_hdv2"));
    assert!(keys(&place.path("log/unet.pkl")).contains(&"down0.conv1.0.weight".to_owned()));
}

#[test]
fn what_cannot_be_written_is_refused_with_what_can() {
    let place = Place::new();
    save_pkl(&place.path("in.pkl"), &weights("4.15.lite")).unwrap();
    std::fs::write(place.path("there.onnx"), "precious").unwrap();
    for (args, code, words) in [
        (&["out"][..], 2, ".safetensors, .pkl, .pth or .onnx"),
        (&["out.pt"], 2, ".safetensors, .pkl, .pth or .onnx"),
        (&["out.onnx"], 2, "--size 1280x720"),
        (&["out.onnx", "--size", "8x8"], 2, "16 to 16384"),
        (&["out.pkl", "--size", "64x64"], 2, "--size is for .onnx"),
        (&["out.safetensors", "--with-flow"], 2, "--with-flow is for .onnx"),
        (&["out.pkl", "--f16"], 2, ".safetensors and .onnx"),
        (&["out.safetensors", "--plain-keys"], 2, ".pkl, .pth and folders"),
        (&["there.onnx", "--size", "64x64"], 4, "exists"),
        (&["missing/out.pkl"], 4, "missing/out.pkl"),
        (&["out.pkl", "--model-version", "4.6"], 5, "4.15.lite"),
    ] {
        let error = place.rife(&[&["convert", "in.pkl"], args].concat()).failed(code);
        assert!(error.contains(words), "{args:?}: {error}");
    }
    let version = Version::DEFAULT.name();
    save_pkl(&place.path("own.pkl"), &weights(version)).unwrap();
    let tta = ["convert", "own.pkl", "out.onnx", "--size", "64x64", "--ensemble"];
    assert!(place.rife(&tta).failed(5).contains("4.6"));
    assert!(
        place
            .rife(&["convert", "nothing.pkl", "out.pkl"])
            .failed(5)
            .contains("nothing.pkl")
    );
    assert_eq!(std::fs::read(place.path("there.onnx")).unwrap(), b"precious");
    assert_eq!(place.names(), ["in.pkl", "own.pkl", "there.onnx"]);
}

/// The description of a network without a name is kept by conversions, and the network runs.
#[test]
fn a_network_without_a_name_keeps_its_description() {
    let place = Place::new();
    let blocks = [(24, 8), (20, 4), (12, 1)].map(|(channels, scale)| BlockSpec { channels, scale });
    let spec = NetworkSpec {
        blocks: Blocks::try_from(blocks.to_vec()).unwrap(),
        ..*Version::DEFAULT.spec().unwrap()
    };
    let own = Version::from_spec(spec).unwrap();
    let mut metadata = BTreeMap::new();
    own.describe_in(&mut metadata);
    let path = place.path("own.safetensors");
    save_safetensors(&path, &deterministic::weights(own), Dtype::F32, &metadata).unwrap();
    let half = ["convert", "own.safetensors", "half.safetensors", "--f16"];
    place.rife(&half).ok();
    for file in ["own.safetensors", "half.safetensors"] {
        let info = place.rife(&["models", "info", file, "--json"]).json().remove(0);
        assert_eq!(
            (&info["version"], &info["fits"]),
            (&own.name().into(), &serde_json::json!([]))
        );
        assert_eq!(
            NetworkSpec::from_json(&info["network"].to_string()).unwrap(),
            spec,
            "{file}"
        );
        let info = place.rife(&["models", "info", file]).ok();
        assert!(info.contains("no network that has a name"), "{info}");
    }
    place
        .rife(&["convert", "own.safetensors", "own.onnx", "--size", "64x64"])
        .ok();
    let model = std::fs::read(place.path("own.onnx")).unwrap();
    let json = spec.to_json();
    assert!(model.windows(json.len()).any(|window| window == json.as_bytes()));
    place.picture("a.png", 0.0);
    place.picture("b.png", 2.0);
    let image = "image a.png b.png --timestep 0.5 -o c.png --model half.safetensors";
    place.rife(&image.split(' ').collect::<Vec<_>>()).ok();

    let error = place.rife(&["convert", "own.safetensors", "own.pkl"]).failed(2);
    assert!(
        error.contains(own.name()) && error.contains(".safetensors or .onnx"),
        "{error}"
    );
    let bad = metadata["rife_network"].replace("\"max_step\":2.0", "\"max_step\":2000.0");
    metadata.insert("rife_network".into(), bad);
    save_safetensors(&path, &deterministic::weights(own), Dtype::F32, &metadata).unwrap();
    let error = place.rife(&["models", "info", "own.safetensors"]).failed(5);
    assert!(error.contains("network.prior.dis.max_step is 2000"), "{error}");
}

/// PyTorch files have no metadata: a note says if the weights are recognised as another network.
#[test]
fn a_name_that_a_file_cannot_hold_is_told() {
    let place = Place::new();
    save_pkl(&place.path("in.pkl"), &weights("r2.lite")).unwrap();
    let convert = |output: &str| {
        let convert = [
            "convert",
            "in.pkl",
            output,
            "--model-version",
            "r2.lite",
            "--json",
        ];
        place.rife(&convert).json().remove(0)["notes"].to_string()
    };
    let told = convert("out.pkl");
    assert!(
        told.contains("read as r3.lite unless --model-version r2.lite"),
        "{told}"
    );
    assert_eq!(convert("out.safetensors"), "[]");
    let info = place
        .rife(&["models", "info", "out.safetensors", "--json"])
        .json();
    assert_eq!(info[0]["version"], "r2.lite");
}
