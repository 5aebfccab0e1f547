//! The conformance suite on every tier of this machine, with one thread and with three.

use rife_backend::conformance::cases;
use rife_cpu::{CpuBackend, EngineOptions, Tier};

#[test]
fn every_operation_and_random_trees_agree_with_the_reference() {
    let cases = cases(150);
    for (tier, threads) in Tier::available()
        .into_iter()
        .flat_map(|tier| [(tier, 1), (tier, 3)])
    {
        let options = EngineOptions {
            threads: Some(threads),
            tier: Some(tier),
            ..EngineOptions::default()
        };
        let backend = CpuBackend::new(options).unwrap();
        let wrong: Vec<_> = cases
            .iter()
            .filter_map(|case| case.check(&backend, 2e-4).err())
            .collect();
        println!("{}, {threads} threads: {} cases", tier.name(), cases.len());
        assert!(wrong.is_empty(), "{}: {wrong:#?}", tier.name());
    }
}
