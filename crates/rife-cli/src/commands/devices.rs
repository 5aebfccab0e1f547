//! `rife devices`: the GPUs that `--device` can name.

use rife::Result;

use crate::args::DevicesArgs;
use crate::output;

#[cfg(feature = "gpu")]
pub(crate) fn run(args: &DevicesArgs) -> Result<()> {
    let adapters = rife::adapters();
    if args.json {
        let items: Vec<_> = adapters.iter().map(listed::json).collect();
        return output::line(&serde_json::json!({ "devices": items }).to_string());
    }
    if adapters.is_empty() {
        return output::line(
            "no GPU: no Vulkan, Metal or DirectX 12 driver lists one; --device cpu needs none",
        );
    }
    adapters
        .iter()
        .try_for_each(|adapter| output::line(&output::plain(&listed::text(adapter))))
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn run(args: &DevicesArgs) -> Result<()> {
    output::line(match args.json {
        true => r#"{"devices":[]}"#,
        false => "this build has no GPU support; --device cpu needs none",
    })
}

#[cfg(feature = "gpu")]
mod listed {
    use rife::{AdapterInfo, AdapterKind};
    use serde_json::{Value, json};

    /// Whether `--device auto` and `--device gpu` may take it.
    fn is_hardware(adapter: &AdapterInfo) -> bool {
        !matches!(adapter.kind, AdapterKind::Software | AdapterKind::Unknown)
    }

    pub(super) fn json(adapter: &AdapterInfo) -> Value {
        json!({
            "index": adapter.index,
            "name": adapter.name,
            "kind": adapter.kind.to_string(),
            "api": adapter.api,
            "driver": adapter.driver,
            "max_buffer": adapter.max_buffer,
            "max_binding": adapter.max_binding,
            "max_bindings": adapter.max_bindings,
            "workgroup_memory": adapter.workgroup_memory,
            "f16": adapter.f16,
            "matrices": adapter.matrices,
            "timestamps": adapter.timestamps,
            "automatic": is_hardware(adapter),
        })
    }

    pub(super) fn text(adapter: &AdapterInfo) -> String {
        let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
        let has = |name: &str, there: bool| format!("{name} {}", if there { "yes" } else { "no" });
        let matrices = match adapter.matrices.as_slice() {
            [] => "no".to_owned(),
            sizes => sizes.join(" "),
        };
        let automatic = match is_hardware(adapter) {
            true => "",
            false => "\n   never taken by itself: only by --device gpu:INDEX or gpu:NAME",
        };
        format!(
            "{}: {}\n   {}, {}, driver {}\n   largest buffer {}, largest binding {}, {} bindings, workgroup memory {} KiB\n   \
             {}, matrices {matrices}, {}{automatic}",
            adapter.index,
            adapter.name,
            adapter.kind,
            adapter.api,
            adapter.driver,
            mebibytes(adapter.max_buffer),
            mebibytes(adapter.max_binding),
            adapter.max_bindings,
            adapter.workgroup_memory >> 10,
            has("f16", adapter.f16),
            has("timestamps", adapter.timestamps),
        )
    }
}
