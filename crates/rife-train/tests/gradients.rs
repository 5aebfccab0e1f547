//! Gradient checks: gradients of the backend's operations and of all loss terms against central differences along
//! random directions of every input.

use burn_tensor::{Device, Tensor, TensorData};
use rife_backend::reference::ReferenceBackend;
use rife_backend::{Activation, Backend, ConvKind, ConvSpec, Resize};
use rife_nets::{ActivationDesc, Stage};
use rife_train::backend::{Batch, BurnBackend, resample, values, warp};
use rife_train::loss::{
    KnownFlow, census, charbonnier, decibels, distillation, flow_loss, l1, laplacian, stages,
};
use rife_train::rng::Rng;
use rife_train::threads;

type Shape = [usize; 4];

fn random([n, c, h, w]: Shape, low: f64, high: f64, rng: &mut Rng) -> Vec<f32> {
    (0..n * c * h * w)
        .map(|_| rng.uniform(low, high) as f32)
        .collect()
}

fn tensor(values: &[f32], shape: Shape, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Reduces a tensor to a scalar with a different weight for every value.
fn weighed(x: Tensor<4>) -> Tensor<1> {
    let shape = x.dims();
    let weights: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|i| (i as f32 * 0.7).cos())
        .collect();
    let weights = tensor(&weights, shape, &x.device());
    (x * weights).sum()
}

/// Compares the gradients of a scalar function of some inputs with central differences of step `reach` along random
/// directions.
fn check(
    name: &str,
    inputs: &[(Vec<f32>, Shape)],
    reach: f32,
    tolerance: f64,
    f: impl Fn(&[Tensor<4>]) -> Tensor<1>,
) {
    threads::start(0).unwrap();
    let device = Device::flex().autodiff();
    let leaves: Vec<_> = inputs
        .iter()
        .map(|(v, shape)| tensor(v, *shape, &device).require_grad())
        .collect();
    let gradients = f(&leaves).backward();
    let mut rng = Rng::new(9, 9);
    for (i, (input, shape)) in inputs.iter().enumerate() {
        let gradient = values(leaves[i].grad(&gradients).expect("every input has a gradient"));
        let size = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!(size > 0.0, "{name}: no gradient of input {i}");
        for _ in 0..4 {
            let direction: Vec<f32> = input
                .iter()
                .map(|_| if rng.chance(0.5) { 1.0 } else { -1.0 })
                .collect();
            let moved = |sign: f32| {
                let at: Vec<_> = input
                    .iter()
                    .zip(&direction)
                    .map(|(x, d)| x + sign * reach * d)
                    .collect();
                let mut inputs: Vec<_> = inputs
                    .iter()
                    .map(|(v, s)| tensor(v, *s, &Device::flex()))
                    .collect();
                inputs[i] = tensor(&at, *shape, &Device::flex());
                f64::from(values(f(&inputs))[0])
            };
            let difference = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(reach));
            let slope: f64 = gradient
                .iter()
                .zip(&direction)
                .map(|(g, d)| f64::from(g * d))
                .sum();
            let off = (difference - slope).abs() / size;
            assert!(
                off < tolerance,
                "{name}, input {i}: differences give {difference}, the gradient {slope}"
            );
        }
    }
}

/// Makes a flow whose sampling positions stay between the same four pixels while it is varied; some are outside of the
/// image.
fn flow(shape: Shape, rng: &mut Rng) -> Vec<f32> {
    let whole = random(shape, -4.0, 4.0, rng);
    whole
        .iter()
        .map(|x| x.floor() + rng.uniform(0.2, 0.8) as f32)
        .collect()
}

#[test]
fn warp_at_every_pixel() {
    let mut rng = Rng::new(1, 1);
    let (image, field) = ([2, 3, 8, 9], [2, 2, 8, 9]);
    let inputs = [
        (random(image, 0.0, 1.0, &mut rng), image),
        (flow(field, &mut rng), field),
    ];
    check("warp", &inputs, 0.05, 2e-3, |x| {
        weighed(warp::warp(x[0].clone(), x[1].clone(), 1))
    });
}

#[test]
fn detail_that_sampling_loses() {
    let mut rng = Rng::new(1, 9);
    let (image, field) = ([2, 1, 8, 9], [2, 2, 8, 9]);
    let inputs = [
        (random(image, 0.0, 1.0, &mut rng), image),
        (flow(field, &mut rng), field),
    ];
    // It is a cubic of the flow, whose curve a wider reach sees.
    check("detail", &inputs, 0.01, 2e-3, |x| {
        let b = BurnBackend::new(x[0].device());
        let [image, flow] = [&x[0], &x[1]].map(|x| Batch::dense(x.clone()));
        weighed(b.cubic_residual(&image, &flow).tensor())
    });
}

/// The composed operation gives the same values on Burn and on the reference engine.
#[test]
fn the_cubic_residual_is_that_of_the_reference() {
    threads::start(0).unwrap();
    let plain = ReferenceBackend;
    let b = BurnBackend::new(Device::flex());
    let mut rng = Rng::new(1, 10);
    for [height, width] in [[1, 1], [2, 1], [3, 5], [8, 9]] {
        let shape = [1, 2, height, width];
        let (image, flow) = (
            random(shape, 0.0, 1.0, &mut rng),
            random(shape, -4.0, 4.0, &mut rng),
        );
        let expected = {
            let [image, flow] = [&image, &flow].map(|x| plain.upload([2, height, width], x).unwrap());
            plain.download(&plain.cubic_residual(&image, &flow)).unwrap()
        };
        let [image, flow] = [image, flow].map(|x| b.batch(shape, x));
        let off = values(b.cubic_residual(&image, &flow).tensor());
        let off = off.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-5, "{height}x{width}");
    }
}

#[test]
fn warp_at_the_centres_of_cells() {
    let mut rng = Rng::new(1, 2);
    let (image, field) = ([2, 3, 16, 8], [2, 2, 8, 4]);
    let inputs = [
        (random(image, 0.0, 1.0, &mut rng), image),
        (flow(field, &mut rng), field),
    ];
    check("warp", &inputs, 0.05, 2e-3, |x| {
        weighed(warp::warp(x[0].clone(), x[1].clone(), 4))
    });
}

#[test]
fn resizes_and_pixel_shuffle() {
    let mut rng = Rng::new(1, 3);
    let shape = [2, 4, 8, 12];
    let inputs = [(random(shape, -1.0, 1.0, &mut rng), shape)];
    check("up 4", &inputs, 0.1, 2e-4, |x| {
        weighed(resample::upsample(x[0].clone(), 4))
    });
    check("down 2", &inputs, 0.1, 2e-4, |x| {
        weighed(resample::downsample(x[0].clone(), 2))
    });
    check("down 4", &inputs, 0.1, 2e-4, |x| {
        weighed(resample::downsample(x[0].clone(), 4))
    });
    check("pixel shuffle", &inputs, 0.1, 2e-4, |x| {
        weighed(resample::pixel_shuffle(x[0].clone()))
    });
}

/// Central differences cross kinks of absolute values, so that their tolerance is large; but the loss is homogeneous of
/// degree 1, so that the directional derivative along the input itself must equal the loss.
#[test]
fn the_laplacian_loss() {
    let mut rng = Rng::new(1, 4);
    let shape = [2, 3, 48, 40];
    let inputs = [(random(shape, -1.0, 1.0, &mut rng), shape)];
    check("laplacian", &inputs, 4e-4, 6e-2, |x| {
        laplacian(x[0].clone()) * 100.0
    });

    let x = tensor(&inputs[0].0, shape, &Device::flex().autodiff()).require_grad();
    let loss = laplacian(x.clone());
    let gradient = values(x.grad(&loss.backward()).unwrap());
    let along: f64 = gradient
        .iter()
        .zip(&inputs[0].0)
        .map(|(g, x)| f64::from(g * x))
        .sum();
    let loss = f64::from(values(loss)[0]);
    assert!(
        (along - loss).abs() < 1e-5 * loss,
        "{along} along the input, the loss is {loss}"
    );
}

/// Draws values with absolute values from `low` to `high` and random signs: away from the kink of the absolute value.
fn signed(shape: Shape, low: f64, high: f64, rng: &mut Rng) -> Vec<f32> {
    let sizes = random(shape, low, high, rng);
    sizes
        .into_iter()
        .map(|x| if rng.chance(0.5) { x } else { -x })
        .collect()
}

#[test]
fn the_other_losses_of_the_frame() {
    let mut rng = Rng::new(1, 8);
    let shape = [2, 3, 12, 10];
    let inputs = [(signed(shape, 0.1, 1.0, &mut rng), shape)];
    check("l1", &inputs, 0.05, 1e-3, |x| l1(x[0].clone()) * 100.0);
    let inputs = [(signed(shape, 0.0, 0.004, &mut rng), shape)];
    check("charbonnier", &inputs, 2e-5, 2e-3, |x| {
        charbonnier(x[0].clone()) * 100.0
    });
    let inputs = [(signed(shape, 0.1, 1.0, &mut rng), shape)];
    check("decibels", &inputs, 0.01, 1e-3, |x| decibels(x[0].clone()));
    // Grey values that differ by a few code values, where the transform is neither flat nor a step.
    let mut frame = || (random(shape, 0.5, 0.51, &mut rng), shape);
    let inputs = [frame(), frame()];
    check("census", &inputs, 3e-5, 5e-3, |x| {
        census(x[0].clone(), x[1].clone()) * 100.0
    });
}

#[test]
fn the_loss_of_known_flow() {
    let mut rng = Rng::new(1, 9);
    let shape = [2, 4, 6, 5];
    let inputs = [(signed(shape, 1.0, 30.0, &mut rng), shape)];
    check("flow", &inputs, 0.1, 1e-3, |x| {
        let device = x[0].device();
        let known: Vec<f32> = (0..60).map(|i| (i % 3 % 2) as f32).collect();
        let truth = KnownFlow {
            flow: Batch::dense(Tensor::zeros(shape, &device)),
            count: known.iter().sum(),
            known: Batch::dense(tensor(&known, [2, 1, 6, 5], &device)),
        };
        flow_loss(&Batch::dense(x[0].clone()), &truth) * 100.0
    });
}

/// Makes a stage of the tensors flow, mask and both warped frames.
fn stage(x: &[Tensor<4>]) -> Stage<Batch> {
    let dense = |i: usize| Batch::dense(x[i].clone());
    Stage {
        flow: dense(0),
        mask: dense(1),
        warped: [dense(2), dense(3)],
    }
}

/// Blends of values in 0..0.4 are compared with a frame of ones, away from the kink of the absolute value.
#[test]
fn the_loss_of_the_stages() {
    let mut rng = Rng::new(1, 10);
    let (mask, frame) = ([2, 1, 8, 8], [2, 3, 8, 8]);
    let inputs = [
        (random(mask, -2.0, 2.0, &mut rng), mask),
        (random(frame, 0.0, 0.4, &mut rng), frame),
        (random(frame, 0.0, 0.4, &mut rng), frame),
    ];
    check("stages", &inputs, 0.1, 5e-3, |x| {
        let device = x[0].device();
        let b = BurnBackend::new(device.clone());
        let flow = Tensor::zeros([2, 4, 8, 8], &device);
        let first = stage(&[flow, x[0].clone(), x[1].clone(), x[2].clone()]);
        let truth = Batch::dense(Tensor::ones(frame, &device));
        stages(&b, &[first.clone(), first], &truth, &[4, 2]) * 100.0
    });
}

/// Some pixels' blends differ from the true frame (zeros) by more than the teacher's 0.25, some by less.
#[test]
fn the_distillation() {
    let mut rng = Rng::new(1, 11);
    let (flow, frame) = ([2, 4, 6, 6], [2, 3, 6, 6]);
    let blend = random(frame, 0.0, 0.5, &mut rng);
    let inputs = [(signed(flow, 1.0, 3.0, &mut rng), flow)];
    let distance = |student: &Tensor<4>, teacher: Tensor<4>| {
        let device = student.device();
        let zeros = |shape: Shape| Tensor::<4>::zeros(shape, &device);
        let of =
            |flow: Tensor<4>, blend: Tensor<4>| stage(&[flow, zeros([2, 1, 6, 6]), blend.clone(), blend]);
        let student = of(student.clone(), tensor(&blend, frame, &device));
        let taught = of(teacher, zeros(frame) + 0.25);
        let truth = Batch::dense(zeros(frame));
        distillation(&BurnBackend::new(device.clone()), &[student], &taught, &truth)
    };
    check("distillation", &inputs, 0.01, 2e-3, |x| {
        distance(&x[0], x[0].zeros_like()) * 100.0
    });

    let leaf = || tensor(&inputs[0].0, flow, &Device::flex().autodiff()).require_grad();
    let (student, teacher) = (leaf(), leaf());
    let gradients = distance(&student, teacher.clone() * 0.5).backward();
    assert!(teacher.grad(&gradients).is_none(), "the teacher is held fixed");
    let moved = values(student.grad(&gradients).unwrap().abs().sum_dim(1));
    let errors = blend.chunks(3 * 36).flat_map(|sample| {
        let error = |i: usize| (sample[i] + sample[36 + i] + sample[72 + i]) / 3.0;
        (0..36).map(error).collect::<Vec<_>>()
    });
    let follows: Vec<bool> = errors.map(|error| error > 0.25 + 0.01).collect();
    assert!(follows.contains(&true) && follows.contains(&false));
    assert_eq!(moved.iter().map(|x| *x > 0.0).collect::<Vec<_>>(), follows);
}

/// Gradients of kernel, bias, ResConv factor and input of each kind of layer.
#[test]
fn convolutions() {
    use rife_nets::LayerDesc;
    let mut rng = Rng::new(1, 5);
    let layers = [
        LayerDesc::plain(ConvKind::Same, "same", 4, 3),
        LayerDesc::plain(ConvKind::Down, "down", 4, 6),
        LayerDesc::plain(ConvKind::Up, "deconv", 4, 5),
        LayerDesc {
            activation: ActivationDesc::None,
            ..LayerDesc::res_conv("residual", 4, 1)
        },
    ];
    for layer in layers {
        let kernel = <[usize; 4]>::try_from(layer.weight_shape()).unwrap();
        let (image, bias, beta) = ([2, 4, 6, 8], [1, layer.output, 1, 1], layer.beta.is_some());
        let mut inputs: Vec<_> = [image, kernel, bias]
            .map(|shape| (random(shape, -1.0, 1.0, &mut rng), shape))
            .to_vec();
        inputs.extend(beta.then(|| (random(bias, 0.5, 1.0, &mut rng), bias)));
        check(&layer.key, &inputs, 0.02, 2e-3, |x| {
            weighed(rife_train::backend::Conv::linear(&layer, &x[1..]).apply(&x[0], None))
        });
    }
}

/// Lazily and immediately evaluated tensors have equal values.
#[test]
fn late_evaluation_changes_nothing() {
    threads::start(0).unwrap();
    let b = BurnBackend::new(Device::flex());
    let mut rng = Rng::new(1, 6);
    let mut batch = |shape: Shape| b.batch(shape, random(shape, -2.0, 2.0, &mut rng));
    let (image, flow, small) = (batch([2, 3, 32, 64]), batch([2, 2, 32, 64]), batch([2, 5, 4, 8]));
    let at_once = |x: &Batch| Batch::dense(x.tensor());
    let close = |name: &str, late: Batch, early: Batch| {
        assert_eq!(late.dims(), early.dims(), "{name}");
        let off = values((late.tensor() - early.tensor()).abs().max());
        assert!(off[0] < 1e-5, "{name}: {off:?}");
    };
    let (enlarged, warped) = (b.resize(&small, Resize::Up(8)), b.warp(&image, &flow));
    for factor in [2, 4, 8, 16] {
        let down = |x: &Batch| b.resize(x, Resize::Down(factor));
        close("enlarged", down(&enlarged), down(&at_once(&enlarged)));
        close("warped", down(&warped), down(&at_once(&warped)));
    }
    let picked = |x: &Batch| b.affine(&b.narrow(x, 1..4), -2.0, 1.0);
    close("channels", picked(&enlarged), picked(&at_once(&enlarged)));
}

/// Layers give the values of the reference engine, activations included.
#[test]
fn layers_are_those_of_the_reference() {
    threads::start(0).unwrap();
    let plain = ReferenceBackend;
    let b = BurnBackend::new(Device::flex());
    let mut rng = Rng::new(1, 7);
    for (kind, taps, activation) in [
        (ConvKind::Same, 9, Activation::LeakyRelu(0.2)),
        (ConvKind::Down, 9, Activation::Prelu(vec![0.1, 0.2, 0.3, 0.4])),
        (ConvKind::Up, 16, Activation::None),
    ] {
        let mut vector = |n: usize| random([n, 1, 1, 1], -1.0, 1.0, &mut rng);
        let residual = (kind == ConvKind::Same).then(|| vector(4));
        let (weight, bias, data) = (vector(4 * 4 * taps), vector(4), vector(4 * 8 * 6));
        let spec = ConvSpec {
            kind,
            input: 4,
            output: 4,
            groups: 1,
            weight,
            bias,
            residual,
            activation,
        };
        let expected = plain.conv(
            &plain.upload([4, 8, 6], &data).unwrap(),
            &plain.conv_layer(spec.clone()),
        );
        let found = b.conv(&b.upload([4, 8, 6], &data).unwrap(), &b.conv_layer(spec));
        let (found, expected) = (b.download(&found).unwrap(), plain.download(&expected).unwrap());
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f32::max) < 1e-4, "{kind:?}");
    }
}
