//! Recognition of an ncnn model's network and assignment of PyTorch's keys to its convolutions, by order and shapes. Models
//! converted from ONNX repeat a layer for each use (the encoder per frame, blocks twice in an ensemble): copies must have
//! equal weights and are dropped.

use rife_backend::ConvKind;

use super::super::Raw;
use super::super::error::quoted;
use super::weights::Conv;
use super::{NcnnProblem as Fault, Submodel};
use crate::layer::{ActivationDesc, LayerDesc};
use crate::spec::Head;
use crate::version::Version;
use crate::weights::WeightTensor;

/// The version whose context network and U-Net (refinement) the non-fast export of 4.0 includes.
const REFINED: &str = "rife";

/// Layers of a version with the convolutions assigned to them.
type Pairs<'a> = Vec<(LayerDesc, &'a Conv)>;

/// Failure to match a version.
struct Misfit {
    /// Number of layers that matched before the first difference.
    matched: usize,
    fault: Fault,
}

/// Finds the version that a network's models fit and returns their tensors under PyTorch's keys. A version named by
/// `folder`, the folder's name, is tried first, then all versions from new to old.
pub(in super::super) fn assign(
    models: Vec<(Submodel, Vec<Conv>)>,
    folder: Option<&str>,
) -> Result<Raw, Fault> {
    let named: Option<Version> = folder.and_then(|name| name.parse().ok());
    let mut nearest: Option<Misfit> = None;
    // Of versions with equal shapes the newest wins, unless the folder names another.
    let newest_first = Version::all().collect::<Vec<_>>().into_iter().rev();
    for version in named.into_iter().chain(newest_first) {
        match fit(version, &models) {
            Ok(pairs) => return Ok(collect(version, &pairs, &models)),
            Err(misfit) if nearest.as_ref().is_none_or(|best| misfit.matched > best.matched) => {
                nearest = Some(misfit);
            }
            Err(_) => {}
        }
    }
    if is_version_3(&models) {
        return Err(Fault::OtherNetwork("RIFE 3.x (rife-v3, rife-v3.0, rife-v3.1)"));
    }
    Err(nearest.expect("there are versions").fault)
}

/// Reports whether the models are RIFE 3.x: three blocks of equal width (RIFE 2.x has four of decreasing width).
fn is_version_3(models: &[(Submodel, Vec<Conv>)]) -> bool {
    let [(_, flownet), _, _] = models else {
        return false;
    };
    let heads: Vec<_> = flownet.iter().filter(|conv| conv.kind == ConvKind::Up).collect();
    heads.len() == 3
        && heads
            .iter()
            .all(|head| head.input == heads[0].input && head.output == 4)
}

/// Collects the tensors of all layers; ResConv factors that the model lacks become 1.
fn collect(version: Version, pairs: &Pairs<'_>, models: &[(Submodel, Vec<Conv>)]) -> Raw {
    let mut raw = Raw {
        notes: notes(version, pairs, models),
        ..Raw::default()
    };
    for (layer, conv) in pairs {
        let values = [
            Some(&conv.weight),
            Some(&conv.bias),
            conv.slope.as_ref(),
            conv.beta.as_ref(),
        ];
        let ones = vec![1.0; conv.output];
        let mut values = values.into_iter().flatten();
        for desc in layer.tensors() {
            let data = values.next().unwrap_or(&ones).clone();
            let shape = desc.shape;
            raw.tensors.push((desc.key, WeightTensor { shape, data }));
        }
    }
    raw
}

/// Lists notes for the user about assumptions made and layers left out.
fn notes(version: Version, pairs: &Pairs<'_>, models: &[(Submodel, Vec<Conv>)]) -> Vec<String> {
    let mut notes = vec![format!("read as RIFE {version} by the shapes of its layers")];
    let is_merged = |(layer, conv): &(LayerDesc, &Conv)| layer.beta.is_some() && conv.beta.is_none();
    if pairs.iter().any(is_merged) {
        notes.push("factors merged into the convolutions: read as 1".to_owned());
    }
    if !refinement(version, models).is_empty() {
        let note = "its refinement (contextnet, unet) is left out: RIFE 4.0 works without it";
        notes.push(note.to_owned());
    }
    if let Some(spec) = version.spec() {
        let heads = pairs.iter().filter(|(layer, _)| layer.key.contains(".lastconv"));
        let found: Vec<_> = heads.filter_map(|(_, conv)| conv.resize_factor).collect();
        // Before 4.5 a head's output is upsampled by twice the block's scale.
        let twice = if spec.head == Head::Transposed { 2.0 } else { 1.0 };
        let own: Vec<_> = spec
            .blocks
            .iter()
            .map(|block| block.scale as f32 * twice)
            .collect();
        if found.len() == own.len() && found != own {
            notes.push(format!(
                "the file's graph has the scales {found:?}; {version} is run at its own, {own:?}"
            ));
        }
    }
    notes
}

/// Matches the layers of a version with the convolutions of all models, in order.
fn fit<'a>(version: Version, models: &'a [(Submodel, Vec<Conv>)]) -> Result<Pairs<'a>, Misfit> {
    let layers = in_graph_order(version);
    let mut pairs = Vec::new();
    for (submodel, convs) in models {
        let wanted: Vec<_> = layers
            .iter()
            .filter(|layer| layer.key.starts_with(submodel.prefix))
            .collect();
        let matched = pairs.len();
        let fitted = fit_model(version, &wanted, convs);
        pairs.extend(fitted.map_err(|misfit| Misfit {
            matched: matched.saturating_add(misfit.matched),
            ..misfit
        })?);
    }
    if pairs.len() < layers.len() {
        let left = layers.iter().find(|layer| {
            !models
                .iter()
                .any(|(submodel, _)| layer.key.starts_with(submodel.prefix))
        });
        let what = left.map_or(String::new(), |layer| format!("which also has {}", layer.key));
        return Err(misfit(version, pairs.len(), what));
    }
    Ok(pairs)
}

/// Lists a version's layers in the order of an exported graph: the encoder's first, which [`Version::layers`] lists last.
fn in_graph_order(version: Version) -> Vec<LayerDesc> {
    let mut layers = version.layers();
    layers.sort_by_key(|layer| !layer.key.starts_with("encode."));
    layers
}

/// Makes the failure for a version that differs after `matched` layers.
fn misfit(version: Version, matched: usize, differs: String) -> Misfit {
    let nearest = version.name().to_owned();
    Misfit {
        matched,
        fault: Fault::Unrecognised { nearest, differs },
    }
}

/// Matches layers with the convolutions of one model, run by run (see [`runs`]), and skips repeated runs with equal weights.
fn fit_model<'a>(version: Version, wanted: &[&LayerDesc], convs: &'a [Conv]) -> Result<Pairs<'a>, Misfit> {
    let mut found = runs(convs, |conv| conv.kind).peekable();
    let wanted: Vec<_> = runs(wanted, |layer| layer.kind).collect();
    let mut pairs: Pairs<'a> = Vec::new();
    for (index, run) in wanted.iter().enumerate() {
        let have = found.next().unwrap_or(&[]);
        if let Some(at) = first_difference(have, run) {
            let differs = describe(have.get(at), run.get(at).copied());
            return Err(misfit(version, pairs.len() + at, differs));
        }
        let next = wanted.get(index + 1);
        let is_next = |copy: &[Conv]| next.is_some_and(|next| first_difference(copy, next).is_none());
        let is_copy = |copy: &&'a [Conv]| first_difference(copy, run).is_none() && !is_next(copy);
        while let Some(copy) = found.next_if(is_copy) {
            check_copy(copy, have, run).map_err(|fault| Misfit {
                matched: usize::MAX,
                fault,
            })?;
        }
        pairs.extend(run.iter().map(|&layer| layer.clone()).zip(have));
    }
    let rest = found.map(<[_]>::len).sum::<usize>();
    if rest > 0 && rest != refinement_of(version, convs).len() {
        let differs = format!("after which {rest} more convolutions follow");
        return Err(misfit(version, pairs.len(), differs));
    }
    Ok(pairs)
}

/// Splits a sequence of layers after each transposed convolution, with which the encoder and every block end.
fn runs<T>(chain: &[T], kind: impl Fn(&T) -> ConvKind) -> impl Iterator<Item = &[T]> {
    chain.split_inclusive(move |layer| kind(layer) == ConvKind::Up)
}

/// Returns the index of the first convolution that does not match its layer; `None` if both lists match.
fn first_difference(have: &[Conv], run: &[&LayerDesc]) -> Option<usize> {
    let length = have.len().max(run.len());
    (0..length).find(|&i| match (have.get(i), run.get(i)) {
        (Some(conv), Some(layer)) => !is_layer(conv, layer),
        _ => true,
    })
}

/// Reports whether a convolution has kind, channels, groups and activation of a layer.
fn is_layer(conv: &Conv, layer: &LayerDesc) -> bool {
    let shape = (conv.kind, conv.input, conv.output, conv.groups);
    let has_slope = matches!(layer.activation, ActivationDesc::Prelu(_));
    // An export may merge a ResConv's factors into its convolution; other layers have no factors.
    let may_have_beta = layer.beta.is_some() || conv.beta.is_none();
    shape == (layer.kind, layer.input, layer.output, layer.groups)
        && conv.slope.is_some() == has_slope
        && may_have_beta
}

/// Formats the difference between the convolution found and the layer expected; `None` is the end of either list.
fn describe(conv: Option<&Conv>, layer: Option<&LayerDesc>) -> String {
    let channels =
        |kind: ConvKind, input: usize, output: usize| format!("{kind:?} convolution {input} to {output}");
    let found = conv.map_or("the end".into(), |conv| {
        format!(
            "{} ({})",
            channels(conv.kind, conv.input, conv.output),
            quoted(&conv.name)
        )
    });
    let wanted = layer.map_or("the end of a block".into(), |layer| {
        format!(
            "{} ({})",
            channels(layer.kind, layer.input, layer.output),
            layer.key
        )
    });
    format!("which has {wanted} where the file has {found}")
}

/// Checks that a repeated run has bit-identical weights.
fn check_copy(copy: &[Conv], first: &[Conv], run: &[&LayerDesc]) -> Result<(), Fault> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let same = |a: &Conv, b: &Conv| {
        let parts = |conv: &Conv| {
            let optional = [&conv.slope, &conv.beta].map(|values| values.as_deref().map(bits));
            (bits(&conv.weight), bits(&conv.bias), optional)
        };
        parts(a) == parts(b)
    };
    let differs = (0..copy.len()).find(|&i| !same(&copy[i], &first[i]));
    differs.map_or(Ok(()), |i| {
        Err(Fault::CopiesDiffer {
            key: run[i].key.clone(),
        })
    })
}

/// Returns the refinement convolutions that end the first model, see [`refinement_of`].
fn refinement(version: Version, models: &[(Submodel, Vec<Conv>)]) -> &[Conv] {
    models
        .first()
        .map_or(&[], |(_, convs)| refinement_of(version, convs))
}

/// Returns the convolutions of the refinement that end the non-fast export of 4.0, else an empty slice: the context network
/// for each frame, then the U-Net.
fn refinement_of(version: Version, convs: &[Conv]) -> &[Conv] {
    let Ok(refined) = REFINED.parse::<Version>() else {
        return &[];
    };
    let layers = refined.layers();
    let with_prefix = |prefix: &str| {
        layers
            .iter()
            .filter(move |layer| layer.key.starts_with(prefix))
            .collect::<Vec<_>>()
    };
    let (context, unet) = (with_prefix("contextnet."), with_prefix("unet."));
    let wanted = [&context[..], &context[..], &unet[..]].concat();
    let start = convs.len().saturating_sub(wanted.len());
    let is_4_0 = version.name() == "4.0" || version.name() == "4.1";
    match first_difference(&convs[start..], &wanted) {
        None if is_4_0 => &convs[start..],
        _ => &[],
    }
}
