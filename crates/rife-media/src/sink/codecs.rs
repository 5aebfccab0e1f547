//! Which ffmpeg encoder stands for a codec, with which options, and which pixel format it is given.

use super::{Codec, Container, SinkSpec, VideoParams};
use crate::ffmpeg::args::check_word;
use crate::probe::{HdrMetadata, MasteringDisplay};
use crate::{ColorTags, Ffmpeg, Layout, MediaError, PixelFormat, Range, Result, nut};

/// What has been chosen for an output.
#[derive(Debug)]
pub(super) struct Choice {
    /// The format that frames must have.
    pub(super) format: PixelFormat,
    /// How their codes are to be made.
    pub(super) tags: ColorTags,
    /// Options of the encoder.
    pub(super) args: Vec<String>,
    /// What is lost, in words.
    pub(super) notes: Vec<String>,
}

/// Chooses by the user's wish, else by what is usual for the container.
pub(super) fn choose(
    spec: &SinkSpec,
    container: Container,
    params: &VideoParams,
    ffmpeg: &Ffmpeg,
) -> Result<Choice> {
    check_quality(spec)?;
    let codec = spec.codec.or_else(|| container.usual_codec());
    if let (Some(codec), None) = (codec, &spec.encoder) {
        check_fit(codec, container)?;
    }
    let encoder = encoder_name(spec, codec, params, ffmpeg)?;
    let wanted = match spec.pixel_format {
        Some(format) => format,
        None => usual_format(
            if spec.encoder.is_some() { None } else { codec },
            params,
            encoder.as_deref(),
        ),
    };
    if nut::fourcc(wanted).is_none() {
        return Err(MediaError::Unsupported(format!(
            "pixel format {wanted} cannot be sent to ffmpeg"
        )));
    }
    let mut choice = Choice {
        format: wanted,
        tags: tags_for(wanted, params),
        args: Vec::new(),
        notes: Vec::new(),
    };
    if params.format.alpha && !wanted.alpha {
        choice
            .notes
            .push("alpha is dropped: this codec holds none (ProRes, FFV1, VP9 and PNG do)".to_owned());
    }
    if let Some(encoder) = encoder {
        choice.args = options(spec, codec, container, &encoder)?;
        hdr_options(&encoder, &params.hdr, &mut choice);
        if spec.encoder.is_none() {
            choice
                .args
                .extend(["-pix_fmt".to_owned(), pixel_format_of(&encoder, wanted)]);
        }
    }
    Ok(choice)
}

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

/// The encoder; nothing where it is left to ffmpeg's default for the file's extension.
fn encoder_name(
    spec: &SinkSpec,
    codec: Option<Codec>,
    params: &VideoParams,
    ffmpeg: &Ffmpeg,
) -> Result<Option<String>> {
    let Some(codec) = codec else {
        return Ok(spec.encoder.clone());
    };
    let candidates: &[&str] = match codec {
        Codec::H264 => &["libx264"],
        Codec::H265 => &["libx265"],
        // SVT-AV1 takes even sizes from 64 pixels.
        Codec::Av1 if odd(params) || params.width < 64 || params.height < 64 => &["libaom-av1"],
        Codec::Av1 => &["libsvtav1", "libaom-av1"],
        Codec::Vp9 => &["libvpx-vp9"],
        Codec::ProRes => &["prores_ks"],
        Codec::Ffv1 => &["ffv1"],
        Codec::Gif => &["gif"],
    };
    let named: Vec<&str> = spec
        .encoder
        .as_deref()
        .map_or(candidates.to_vec(), |name| vec![name]);
    for name in &named {
        if ffmpeg.has_encoder(name)? {
            return Ok(Some((*name).to_owned()));
        }
    }
    let message = format!(
        "this ffmpeg has no encoder {}; `ffmpeg -encoders` lists what it has",
        named.join(" or ")
    );
    Err(MediaError::Unsupported(message))
}

fn odd(params: &VideoParams) -> bool {
    params.width % 2 == 1 || params.height % 2 == 1
}

/// The format that keeps what the codec can keep: ten bits where more than eight come, alpha, odd sizes.
fn usual_format(codec: Option<Codec>, params: &VideoParams, encoder: Option<&str>) -> PixelFormat {
    let source = params.format;
    let depth = if source.depth > 8 { 10 } else { 8 };
    let full_chroma = matches!(source.layout, Layout::Yuv444 | Layout::Rgb);
    match codec {
        // H.264 and H.265 crop in whole chroma samples, so an odd size needs chroma at full size.
        Some(Codec::H264 | Codec::H265) if odd(params) => PixelFormat::new(Layout::Yuv444, depth),
        Some(Codec::Vp9) => PixelFormat::new(Layout::Yuv420, depth).with_alpha(source.alpha && depth == 8),
        Some(Codec::ProRes) if full_chroma || source.alpha => {
            PixelFormat::new(Layout::Yuv444, 10).with_alpha(source.alpha)
        }
        Some(Codec::ProRes) => PixelFormat::new(Layout::Yuv422, 10),
        Some(Codec::Ffv1) => lossless(source),
        Some(Codec::Gif) => PixelFormat::RGB8.with_alpha(source.alpha),
        None if encoder.is_none() => PixelFormat::YUV420P,
        _ => PixelFormat::new(Layout::Yuv420, depth),
    }
}

/// The source's own format, or the next that holds it whole.
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

/// What an encoder calls the format; GIF gets its palette from a filter.
fn pixel_format_of(encoder: &str, format: PixelFormat) -> String {
    if encoder == "gif" {
        "pal8".to_owned()
    } else {
        format.ffmpeg_name().unwrap_or_default()
    }
}

fn options(
    spec: &SinkSpec,
    codec: Option<Codec>,
    container: Container,
    encoder: &str,
) -> Result<Vec<String>> {
    let mut args = vec!["-c:v".to_owned(), encoder.to_owned()];
    let mut add = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
    let crf = |usual: u32| spec.crf.unwrap_or(usual).to_string();
    let preset = spec.preset.as_deref();
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
        _ => {
            if let Some(crf) = spec.crf {
                add(quality_option(encoder), &crf.to_string());
            }
            preset.into_iter().for_each(|preset| add("-preset", preset));
        }
    }
    let hevc = codec == Some(Codec::H265) || encoder.contains("hevc") || encoder == "libx265";
    if hevc && matches!(container, Container::Mp4 | Container::Mov) {
        // Players of Apple open H.265 under this tag only.
        add("-tag:v", "hvc1");
    }
    if matches!(encoder, "ffv1" | "prores_ks" | "gif") && spec.crf.is_some() {
        return Err(MediaError::Unsupported(format!("{encoder} knows no CRF")));
    }
    Ok(args)
}

/// How families of hardware encoders call a constant quality.
fn quality_option(encoder: &str) -> &'static str {
    match encoder.rsplit('_').next() {
        Some("nvenc") => "-cq",
        Some("qsv") => "-global_quality",
        Some("vaapi") => "-qp",
        Some("videotoolbox") => "-q:v",
        _ => "-crf",
    }
}

/// HDR10 static metadata, which raw video does not carry, is given to the encoder again.
fn hdr_options(encoder: &str, hdr: &HdrMetadata, choice: &mut Choice) {
    let mut parts = Vec::new();
    let option = match encoder {
        "libx265" => {
            parts.push("log-level=error".to_owned());
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

/// `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)` in the standard's integer units.
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

/// The same in decimals.
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
