//! The conformance suite of `rife-backend` on Burn tensors.

use rife_backend::conformance::{Expr, cases, check_transfers};
use rife_train::backend::BurnBackend;

#[test]
fn burn_agrees_with_the_reference_and_keeps_nan_local() {
    let backend = BurnBackend::new(burn_tensor::Device::flex());
    check_transfers(&backend).unwrap();
    let cases = cases(60);
    // Enlarging and reducing multiply by a matrix, in which a NaN times 0 reaches its row and column: training stops there.
    let local: Vec<_> = cases
        .iter()
        .filter(|case| !case.expr.any(&|expr| matches!(expr, Expr::Resize(..))))
        .collect();
    println!("Burn: {} cases, NaN stays local in {}", cases.len(), local.len());
    let values = cases.iter().filter_map(|case| case.check(&backend, 2e-4).err());
    let nan = local
        .into_iter()
        .filter_map(|case| case.check_local(&backend, 0).err());
    let wrong: Vec<_> = values.chain(nan).collect();
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}
