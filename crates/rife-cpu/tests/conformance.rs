//! The conformance suite on every tier of this machine, with one thread and with three.

use rife_backend::conformance::{Case, cases, check_transfers};
use rife_backend::reference::ReferenceBackend;
use rife_cpu::{CpuBackend, Engine, EngineOptions, Precision, Tier};

/// Pixels by which Winograd F(4x4, 3x3) spreads a NaN: its tile's side less 1.
const SPREAD: usize = 3;

fn engine(tier: Tier, threads: usize, precision: Precision) -> CpuBackend {
    let options = EngineOptions {
        threads: Some(threads),
        tier: Some(tier),
        precision,
    };
    CpuBackend::new(options).unwrap()
}

/// The tiers of this machine; in CI (where the variable `CI` is set), more than the portable one.
fn tiers() -> Vec<Tier> {
    let tiers = Tier::available();
    let names: Vec<_> = tiers.iter().map(|tier| tier.name()).collect();
    println!("tiers: {}", names.join(", "));
    assert!(tiers.contains(&Tier::Scalar));
    assert!(
        tiers.len() > 1 || std::env::var_os("CI").is_none(),
        "no vector tier in CI"
    );
    tiers
}

fn assert_all(name: &str, cases: &[Case], check: impl Fn(&Case) -> Result<(), String>) {
    let wrong: Vec<_> = cases.iter().filter_map(|case| check(case).err()).collect();
    println!("{name}: {} cases", cases.len());
    assert!(wrong.is_empty(), "{name}: {} wrong: {wrong:#?}", wrong.len());
}

#[test]
fn every_operation_and_random_trees_agree_with_the_reference() {
    let cases = cases(150);
    for tier in tiers() {
        for threads in [1, 3] {
            let backend = engine(tier, threads, Precision::F32);
            let name = format!("{}, {threads} threads", tier.name());
            assert_all(&name, &cases, |case| case.check(&backend, 2e-4));
        }
        check_transfers(&engine(tier, 1, Precision::F32)).unwrap();
    }
}

#[test]
fn the_reference_keeps_nan_local_and_what_it_takes() {
    assert_all("reference", &cases(60), |case| {
        case.check_local(&ReferenceBackend, 0)
    });
    check_transfers(&ReferenceBackend).unwrap();
}

#[test]
fn nan_stays_local() {
    let cases = cases(60);
    for tier in tiers() {
        let backend = engine(tier, 3, Precision::F32);
        assert_all(tier.name(), &cases, |case| case.check_local(&backend, SPREAD));
    }
}

/// Quantisation takes a tile's extremes, so that in int8 a NaN may change a tile of 8x48 pixels.
#[test]
fn nan_stays_within_a_tile_of_int8() {
    let cases: Vec<_> = cases(0)
        .into_iter()
        .filter(|case| case.name.starts_with("conv"))
        .collect();
    for tier in tiers().into_iter().filter(|tier| Engine::has_int8(*tier)) {
        let backend = engine(tier, 3, Precision::Int8);
        let name = format!("{}, int8", tier.name());
        assert_all(&name, &cases, |case| case.check_local(&backend, 48));
    }
}
