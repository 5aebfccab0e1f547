//! The conformance suite of the seam on an adapter of this machine.

mod support;

use rife_backend::conformance::{cases, check_transfers};
use rife_backend::{Backend, DisOptions};
use rife_gpu::{GpuBackend, Precision};

/// Differences are rounding alone: sums have another order than the reference's.
const TOLERANCE: f32 = 2e-4;
/// Differences where features are stored as f16.
const TOLERANCE_F16: f32 = 2e-2;

#[test]
fn every_operation_and_random_trees_agree_with_the_reference() {
    let Some(backend) = support::backend() else {
        return;
    };
    let cases = cases(150);
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| case.check(&backend, TOLERANCE).err())
        .collect();
    println!("{} cases, {:?}", cases.len(), backend.work());
    check_transfers(&backend).unwrap();
    let first = &wrong[..wrong.len().min(10)];
    assert!(wrong.is_empty(), "{} wrong, first {first:#?}", wrong.len());
}

/// With features stored as f16, which has 11 significant bits.
#[test]
fn every_operation_agrees_in_f16() {
    let Some(backend) = support::backend_in(Precision::F16) else {
        return;
    };
    let cases = cases(30);
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| case.check(&backend, TOLERANCE_F16).err())
        .collect();
    let first = &wrong[..wrong.len().min(10)];
    assert!(wrong.is_empty(), "{} wrong, first {first:#?}", wrong.len());
}

/// Drivers of other systems get MSL and HLSL: each kernel that any operation takes is translated to all three languages.
#[test]
fn every_kernel_translates_to_spirv_msl_and_hlsl() {
    for precision in [Precision::F32, Precision::F16] {
        let Some(backend) = support::backend_in(precision) else {
            return;
        };
        translate_all(&backend);
    }
}

/// Runs every operation, and translates the kernels.
fn translate_all(backend: &GpuBackend) {
    for case in cases(0).iter().filter(|case| case.name.contains("at 8x16")) {
        case.run(backend).unwrap();
    }
    let frame = backend.upload([3, 64, 64], &vec![0.5; 3 * 64 * 64]).unwrap();
    for zero_start in [None, Some(0.5)] {
        let options = DisOptions {
            zero_start,
            ..DisOptions::default()
        };
        let flow = backend.dis_flow([&frame, &frame], 0, &options);
        backend.download(&flow).unwrap();
    }
    let sources = backend.kernel_sources();
    println!("{} kernels", sources.len());
    assert!(sources.len() > 40, "only {} kernels ran", sources.len());
    for source in sources {
        translate(&source).unwrap_or_else(|error| panic!("{error} in\n{source}"));
    }
}

/// Parses and validates a kernel, and writes it in the languages of Vulkan, Metal and DirectX 12.
fn translate(source: &str) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let (flags, capabilities) = (
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::SHADER_FLOAT16,
    );
    let info = naga::valid::Validator::new(flags, capabilities).validate(&module);
    let info = info.map_err(|error| error.emit_to_string(source))?;
    let spirv = naga::back::spv::write_vec(&module, &info, &naga::back::spv::Options::default(), None);
    assert!(spirv.map_err(|error| error.to_string())?.len() > 20);
    let options = naga::back::msl::Options {
        fake_missing_bindings: true,
        ..Default::default()
    };
    let msl = naga::back::msl::write_string(&module, &info, &options, &Default::default());
    assert!(msl.map_err(|error| error.to_string())?.0.contains("kernel void"));
    let options = naga::back::hlsl::Options {
        fake_missing_bindings: true,
        ..Default::default()
    };
    let mut hlsl = String::new();
    let pipeline = naga::back::hlsl::PipelineOptions::default();
    naga::back::hlsl::Writer::new(&mut hlsl, &options, &pipeline)
        .write(&module, &info, None)
        .map_err(|error| error.to_string())?;
    assert!(hlsl.contains("numthreads"));
    Ok(())
}
