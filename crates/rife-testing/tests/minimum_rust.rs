//! The minimum Rust version that each crate declares is at least those of its dependencies. clippy's `incompatible_msrv` checks the
//! same for what the crates use of the standard library.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Returns major and minor version of a text such as `1.89` or `1.89.0`; the lowest where there is none.
fn release(text: &Value) -> (u32, u32) {
    let mut parts = text
        .as_str()
        .unwrap_or("0")
        .split('.')
        .map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap_or(0))
}

/// Returns the list under `name`.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap()
}

#[test]
fn no_dependency_needs_a_newer_rust_than_its_crate_declares() {
    // Dependencies of other platforms would have to be downloaded.
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let host = String::from_utf8(version).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let by_id = |values: &'static str| -> BTreeMap<&str, &Value> {
        let values = match values {
            "nodes" => list(&metadata["resolve"], values),
            _ => list(&metadata, values),
        };
        values
            .iter()
            .map(|value| (value["id"].as_str().unwrap(), value))
            .collect()
    };
    let (packages, nodes) = (by_id("packages"), by_id("nodes"));
    // Of tests and benchmarks only the newest Rust is asked.
    let needed = |dependency: &&Value| {
        let mut kinds = list(dependency, "dep_kinds").iter();
        kinds.any(|kind| kind["kind"].is_null() || kind["kind"] == "build")
    };
    let mut wrong = BTreeSet::new();
    let members = list(&metadata, "workspace_members");
    for member in members {
        let member = packages[member.as_str().unwrap()];
        let declared = release(&member["rust_version"]);
        assert!(declared >= (1, 89), "{}", member["name"]);
        let (mut seen, mut open) = (BTreeSet::new(), vec![member["id"].as_str().unwrap()]);
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let package = packages[id];
            if release(&package["rust_version"]) > declared {
                let (name, needs) = (&package["name"], &package["rust_version"]);
                wrong.insert(format!(
                    "{} declares {declared:?}; {name} needs {needs}",
                    member["name"]
                ));
            }
            let dependencies = list(nodes[id], "deps").iter().filter(needed);
            open.extend(dependencies.map(|dependency| dependency["pkg"].as_str().unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} crates", members.len());
}
