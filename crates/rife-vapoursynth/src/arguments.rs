//! The filter's arguments: those of vs-rife and of the ncnn plugin where both agree, and the options of the model from the
//! library's table.

use std::ffi::CString;

use num_rational::Ratio;
use rife::options::{Kind, ModelOptions, OptionSet, SceneOptions};
use vapoursynth4_sys::VSVideoInfo;

use crate::api::{MapRef, c_string};

/// Name of the option for the detection of cuts, as on the command line.
const CUT_THRESHOLD: &str = "cut_threshold";

/// The arguments that are not options of the model, with their types; those in front have the order of vs-rife.
const FIRST: [(&str, &str); 8] = [
    ("model", "data"),
    ("factor_num", "int"),
    ("factor_den", "int"),
    ("fps_num", "int"),
    ("fps_den", "int"),
    ("scale", "float"),
    ("sc", "int"),
    ("sc_threshold", "float"),
];

/// What the filter does at a change of scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scenes {
    /// Whether frames are repeated rather than interpolated there.
    pub(crate) repeat: bool,
    /// A change is where the mean difference of luma, 0 to 1, is above this, as `misc.SCDetect` has it.
    pub(crate) difference: Option<f64>,
    /// Else: similarity (SSIM) below which there may be a cut, as `--cut-threshold` of the command line.
    pub(crate) similarity: f32,
}

/// The arguments.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) model: ModelOptions,
    pub(crate) scenes: Scenes,
    /// Output frames per source frame.
    pub(crate) factor: Ratio<i64>,
    /// The clip's new rate, if the rate was given or the clip's is constant.
    pub(crate) rate: Option<Ratio<i64>>,
    /// Whether the rate was given.
    pub(crate) constant: bool,
}

/// Returns VapourSynth's type of an option's value.
fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag | Kind::Whole(..) => "int",
        Kind::Number(..) | Kind::Scale => "float",
        _ => "data",
    }
}

/// Returns the filter's parameters as VapourSynth writes them.
pub(crate) fn signature() -> String {
    let mut text = "clip:vnode;".to_owned();
    let mut add = |name: &str, kind: &str| text += &format!("{name}:{kind}:opt;");
    for (name, kind) in FIRST {
        add(name, kind);
    }
    for name in ["ensemble", "device"] {
        add(name, type_of(option(name).kind));
    }
    let known =
        |name: &str| FIRST.iter().any(|(first, _)| *first == name) || ["ensemble", "device"].contains(&name);
    for opt in ModelOptions::TABLE.iter().filter(|opt| !known(opt.name)) {
        add(opt.name, type_of(opt.kind));
    }
    add(CUT_THRESHOLD, "float");
    text
}

/// Returns an option of the model, which the table has.
fn option(name: &str) -> &'static rife::options::Opt {
    let found = ModelOptions::TABLE.iter().find(|opt| opt.name == name);
    found.unwrap_or(&ModelOptions::TABLE[0])
}

impl Arguments {
    /// Reads the arguments for a clip.
    ///
    /// # Errors
    /// A sentence that names the argument, its value, and what is accepted.
    pub(crate) fn read(map: &MapRef<'_>, clip: &VSVideoInfo) -> Result<Self, String> {
        let mut model = ModelOptions::default();
        set(&mut model, map)?;
        let mut scene = SceneOptions::default();
        let (factor, rate, constant) = rates(map, clip)?;
        set_cut_threshold(&mut scene, map)?;
        let difference = map.float(c"sc_threshold");
        if let Some(value) = difference.filter(|value| !(0.0..=1.0).contains(value)) {
            return Err(format!("sc_threshold is {value}: it is from 0 to 1"));
        }
        let scenes = Scenes {
            repeat: map.int(c"sc") != Some(0),
            difference,
            similarity: scene.cut_threshold,
        };
        Ok(Self {
            model,
            scenes,
            factor,
            rate,
            constant,
        })
    }
}

/// Sets the options of the model that were given.
fn set(options: &mut ModelOptions, map: &MapRef<'_>) -> Result<(), String> {
    for opt in ModelOptions::TABLE {
        let key = c_string(opt.name);
        let Some(text) = text(map, &key, opt.kind) else {
            continue;
        };
        let parsed = opt
            .kind
            .parse(&text)
            .and_then(|value| options.set(opt.name, &value));
        parsed.map_err(|refusal| format!("{} is {text:?}: {refusal}", opt.name))?;
    }
    Ok(())
}

/// Sets the threshold of the detection of cuts.
fn set_cut_threshold(options: &mut SceneOptions, map: &MapRef<'_>) -> Result<(), String> {
    let Some(opt) = SceneOptions::TABLE.iter().find(|opt| opt.name == CUT_THRESHOLD) else {
        return Ok(());
    };
    let Some(text) = text(map, &c_string(opt.name), opt.kind) else {
        return Ok(());
    };
    let parsed = opt
        .kind
        .parse(&text)
        .and_then(|value| options.set(opt.name, &value));
    parsed.map_err(|refusal| format!("{CUT_THRESHOLD} is {text}: {refusal}"))
}

/// Returns an argument as text, as the command line has it; `None` if it was not given.
fn text(map: &MapRef<'_>, key: &CString, kind: Kind) -> Option<String> {
    match (type_of(kind), kind) {
        ("int", Kind::Flag) => map.int(key).map(|value| (value != 0).to_string()),
        ("int", _) => map.int(key).map(|value| value.to_string()),
        ("float", _) => map.float(key).map(|value| value.to_string()),
        _ => map.text(key),
    }
}

/// Factor, new rate, and whether the rate was given, as in [`Arguments`].
type Rates = (Ratio<i64>, Option<Ratio<i64>>, bool);

/// Reads the factor, or computes it from the wanted rate and the clip's.
fn rates(map: &MapRef<'_>, clip: &VSVideoInfo) -> Result<Rates, String> {
    let source = (clip.fps_num > 0 && clip.fps_den > 0).then(|| Ratio::new(clip.fps_num, clip.fps_den));
    let fraction = |num: &str, den: &str, default: i64| {
        let [numerator, denominator] = [num, den].map(|name| map.int(&c_string(name)));
        let (numerator, denominator) = (numerator.unwrap_or(default), denominator.unwrap_or(1));
        match (1..=i64::from(i32::MAX)).contains(&numerator)
            && (1..=i64::from(i32::MAX)).contains(&denominator)
        {
            true => Ok(Ratio::new(numerator, denominator)),
            false => Err(format!(
                "{num} and {den} are {numerator} and {denominator}: they are from 1 to 2147483647"
            )),
        }
    };
    let given = map.int(c"fps_num").is_some();
    if !given && map.int(c"fps_den").is_some() {
        return Err("fps_den is given without fps_num".to_owned());
    }
    if !given {
        let factor = fraction("factor_num", "factor_den", 2)?;
        if factor < Ratio::from(1) {
            return Err(format!("factor_num/factor_den is {factor}: it is from 1 to 256"));
        }
        return Ok((factor, source.and_then(|source| product(source, factor)), false));
    }
    let rate = fraction("fps_num", "fps_den", 0)?;
    if rate > Ratio::from(1000) {
        return Err(format!(
            "fps_num/fps_den is {rate}: it is up to 1000 frames per second"
        ));
    }
    let source =
        source.ok_or("fps_num needs a clip of a constant rate: use factor_num, or std.AssumeFPS before")?;
    let factor = product(rate, source.recip()).ok_or("the clip's rate has too many digits")?;
    Ok((factor, Some(rate), true))
}

/// Multiplies; `None` if the result has more than 63 bits.
fn product(a: Ratio<i64>, b: Ratio<i64>) -> Option<Ratio<i64>> {
    let wide = |value: Ratio<i64>| Ratio::new(i128::from(*value.numer()), i128::from(*value.denom()));
    let exact = wide(a) * wide(b);
    Some(Ratio::new(
        i64::try_from(*exact.numer()).ok()?,
        i64::try_from(*exact.denom()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_has_every_option_of_the_model_once() {
        let text = signature();
        let names: Vec<_> = text
            .split(';')
            .filter_map(|part| part.split(':').next())
            .collect();
        for opt in ModelOptions::TABLE {
            assert_eq!(
                names.iter().filter(|name| **name == opt.name).count(),
                1,
                "{}",
                opt.name
            );
        }
        assert!(
            text.starts_with(
                "clip:vnode;model:data:opt;factor_num:int:opt;factor_den:int:opt;fps_num:int:opt;"
            )
        );
        assert!(text.contains("ensemble:int:opt;device:data:opt;") && text.contains("scale:float:opt;"));
    }

    #[test]
    fn products_that_do_not_fit_are_none() {
        assert_eq!(
            product(Ratio::new(30000, 1001), Ratio::from(2)),
            Some(Ratio::new(60000, 1001))
        );
        assert_eq!(product(Ratio::from(i64::MAX), Ratio::from(2)), None);
    }
}
