//! The Python tools of training that need no network.

use std::path::Path;

use super::convert::python;
use super::support::Place;

#[test]
fn packed_windows_are_read_back_within_their_size() {
    let place = Place::new();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools");
    let code = format!(
        r#"
import sys
from pathlib import Path
sys.path.insert(0, {:?})
import numpy as np
import prepare_corpus as tool
from twin.clips import decode, listed

def window(shade):
    i, y, x = np.meshgrid(np.arange(3), np.arange(32), np.arange(32), indexing="ij")
    return np.stack([4 * x + 20 * i, 5 * y, 0 * x + shade], -1).astype(np.uint8)

data = {{shade: tool.packed(window(shade), 95) for shade in (40, 200)}}
size = max(map(len, data.values()))
train = {{"a": [data[40]] * 3, "b": [data[200]]}}
tool.write_packed(Path("all"), train, {{"c": [data[40]] * 9}}, 10 * size)
tool.write_packed(Path("few"), train, {{"c": [data[40]]}}, 2 * size)
for place in ("all", "few"):
    for held_out in (True, False):
        print(place, held_out, *[f.stem for f in listed(Path(place), [], held_out)])
for name, shade in (("a_002", 40), ("b_000", 200)):
    off = decode(Path(f"all/train/{{name}}.webp"), 300).astype(int) - window(shade)
    assert off.shape == (3, 32, 32, 3) and np.abs(off).mean() < 3, np.abs(off).mean()
"#,
        tools.display().to_string()
    );
    let Some(printed) = python(&place, "cv2, numpy, torch", &code) else {
        return;
    };
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [
            "all True c_000",
            "all False a_000 a_001 a_002 b_000",
            "few True",
            "few False a_000 b_000",
        ],
        "a tenth is held out, and every clip gives its best window first"
    );
}
