//! Encoder selection: ffmpeg encoder, options and pixel format for a codec and container, tested on one frame.

use super::hardware::{Family, families, family_of};
use super::{Codec, Container, Output, SinkSpec, VideoParams, trial};
use crate::ffmpeg::args::check_word;
use crate::persist::journal::Journal;
use crate::probe::{HdrMetadata, MasteringDisplay};
use crate::{ColorTags, Ffmpeg, Layout, MediaError, PixelFormat, Range, Result, nut};

/// Number of threads of every software encoder. The output of some of them depends on it, so it is the same on every
/// machine: resumed jobs and jobs sharded over several machines are byte-identical to others. Eight threads encode faster
/// than frames are interpolated.
const THREADS: &str = "8";
/// x265's number of parallel frames and size of its thread pool.
const X265_THREADS: &str = "frame-threads=3:pools=8";

/// The encoder chosen for an output.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// Pixel format of the frames that it is sent.
    pub(super) format: PixelFormat,
    /// Colour tags of the frames that it is sent.
    pub(super) tags: ColorTags,
    /// ffmpeg's options for encoder and settings.
    pub(super) args: Vec<String>,
    /// Messages about losses, such as of alpha.
    pub(super) notes: Vec<String>,
    /// Why earlier candidates were not chosen; empty for the first candidate.
    pub(super) instead_of: Vec<String>,
}

impl Choice {
    /// Returns encoder, options and pixel format as text for display.
    pub(super) fn describe(&self) -> String {
        let options = self
            .args
            .split_first()
            .map_or(String::new(), |(_, rest)| rest.join(" "));
        let encoder = if options.is_empty() {
            "ffmpeg's usual encoder"
        } else {
            &options
        };
        let mut text = format!("{encoder}, from {}", self.format);
        for reason in &self.instead_of {
            text += &format!("; {reason}");
        }
        text
    }
}

/// An encoder that is tested.
struct Candidate {
    /// ffmpeg's name; `None` for ffmpeg's default for the container.
    encoder: Option<String>,
    /// The family of a hardware encoder.
    family: Option<Family>,
}

/// Chooses the requested encoder, else the container's default, and tests it on one frame. Where the request is a hardware
/// family or `auto`, the first encoder that works is chosen, finally a software one.
pub(super) fn choose(
    spec: &SinkSpec,
    container: Container,
    params: &VideoParams,
    ffmpeg: &Ffmpeg,
) -> Result<Choice> {
    check_quality(spec)?;
    let codec = wanted_codec(spec, container, params);
    if let Some(codec) = codec {
        check_fit(codec, container)?;
    }
    let mut refused = Vec::new();
    let mut last = String::new();
    let mut candidates = candidates(spec, container, codec, params, ffmpeg)?;
    if let Some(begun) = begun_with(spec) {
        // A resumed job prefers the encoder of the earlier run.
        let is_it = |candidate: &Candidate| {
            let choice = candidate.choice(spec, container, codec, params, ffmpeg);
            choice.is_ok_and(|choice| choice.args.join(" ") == begun)
        };
        candidates.sort_by_key(|candidate| !is_it(candidate));
    }
    for candidate in candidates {
        let name = candidate
            .encoder
            .clone()
            .unwrap_or_else(|| "its usual encoder".to_owned());
        if let Some(reason) = candidate.family.and_then(|family| family.refusal(params)) {
            last = reason.to_owned();
            refused.push(format!("{name} cannot be used: {reason}"));
            continue;
        }
        let mut choice = candidate.choice(spec, container, codec, params, ffmpeg)?;
        let sent = VideoParams {
            format: choice.format,
            tags: choice.tags,
            ..in_units_of(container, params)
        };
        match trial::one_frame(spec, container, &sent, &choice.args, ffmpeg)? {
            Ok(()) => {
                choice.instead_of = refused;
                return Ok(choice);
            }
            Err(reason) => {
                let brief = brief(&reason, candidate.family);
                refused.push(format!("{name} cannot be used: {brief}"));
                last = format!("with {}: {reason}", choice.args.join(" "));
            }
        }
    }
    let (width, height) = (params.width, params.height);
    let message = match refused.len() {
        1 => format!(
            "this video ({width}x{height}) cannot be encoded into {} {last}",
            container.name()
        ),
        _ => format!(
            "this video ({width}x{height}) cannot be encoded into {}: {}",
            container.name(),
            refused.join("; ")
        ),
    };
    Err(MediaError::Unsupported(message))
}

/// Returns the encoder options of an unfinished job that is resumed, where a hardware family or `auto` is requested; else
/// `None`.
fn begun_with(spec: &SinkSpec) -> Option<String> {
    asked_families(spec)?;
    let (Output::File(path), Some(resume)) = (&spec.output, &spec.resume) else {
        return None;
    };
    let going_on = Some(resume).filter(|resume| !resume.restart)?;
    Journal::recorded(path, going_on, ENCODER_FACT)
}

/// Name of the job fingerprint's field with the encoder options.
pub(super) const ENCODER_FACT: &str = "the encoder";

/// Returns the parameters with the container's fixed time base (GIF: 1/100 s), else unchanged.
pub(super) fn in_units_of(container: Container, params: &VideoParams) -> VideoParams {
    let mut params = params.clone();
    if container == Container::Gif {
        params.time_base = num_rational::Ratio::new(1, 100);
    }
    params
}

/// Returns the requested families of hardware encoders; `None` where an encoder's name or nothing was requested.
fn asked_families(spec: &SinkSpec) -> Option<Vec<Family>> {
    families(spec.encoder.as_deref()?)
}

/// Returns the requested encoder's name; `None` for a hardware family, `auto` and no request.
fn asked_encoder(spec: &SinkSpec) -> Option<&str> {
    spec.encoder.as_deref().filter(|word| families(word).is_none())
}

/// Returns the codec to encode: that of the requested encoder, the requested one, one that keeps the source's alpha, or the
/// container's default; `None` for a codec outside [`Codec`].
pub(super) fn wanted_codec(spec: &SinkSpec, container: Container, params: &VideoParams) -> Option<Codec> {
    match asked_encoder(spec) {
        Some(name) => codec_of(name),
        None => spec
            .codec
            .or_else(|| codec_with_alpha(spec, container, params))
            .or_else(|| container.usual_codec()),
    }
}

/// Returns the codec of an ffmpeg encoder; `None` for codecs outside [`Codec`].
fn codec_of(encoder: &str) -> Option<Codec> {
    Some(match encoder {
        "prores" | "prores_ks" | "prores_aw" | "prores_videotoolbox" => Codec::ProRes,
        "ffv1" => Codec::Ffv1,
        "gif" => Codec::Gif,
        "libx264" | "libopenh264" => Codec::H264,
        "libx265" | "libkvazaar" => Codec::H265,
        "libvpx-vp9" => Codec::Vp9,
        "libaom-av1" | "libsvtav1" | "librav1e" => Codec::Av1,
        name if family_of(name).is_some() => match name.split('_').next() {
            Some("h264") => Codec::H264,
            Some("hevc") => Codec::H265,
            Some("vp9") => Codec::Vp9,
            Some("av1") => Codec::Av1,
            _ => return None,
        },
        _ => return None,
    })
}

/// Returns a codec with alpha where the source has alpha in a video codec; `None` for image codecs such as GIF and PNG, which
/// have an alpha channel even where nothing is transparent.
fn codec_with_alpha(spec: &SinkSpec, container: Container, params: &VideoParams) -> Option<Codec> {
    if !params.format.alpha {
        return None;
    }
    let (media, _) = spec.companions.as_ref()?;
    let source = media.main_video()?.0.codec.as_str();
    match (container, source) {
        (Container::Mov, "prores" | "qtrle" | "vp8" | "vp9" | "ffv1") => Some(Codec::ProRes),
        (Container::Matroska, "vp8" | "vp9") => Some(Codec::Vp9),
        (Container::Matroska, "prores" | "qtrle" | "ffv1") => Some(Codec::Ffv1),
        _ => None,
    }
}

/// Returns the encoders that this ffmpeg has for the request, in the order in which they are tested; an error where it has none.
fn candidates(
    spec: &SinkSpec,
    container: Container,
    codec: Option<Codec>,
    params: &VideoParams,
    ffmpeg: &Ffmpeg,
) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    let asked = asked_encoder(spec);
    for family in asked_families(spec).unwrap_or_default() {
        if let Some(name) = codec.and_then(|codec| family.encoder(codec))
            && ffmpeg.has_encoder(&name)?
        {
            found.push(Candidate {
                encoder: Some(name),
                family: Some(family),
            });
        }
    }
    let software: Vec<&str> = match (asked, codec) {
        (Some(name), _) => vec![name],
        (None, Some(codec)) => software(codec, params).to_vec(),
        (None, None) => usual_encoder(container).into_iter().collect(),
    };
    let hardware = found.len();
    for name in &software {
        if ffmpeg.has_encoder(name)? {
            found.push(Candidate {
                encoder: Some((*name).to_owned()),
                family: family_of(name),
            });
        }
    }
    if found.len() == hardware && !software.is_empty() {
        let message = format!(
            "this ffmpeg has no encoder {}; `ffmpeg -encoders` lists what it has",
            software.join(" or ")
        );
        return Err(MediaError::Unsupported(message));
    }
    if found.is_empty() {
        found.push(Candidate {
            encoder: None,
            family: None,
        });
    }
    Ok(found)
}

/// Returns the software encoders of a codec, best first.
fn software(codec: Codec, params: &VideoParams) -> &'static [&'static str] {
    match codec {
        Codec::H264 => &["libx264"],
        Codec::H265 => &["libx265"],
        // SVT-AV1 supports even sizes from 64 pixels.
        Codec::Av1 if odd(params) || params.width < 64 || params.height < 64 => &["libaom-av1"],
        Codec::Av1 => &["libsvtav1", "libaom-av1"],
        Codec::Vp9 => &["libvpx-vp9"],
        Codec::ProRes => &["prores_ks"],
        Codec::Ffv1 => &["ffv1"],
        Codec::Gif => &["gif"],
    }
}

/// Returns the encoder for a container without a default [`Codec`]; `None` for ffmpeg's default.
fn usual_encoder(container: Container) -> Option<&'static str> {
    match container {
        Container::Other("mpeg" | "mxf") => Some("mpeg2video"),
        Container::Other("ogg") => Some("libtheora"),
        Container::Other("asf") => Some("wmv2"),
        _ => None,
    }
}

/// Shortens ffmpeg's error message to one line.
fn brief(reason: &str, family: Option<Family>) -> String {
    if family.is_some() && reason.contains("Device creation failed") {
        return "it finds no such device".to_owned();
    }
    let line = reason
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it gives no reason");
    let words = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .map_or(line, |(_, words)| words);
    words.trim().chars().take(200).collect()
}

impl Candidate {
    /// Determines pixel format, options and losses for this encoder.
    fn choice(
        &self,
        spec: &SinkSpec,
        container: Container,
        codec: Option<Codec>,
        params: &VideoParams,
        ffmpeg: &Ffmpeg,
    ) -> Result<Choice> {
        let encoder = self.encoder.as_deref();
        let wanted = spec.pixel_format.unwrap_or_else(|| match self.family {
            Some(_) => hardware_format(codec, params),
            None => usual_format(codec, params, encoder),
        });
        if nut::fourcc(wanted).is_none() {
            return Err(MediaError::Unsupported(format!(
                "pixel format {wanted} cannot be sent to ffmpeg"
            )));
        }
        let mut choice = Choice {
            format: wanted,
            tags: tags_for(wanted, params),
            args: Vec::new(),
            notes: losses(codec, wanted, container, params),
            instead_of: Vec::new(),
        };
        let Some(encoder) = encoder else {
            return Ok(choice);
        };
        choice.args = options(spec, codec, container, encoder, params, ffmpeg)?;
        hdr_options(encoder, &params.hdr, &mut choice);
        match self.family {
            Some(family) => choice.args.extend(family.device(wanted.depth > 8)),
            // For other encoders ffmpeg selects the nearest supported pixel format.
            None if asked_encoder(spec).is_some() && codec.is_none() => {}
            None => choice
                .args
                .extend(["-pix_fmt".to_owned(), pixel_format_of(encoder, wanted)]),
        }
        Ok(choice)
    }
}

/// Returns messages about what source frames of the properties `params` lose in the encoder's pixel `format` or in
/// `container`: alpha, bit depth, chroma resolution, HDR. `codec` is `None` for an encoder chosen by its ffmpeg name.
fn losses(
    codec: Option<Codec>,
    format: PixelFormat,
    container: Container,
    params: &VideoParams,
) -> Vec<String> {
    let source = params.format;
    let mut notes = Vec::new();
    if source.alpha && !format.alpha {
        notes.push(format!(
            "alpha is dropped: {} holds none; ProRes in .mov, FFV1 in .mkv and VP9 in .webm do, and so does PNG",
            codec.map_or("this encoder", Codec::name)
        ));
    }
    if source.alpha && format.alpha && source.depth > 8 && format.depth == 8 {
        notes.push(format!(
            "{} bits become 8: with alpha {} holds no more; ProRes and FFV1 do",
            source.depth,
            codec.map_or("this encoder", Codec::name)
        ));
    }
    if container == Container::Gif && params.tags.is_hdr() {
        notes.push("HDR is lost: GIF has no place for what the codes mean".to_owned());
    }
    notes
}

/// Checks CRF, encoder name and preset name of the request.
fn check_quality(spec: &SinkSpec) -> Result<()> {
    if let Some(crf) = spec.crf.filter(|&crf| crf > 63) {
        return Err(MediaError::limit("the CRF", crf, "0 (best) to 63"));
    }
    spec.encoder
        .as_deref()
        .map_or(Ok(()), |name| check_word("the encoder's name", name))?;
    spec.preset
        .as_deref()
        .map_or(Ok(()), |name| check_word("the preset", name))
}

/// Returns an error where the container does not support the codec.
fn check_fit(codec: Codec, container: Container) -> Result<()> {
    if container.accepts(codec) {
        return Ok(());
    }
    let held: Vec<_> = container.codecs().map(Codec::name).collect();
    let message = format!(
        "{} holds no {}; it holds {}. Matroska (.mkv) holds every codec but GIF",
        container.name(),
        codec.name(),
        held.join(", ")
    );
    Err(MediaError::Unsupported(message))
}

/// Reports whether width or height is odd.
fn odd(params: &VideoParams) -> bool {
    params.width % 2 == 1 || params.height % 2 == 1
}

/// Returns the pixel format of a software encoder that preserves the source best: 10 bits for more than 8, alpha and full
/// chroma where the codec supports them, 4:4:4 for odd sizes of H.264 and H.265.
fn usual_format(codec: Option<Codec>, params: &VideoParams, encoder: Option<&str>) -> PixelFormat {
    let source = params.format;
    let depth = if source.depth > 8 { 10 } else { 8 };
    let full_chroma = matches!(source.layout, Layout::Yuv444 | Layout::Rgb);
    match codec {
        // H.264 and H.265 crop in chroma samples, so an odd size needs 4:4:4.
        Some(Codec::H264 | Codec::H265) if odd(params) => PixelFormat::new(Layout::Yuv444, depth),
        // The alpha layer has 8 bits; alpha is preferred to 10-bit colour.
        Some(Codec::Vp9) if source.alpha => PixelFormat::YUV420P.with_alpha(true),
        Some(Codec::ProRes) if full_chroma || source.alpha => {
            PixelFormat::new(Layout::Yuv444, 10).with_alpha(source.alpha)
        }
        Some(Codec::ProRes) => PixelFormat::new(Layout::Yuv422, 10),
        Some(Codec::Ffv1) => lossless(source),
        Some(Codec::Gif) => PixelFormat::RGB8.with_alpha(source.alpha),
        None if encoder.is_none_or(by_scale) => PixelFormat::YUV420P,
        _ => PixelFormat::new(Layout::Yuv420, depth),
    }
}

/// Returns the pixel format of hardware encoders: 4:2:0, with 10 bits where source and codec have them.
fn hardware_format(codec: Option<Codec>, params: &VideoParams) -> PixelFormat {
    let deep = params.format.depth > 8 && matches!(codec, Some(Codec::H265 | Codec::Av1 | Codec::Vp9));
    PixelFormat::new(Layout::Yuv420, if deep { 10 } else { 8 })
}

/// Returns the source's pixel format, or one that NUT supports and that holds it without loss (16 bits for floats).
fn lossless(source: PixelFormat) -> PixelFormat {
    let source = if source.is_float() {
        PixelFormat { depth: 16, ..source }
    } else {
        source
    };
    if nut::fourcc(source).is_some() {
        source
    } else {
        PixelFormat {
            layout: Layout::Yuv444,
            ..source
        }
    }
}

/// Returns the colour tags of frames converted to `format`.
fn tags_for(format: PixelFormat, params: &VideoParams) -> ColorTags {
    if format.layout == Layout::Rgb {
        return params.tags.for_rgb();
    }
    let tags = params.tags.for_yuv();
    let from_other = format.layout != Layout::Gray && params.format.layout == Layout::Gray;
    if from_other && tags.range == Range::Unspecified {
        return ColorTags {
            range: Range::Limited,
            ..tags
        };
    }
    tags
}

/// Returns ffmpeg's name of the pixel format for an encoder; `pal8` for GIF.
fn pixel_format_of(encoder: &str, format: PixelFormat) -> String {
    if encoder == "gif" {
        "pal8".to_owned()
    } else {
        format.ffmpeg_name().unwrap_or_default()
    }
}

/// Returns ffmpeg's options of an encoder: name, threads, quality, preset and codec tag.
fn options(
    spec: &SinkSpec,
    codec: Option<Codec>,
    container: Container,
    encoder: &str,
    params: &VideoParams,
    ffmpeg: &Ffmpeg,
) -> Result<Vec<String>> {
    let mut args = ["-c:v", encoder].map(str::to_owned).to_vec();
    if family_of(encoder).is_none() {
        args.extend(["-threads:v", THREADS].map(str::to_owned));
    }
    let mut add = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
    let crf = |usual: u32| spec.crf.unwrap_or(usual).to_string();
    let preset = spec.preset.as_deref();
    preset.map_or(Ok(()), |preset| check_preset(encoder, preset))?;
    match encoder {
        "libx264" | "libx265" => {
            add("-crf", &crf(if encoder == "libx264" { 18 } else { 20 }));
            add("-preset", preset.unwrap_or("medium"));
        }
        "libsvtav1" => {
            add("-crf", &crf(28));
            add("-preset", preset.unwrap_or("8"));
        }
        "libaom-av1" | "libvpx-vp9" => {
            add("-crf", &crf(if encoder == "libaom-av1" { 28 } else { 24 }));
            let speed = if encoder == "libaom-av1" { "6" } else { "2" };
            ["-b:v", "0", "-row-mt", "1"]
                .chunks(2)
                .for_each(|pair| add(pair[0], pair[1]));
            add("-cpu-used", preset.unwrap_or(speed));
        }
        "prores_ks" => add("-vendor", "apl0"),
        "ffv1" => ["-level", "3", "-g", "1", "-slicecrc", "1"]
            .chunks(2)
            .for_each(|pair| add(pair[0], pair[1])),
        "gif" => {}
        _ => args.extend(other_options(spec, codec, encoder, params, ffmpeg)?),
    }
    let hevc = codec == Some(Codec::H265);
    if hevc && matches!(container, Container::Mp4 | Container::Mov) {
        // Apple's players require this tag.
        args.extend(["-tag:v", "hvc1"].map(str::to_owned));
    }
    if matches!(encoder, "ffv1" | "prores_ks" | "gif") {
        let given = [(spec.crf.is_some(), "CRF"), (preset.is_some(), "preset")];
        if let Some((_, what)) = given.iter().find(|(given, _)| *given) {
            return Err(MediaError::Unsupported(format!("{encoder} knows no {what}")));
        }
    }
    Ok(args)
}

/// The presets of x264 and x265.
const X26X_PRESETS: [&str; 10] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];

/// Checks the preset of an encoder whose presets are known; the error lists what is accepted, which ffmpeg's does not.
fn check_preset(encoder: &str, preset: &str) -> Result<()> {
    let number =
        |range: std::ops::RangeInclusive<i32>| preset.parse().is_ok_and(|number| range.contains(&number));
    let (known, accepted) = match encoder {
        "libx264" | "libx265" => (X26X_PRESETS.contains(&preset), X26X_PRESETS.join(", ")),
        "libsvtav1" => (number(0..=13), "0 (slowest) to 13".to_owned()),
        "libvpx-vp9" | "libaom-av1" => (number(0..=8), "0 (slowest) to 8".to_owned()),
        _ => return Ok(()),
    };
    if known {
        return Ok(());
    }
    Err(MediaError::limit(
        format!("the preset of {encoder}"),
        format!("`{preset}`"),
        accepted,
    ))
}

/// Returns ffmpeg's quality and preset options of an encoder that [`options`] does not list: by hardware family, or by the
/// options that the encoder has; an error where it has none for a requested value.
fn other_options(
    spec: &SinkSpec,
    codec: Option<Codec>,
    encoder: &str,
    params: &VideoParams,
    ffmpeg: &Ffmpeg,
) -> Result<Vec<String>> {
    let unknown = |what: &str| Err(MediaError::Unsupported(format!("{encoder} knows no {what}")));
    let pair = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let mut args = Vec::new();
    let family = family_of(encoder);
    match (family, spec.crf) {
        (Some(family), crf) => args.extend(family.quality(codec, crf.unwrap_or(usual_crf(codec)), params)),
        (None, crf) if by_scale(encoder) => {
            let crf = crf.unwrap_or(18);
            // Theora's quality rises to 10, that of MPEG-4 encoders falls to 1.
            let scale = if encoder == "libtheora" {
                10 - crf / 9
            } else {
                (crf / 6).max(1)
            };
            args.extend(pair("-q:v", &scale.to_string()));
        }
        (None, None) => {}
        (None, Some(crf)) if ffmpeg.encoder_has_option(encoder, "crf")? => {
            args.extend(pair("-crf", &crf.to_string()));
        }
        (None, Some(crf)) if ffmpeg.encoder_has_option(encoder, "qp")? => {
            args.extend(pair("-qp", &crf.to_string()));
        }
        (None, Some(_)) => return unknown("CRF"),
    }
    if let Some(preset) = &spec.preset {
        let option = match family {
            Some(family) => family.preset_option(),
            None => ffmpeg.encoder_has_option(encoder, "preset")?.then_some("-preset"),
        };
        match option {
            Some(option) => args.extend(pair(option, preset)),
            None => return unknown("preset"),
        }
    }
    Ok(args)
}

/// Returns the default CRF of a codec.
fn usual_crf(codec: Option<Codec>) -> u32 {
    match codec {
        Some(Codec::H265) => 20,
        Some(Codec::Av1) => 28,
        Some(Codec::Vp9) => 24,
        _ => 18,
    }
}

/// Reports whether an encoder's constant quality is ffmpeg's `-q:v` (a quantizer scale), without which it writes 200 kbit/s.
fn by_scale(encoder: &str) -> bool {
    matches!(
        encoder,
        "mpeg1video"
            | "mpeg2video"
            | "mpeg4"
            | "libxvid"
            | "msmpeg4"
            | "msmpeg4v2"
            | "wmv1"
            | "wmv2"
            | "flv"
            | "h261"
            | "h263"
            | "h263p"
            | "mjpeg"
            | "libtheora"
    )
}

/// Adds private options of x264, x265 and SVT-AV1 to `choice`: HDR10 static metadata, which raw video does not carry, and
/// settings for reproducible output.
fn hdr_options(encoder: &str, hdr: &HdrMetadata, choice: &mut Choice) {
    let mut parts = Vec::new();
    let option = match encoder {
        "libx265" => {
            // `info=0`: otherwise x265 writes the processor's name into the video.
            parts.push(format!("log-level=error:info=0:{X265_THREADS}"));
            parts.extend(
                hdr.mastering
                    .map(|m| format!("hdr10=1:master-display={}", in_units(m))),
            );
            parts.extend(
                hdr.content_light
                    .map(|(max, mean)| format!("max-cll={max},{mean}")),
            );
            "-x265-params"
        }
        "libx264" => {
            // A lookahead thread makes decisions depend on timing.
            parts.push("sync-lookahead=0".to_owned());
            parts.extend(
                hdr.mastering
                    .map(|m| format!("mastering-display={}", in_units(m))),
            );
            parts.extend(hdr.content_light.map(|(max, mean)| format!("cll={max},{mean}")));
            "-x264-params"
        }
        "libsvtav1" => {
            parts.extend(
                hdr.mastering
                    .map(|m| format!("mastering-display={}", in_decimals(m))),
            );
            parts.extend(
                hdr.content_light
                    .map(|(max, mean)| format!("content-light={max},{mean}")),
            );
            "-svtav1-params"
        }
        _ => {
            if hdr.mastering.is_some() || hdr.content_light.is_some() {
                choice.notes.push(format!(
                    "HDR10 mastering metadata is dropped: {encoder} does not write it"
                ));
            }
            return;
        }
    };
    if !parts.is_empty() {
        choice.args.extend([option.to_owned(), parts.join(":")]);
    }
}

/// Formats mastering metadata as `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)` in the integer units of SMPTE ST 2086.
fn in_units(m: MasteringDisplay) -> String {
    let point = |p: [u32; 2]| format!("({},{})", p[0], p[1]);
    let [red, green, blue] = m.primaries.map(point);
    format!(
        "G{green}B{blue}R{red}WP{}L({},{})",
        point(m.white_point),
        m.luminance[1],
        m.luminance[0]
    )
}

/// Formats mastering metadata as `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)` in decimals (luminance in cd/m2).
fn in_decimals(m: MasteringDisplay) -> String {
    let point = |p: [u32; 2]| {
        let [x, y] = p.map(|v| f64::from(v) / 50_000.0);
        format!("({x:.5},{y:.5})")
    };
    let [red, green, blue] = m.primaries.map(point);
    let [low, high] = m.luminance.map(|v| f64::from(v) / 10_000.0);
    format!(
        "G{green}B{blue}R{red}WP{}L({high:.4},{low:.4})",
        point(m.white_point)
    )
}
