//! Which network an ncnn model's convolutions are, and their keys in PyTorch. ONNX writes a layer as often as it
//! is used: the encoder once a frame, the blocks twice in an ensemble. Such copies are checked and dropped.

use rife_backend::ConvKind;

use super::super::Raw;
use super::super::error::shown;
use super::weights::Conv;
use super::{NcnnProblem as Fault, Part};
use crate::layer::{ActivationDesc, LayerDesc};
use crate::spec::Head;
use crate::version::Version;
use crate::weights::WeightTensor;

/// The version whose refinement the 4.0 export outside its fast mode also holds.
const REFINED: &str = "rife";

/// A version's layer with the convolution that is it.
type Pairs<'a> = Vec<(LayerDesc, &'a Conv)>;

/// Why a version does not fit, and how many layers of it did.
struct Misfit {
    matched: usize,
    fault: Fault,
}

/// Gives each convolution its key. `folder` is the folder's name, which decides between versions of the same
/// shapes where it names one.
pub(in super::super) fn assign(models: Vec<(Part, Vec<Conv>)>, folder: Option<&str>) -> Result<Raw, Fault> {
    let named: Option<Version> = folder.and_then(|name| name.parse().ok());
    let mut nearest: Option<Misfit> = None;
    // The newest fits first; a version that the folder names is asked before all.
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

/// RIFE 3 has three blocks of the same width, where 2 has four that narrow.
fn is_version_3(models: &[(Part, Vec<Conv>)]) -> bool {
    let [(_, flownet), _, _] = models else {
        return false;
    };
    let heads: Vec<_> = flownet.iter().filter(|conv| conv.kind == ConvKind::Up).collect();
    heads.len() == 3
        && heads
            .iter()
            .all(|head| head.input == heads[0].input && head.output == 4)
}

fn collect(version: Version, pairs: &Pairs<'_>, models: &[(Part, Vec<Conv>)]) -> Raw {
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

/// What was assumed or left out.
fn notes(version: Version, pairs: &Pairs<'_>, models: &[(Part, Vec<Conv>)]) -> Vec<String> {
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
        let found: Vec<_> = heads.filter_map(|(_, conv)| conv.enlarged).collect();
        // Before 4.5 the heads are enlarged by twice the block's scale.
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

/// Every layer of a version with its convolution, or how far they agree.
fn fit<'a>(version: Version, models: &'a [(Part, Vec<Conv>)]) -> Result<Pairs<'a>, Misfit> {
    let layers = in_graph_order(version);
    let mut pairs = Vec::new();
    for (part, convs) in models {
        let wanted: Vec<_> = layers
            .iter()
            .filter(|layer| layer.key.starts_with(part.prefix))
            .collect();
        let matched = pairs.len();
        let fitted = fit_part(version, &wanted, convs);
        pairs.extend(fitted.map_err(|misfit| Misfit {
            matched: matched.saturating_add(misfit.matched),
            ..misfit
        })?);
    }
    if pairs.len() < layers.len() {
        let left = layers
            .iter()
            .find(|layer| !models.iter().any(|(part, _)| layer.key.starts_with(part.prefix)));
        let what = left.map_or(String::new(), |layer| format!("which also has {}", layer.key));
        return Err(misfit(version, pairs.len(), what));
    }
    Ok(pairs)
}

/// A graph begins with the encoder, whose layers a version lists after its blocks.
fn in_graph_order(version: Version) -> Vec<LayerDesc> {
    let mut layers = version.layers();
    layers.sort_by_key(|layer| !layer.key.starts_with("encode."));
    layers
}

fn misfit(version: Version, matched: usize, differs: String) -> Misfit {
    let nearest = version.name().to_owned();
    Misfit {
        matched,
        fault: Fault::Unrecognised { nearest, differs },
    }
}

fn fit_part<'a>(version: Version, wanted: &[&LayerDesc], convs: &'a [Conv]) -> Result<Pairs<'a>, Misfit> {
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

/// Cuts a chain of layers after each transposed convolution: the encoder and every block end with one.
fn runs<T>(chain: &[T], kind: impl Fn(&T) -> ConvKind) -> impl Iterator<Item = &[T]> {
    chain.split_inclusive(move |layer| kind(layer) == ConvKind::Up)
}

fn first_difference(have: &[Conv], run: &[&LayerDesc]) -> Option<usize> {
    let length = have.len().max(run.len());
    (0..length).find(|&i| match (have.get(i), run.get(i)) {
        (Some(conv), Some(layer)) => !is_layer(conv, layer),
        _ => true,
    })
}

fn is_layer(conv: &Conv, layer: &LayerDesc) -> bool {
    let shape = (conv.kind, conv.input, conv.output, conv.groups);
    let has_slope = matches!(layer.activation, ActivationDesc::Prelu(_));
    // A ResConv's factors may be merged into its convolution; no other has any.
    let may_have_beta = layer.beta.is_some() || conv.beta.is_none();
    shape == (layer.kind, layer.input, layer.output, layer.groups)
        && conv.slope.is_some() == has_slope
        && may_have_beta
}

fn describe(conv: Option<&Conv>, layer: Option<&LayerDesc>) -> String {
    let channels =
        |kind: ConvKind, input: usize, output: usize| format!("{kind:?} convolution {input} to {output}");
    let found = conv.map_or("the end".into(), |conv| {
        format!(
            "{} ({})",
            channels(conv.kind, conv.input, conv.output),
            shown(&conv.name)
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

fn check_copy(copy: &[Conv], first: &[Conv], run: &[&LayerDesc]) -> Result<(), Fault> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let same = |a: &Conv, b: &Conv| {
        let parts = |conv: &Conv| {
            let optional = [&conv.slope, &conv.beta].map(|part| part.as_deref().map(bits));
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

fn refinement(version: Version, models: &[(Part, Vec<Conv>)]) -> &[Conv] {
    models
        .first()
        .map_or(&[], |(_, convs)| refinement_of(version, convs))
}

/// The convolutions of the refinement that end the 4.0 export outside its fast mode, or none: the context network
/// of either frame, and the U-net.
fn refinement_of(version: Version, convs: &[Conv]) -> &[Conv] {
    let Ok(refined) = REFINED.parse::<Version>() else {
        return &[];
    };
    let layers = refined.layers();
    let part = |prefix: &str| {
        layers
            .iter()
            .filter(move |layer| layer.key.starts_with(prefix))
            .collect::<Vec<_>>()
    };
    let (context, unet) = (part("contextnet."), part("unet."));
    let wanted = [&context[..], &context[..], &unet[..]].concat();
    let start = convs.len().saturating_sub(wanted.len());
    let is_4_0 = version.name() == "4.0" || version.name() == "4.1";
    match first_difference(&convs[start..], &wanted) {
        None if is_4_0 => &convs[start..],
        _ => &[],
    }
}
