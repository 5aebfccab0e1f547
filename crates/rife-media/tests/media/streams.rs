//! Which encoder, container and streams come out of a source, and what is refused or told before the first frame.

use super::*;
use rife_testing::Need;

fn spec(path: PathBuf) -> SinkSpec {
    SinkSpec::new(Output::File(path))
}

/// Params of 64x48 at 25 frames a second.
fn params(format: PixelFormat) -> VideoParams {
    VideoParams {
        width: 64,
        height: 48,
        format,
        tags: ColorTags::default(),
        sample_aspect: Ratio::from(1),
        matrix: DisplayMatrix::IDENTITY,
        time_base: Ratio::new(1, 25),
        frame_rate: Some(Ratio::from(25)),
        hdr: probe::HdrMetadata::default(),
    }
}

#[test]
fn what_will_not_be_encoded_is_told_before_the_first_frame() {
    let folder = folder();
    let params = params(PixelFormat::YUV420P);
    let refused = |name: &str, change: &dyn Fn(&mut SinkSpec)| {
        let mut spec = spec(folder.path().join(name));
        change(&mut spec);
        let planned = plan_encoding(&spec, &params).map(|plan| plan.about);
        let planned = planned.expect_err(name).to_string();
        let opened = open_sink(&spec, &params).err().map(|error| error.to_string());
        assert_eq!(opened.as_deref(), Some(planned.as_str()), "{name}");
        planned
    };
    type Change<'a> = &'a dyn Fn(&mut SinkSpec);
    let cases: [(&str, Change<'_>, &str); 9] = [
        ("a.mp4", &|s| s.preset = Some("nonsense".into()), "veryfast"),
        (
            "a.webm",
            &|s| s.preset = Some("slow".into()),
            "the preset of libvpx-vp9 is `slow`",
        ),
        ("a.webm", &|s| s.encoder = Some("mpeg2video".into()), "WebM"),
        (
            "a.ts",
            &|s| s.encoder = Some("ffv1".into()),
            "MPEG-TS holds no FFV1; it holds H.264, H.265.",
        ),
        (
            "a.mp4",
            &|s| s.encoder = Some("prores_ks".into()),
            "MP4 holds no ProRes",
        ),
        (
            "a.mkv",
            &|s| (s.codec, s.crf) = (Some(Codec::Ffv1), Some(3)),
            "ffv1 knows no CRF",
        ),
        (
            "a.mov",
            &|s| (s.codec, s.preset) = (Some(Codec::ProRes), Some("slow".into())),
            "no preset",
        ),
        ("a.3gp", &|s| s.codec = Some(Codec::H265), "3GP holds no H.265"),
        (
            "a.mkv",
            &|s| (s.encoder, s.crf) = (Some("huffyuv".into()), Some(20)),
            "huffyuv knows no CRF",
        ),
    ];
    for (name, change, words) in cases {
        let error = refused(name, change);
        assert!(error.contains(words), "{name}: {error}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn containers_without_a_codec_of_ours_get_a_constant_quality() {
    let folder = folder();
    for (name, words) in [
        ("a.mpg", "mpeg2video -threads:v 8 -q:v 3"),
        ("a.wmv", "wmv2 -threads:v 8 -q:v 3"),
        ("a.ogv", "libtheora -threads:v 8 -q:v 8"),
        ("a.flv", "libx264 -threads:v 8 -crf 18"),
    ] {
        let plan = plan_encoding(&spec(folder.path().join(name)), &params(PixelFormat::YUV420P)).unwrap();
        assert!(plan.about.starts_with(words), "{name}: {}", plan.about);
    }
}

#[test]
fn hardware_that_is_not_there_gives_way_to_software() {
    let folder = folder();
    let input = make(
        &folder,
        "in.mkv",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v ffv1",
    );
    let plain = folder.path().join("plain.mp4");
    pass(&input, &mut spec(plain.clone()), 1).unwrap();
    for word in ["auto", "nvenc", "qsv", "vaapi"] {
        let mut spec = {
            let mut sink = spec(folder.path().join(format!("{word}.mp4")));
            sink.encoder = Some(word.to_owned());
            sink
        };
        let plan = plan_encoding(&spec, &params(PixelFormat::YUV420P)).unwrap();
        if !plan.about.starts_with("libx264") {
            println!("left out: {word} works here: {}", plan.about);
            continue;
        }
        let has = |name: &str| Ffmpeg::find().unwrap().has_encoder(name).unwrap();
        if has("h264_nvenc") && word != "vaapi" && word != "qsv" {
            assert!(
                plan.about.contains("h264_nvenc cannot be used: "),
                "{}",
                plan.about
            );
        }
        if has("h264_vaapi") && word == "vaapi" {
            assert!(
                plan.about
                    .contains("h264_vaapi cannot be used: it finds no such device"),
                "{}",
                plan.about
            );
        }
        let written = pass(&input, &mut spec, 1).unwrap();
        assert_eq!(
            written.warnings,
            Vec::<String>::new(),
            "what was allowed is no warning"
        );
        assert!(
            fs::read(written.path.unwrap()).unwrap() == fs::read(&plain).unwrap(),
            "{word}"
        );
        // Of an encoder by name there is no other.
        if word != "auto" && has(&format!("h264_{word}")) {
            spec.encoder = Some(format!("h264_{word}"));
            spec.overwrite = true;
            let error = plan_encoding(&spec, &params(PixelFormat::YUV420P))
                .unwrap_err()
                .to_string();
            assert!(error.contains(&format!("-c:v h264_{word}")), "{error}");
        }
    }
    // Sizes and alpha that hardware does not take are known without it.
    let odd = VideoParams {
        width: 65,
        ..params(PixelFormat::YUV420P)
    };
    let mut auto = spec(folder.path().join("odd.mp4"));
    auto.encoder = Some("auto".into());
    let plan = plan_encoding(&auto, &odd).unwrap();
    assert!(
        plan.about.starts_with("libx264") && !plan.about.contains("device"),
        "{}",
        plan.about
    );
}

#[test]
fn hardware_decoding_gives_way_to_software_and_unknown_names_are_refused() {
    let folder = folder();
    let input = make(
        &folder,
        "in.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v libx264",
    );
    let plain = frames_of(&input);
    let with = |name: &str| {
        open_source(&{
            let mut spec = SourceSpec::new(Input::File(input.clone()));
            spec.hwaccel = Some(name.to_owned());
            spec
        })
    };
    for name in ["auto", "vaapi", "cuda"] {
        let Some(mut source) = Need::Hardware.met(with(name)) else {
            continue;
        };
        let notes = source.info().media.as_ref().unwrap().notes.clone();
        assert!(read_all(&mut *source).unwrap() == plain, "{name}");
        let told = notes.iter().any(|note| note.contains("decoded by software"));
        assert!(
            name == "auto" || told || Path::new("/dev/dri").exists() || Path::new("/dev/nvidia0").exists()
        );
    }
    let error = with("nonsense").err().unwrap().to_string();
    assert!(
        error.contains("no hardware decoder nonsense; it has ") && error.contains("auto"),
        "{error}"
    );
    assert!(with("-f").is_err());
}

/// The sound of a file, decoded: a hash of its samples in 32 bits.
fn samples(path: &Path) -> String {
    let args = ["-map", "0:a:0", "-c:a", "pcm_s32le", "-f", "hash", "-"];
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(args)
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn sound_without_loss_stays_so_where_the_container_can_hold_it() {
    let folder = folder();
    let picture = "-f lavfi -i testsrc2=s=64x48:r=25:d=1";
    let noise = |layout: &str| {
        let channels = match layout {
            "stereo" => 2,
            "7.1" => 8,
            _ => 6,
        };
        let all = vec!["random(0)-0.5"; channels].join("|");
        format!(
            "{picture} -f lavfi -i aevalsrc=exprs={all}:d=1:s=48000:c={layout} -c:v libx264 -preset ultrafast"
        )
    };
    // Input, its words, output, the codec that comes out.
    let cases = [
        (
            "flac.mp4",
            noise("stereo") + " -c:a flac -strict -2",
            "out.mp4",
            "flac",
        ),
        ("pcm.mkv", noise("stereo") + " -c:a pcm_s24le", "out.mp4", "flac"),
        ("deep.mkv", noise("7.1") + " -c:a pcm_s24le", "out.mp4", "flac"),
        ("flac.mkv", noise("stereo") + " -c:a flac", "out.mov", "alac"),
        (
            "six.mkv",
            noise("5.1") + " -c:a flac -sample_fmt s16",
            "out.mov",
            "pcm_s16le",
        ),
        (
            "bluray.m2ts",
            noise("5.1") + " -c:a pcm_bluray -mpegts_m2ts_mode 1",
            "out.mkv",
            "flac",
        ),
        (
            "truehd.mkv",
            noise("5.1(side)") + " -c:a truehd -strict -2",
            "out.mp4",
            "truehd",
        ),
        (
            "six.mkv",
            noise("5.1") + " -c:a flac -sample_fmt s16",
            "out.avi",
            "pcm_s16le",
        ),
    ];
    for (input, words, output, codec) in cases {
        let input = make(&folder, input, &words);
        let output = folder.path().join(output);
        let written = pass(
            &input,
            &mut {
                let mut sink = spec(output.clone());
                sink.overwrite = true;
                sink
            },
            1,
        )
        .unwrap();
        assert_eq!(written.warnings, Vec::<String>::new(), "{}", input.display());
        let (before, after) = (info_of(&input), info_of(&output));
        let track = |info: &MediaInfo| {
            info.streams
                .iter()
                .find(|s| s.kind == StreamKind::Audio)
                .cloned()
                .unwrap()
        };
        let (before, after) = (track(&before), track(&after));
        assert_eq!(after.codec, codec, "{}", input.display());
        assert_eq!(
            before.audio,
            after.audio,
            "channels and rate of {}",
            input.display()
        );
        assert_eq!(
            samples(&input),
            samples(&output),
            "samples of {}",
            input.display()
        );
    }
}

#[test]
fn transcoded_sound_has_a_bit_rate_for_its_channels_and_a_layout_that_players_know() {
    let folder = folder();
    let all = ["random(0)-0.5"; 6].join("|");
    let source = |layout: &str| format!("-f lavfi -i aevalsrc=exprs={all}:d=2:s=48000:c={layout}");
    let picture = "-f lavfi -i testsrc2=s=64x48:r=25:d=2";
    let vorbis = make(
        &folder,
        "six.mkv",
        &format!(
            "{picture} {} -map 0 -map 1 -c:v libx264 -c:a libvorbis",
            source("5.1")
        ),
    );
    let dts = format!(
        "{picture} {} -map 0 -map 1 -c:v libx264 -c:a dca -strict -2",
        source("5.1(side)")
    );
    let dts = make(&folder, "dts.mkv", &dts);
    for (input, output, codec) in [
        (&vorbis, "a.mp4", "aac"),
        (&dts, "b.mov", "aac"),
        (&dts, "c.webm", "opus"),
    ] {
        let output = folder.path().join(output);
        pass(input, &mut spec(output.clone()), 1).unwrap();
        let info = info_of(&output);
        let sound = info.streams.iter().find(|s| s.kind == StreamKind::Audio).unwrap();
        assert_eq!((sound.codec.as_str(), sound.audio.unwrap().0), (codec, 6));
        let layout = sound.audio_format.as_ref().unwrap().layout.as_deref();
        // With a layout that has no number ffprobe finds none here.
        assert_eq!(layout, Some("5.1"), "{}", output.display());
        let bytes = fs::metadata(&output).unwrap().len();
        assert!(
            bytes > 2 * 300_000 / 8,
            "{bytes} bytes are too few for six channels of noise"
        );
    }
    let plan = plan_streams(&info_of(&vorbis), Container::Avi, Companions::Keep).to_string();
    assert!(plan.contains("transcoded with ac3"), "{plan}");
    let flac = make(
        &folder,
        "flac.mkv",
        &format!("{picture} {} -map 0 -map 1 -c:v libx264 -c:a flac", source("5.1")),
    );
    let plan = plan_streams(&info_of(&flac), Container::WebM, Companions::Keep).to_string();
    assert!(
        plan.contains("libopus (WebM holds no flac, nor any other sound without loss)"),
        "{plan}"
    );
}

#[test]
fn alpha_goes_before_ten_bits() {
    let folder = folder();
    let source =
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2,format=yuva444p10le,colorchannelmixer=aa=0.5 -c:v prores_ks";
    let input = make(&folder, "in.mov", source);
    let keeps = |name: &str| {
        let output = folder.path().join(name);
        let written = pass(&input, &mut spec(output.clone()), 1).unwrap();
        let frame = frames_of(&output).remove(0);
        (frame.format.alpha, written.warnings.join("; "))
    };
    let (alpha, warnings) = keeps("out.webm");
    assert!(
        alpha && warnings.contains("bits become 8") && !warnings.contains("alpha is dropped"),
        "{warnings}"
    );
    assert_eq!(keeps("out.mov"), (true, String::new()), "as the source did");
    let (alpha, warnings) = keeps("out.mp4");
    assert!(
        !alpha && warnings.contains("alpha is dropped: H.264 holds none"),
        "{warnings}"
    );
    let info = open(&input).unwrap().info().clone();
    let plan = plan_encoding(
        &spec(folder.path().join("plan.mp4")),
        &VideoParams::like(&info, info.time_base),
    );
    assert!(
        plan.unwrap().losses[0].contains("alpha is dropped"),
        "it is told before"
    );
}

#[test]
fn results_are_in_the_source_s_container_where_that_holds_them() {
    let folder = folder();
    let picture = "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2";
    let sound = "-f lavfi -i sine=d=0.2";
    let of = |input: &Path, codec| rife_media::sink::extension_like(open(input).unwrap().info(), codec);
    let rich = rich_clip(&folder);
    assert_eq!(of(&rich, None), "mkv");
    assert_eq!(of(&rich, Some(Codec::ProRes)), "mkv");
    for (name, words, extension) in [
        ("a.mp4", format!("{picture} -c:v libx264"), "mp4"),
        ("a.m4v", format!("{picture} -c:v libx264 -f mp4"), "mp4"),
        (
            "a.mov",
            format!("{picture} {sound} -c:v libx264 -c:a pcm_s16le"),
            "mov",
        ),
        (
            "a.webm",
            format!("{picture} {sound} -c:v libvpx -c:a libvorbis"),
            "webm",
        ),
        (
            "a.ts",
            format!("{picture} {sound} -c:v mpeg2video -c:a ac3"),
            "ts",
        ),
        (
            "b.ts",
            format!("{picture} {sound} -c:v libx264 -c:a pcm_bluray -ar 48000 -ac 2 -mpegts_m2ts_mode 1"),
            "mp4",
        ),
        (
            "a.avi",
            format!("{picture} {sound} -c:v mpeg4 -c:a libmp3lame"),
            "mp4",
        ),
        ("b.avi", format!("{picture} {sound} -c:v mpeg4 -c:a wmav2"), "mkv"),
        ("a.wmv", format!("{picture} {sound} -c:v wmv2 -c:a wmav2"), "mkv"),
        (
            "a.flv",
            format!("{picture} {sound} -c:v flv -c:a libmp3lame -ar 44100"),
            "mp4",
        ),
        ("a.gif", picture.to_owned(), "gif"),
        ("named.mp4.mkv", format!("{picture} -c:v libx264 -f mp4"), "mp4"),
    ] {
        assert_eq!(of(&make(&folder, name, &words), None), extension, "{name}");
    }
    assert_eq!(
        of(&folder.path().join("a.webm"), Some(Codec::H264)),
        "mkv",
        "Vorbis in MP4 would be lost"
    );
    assert_eq!(of(&folder.path().join("a.gif"), Some(Codec::H264)), "mp4");
    assert_eq!(of(&folder.path().join("a.mp4"), Some(Codec::Ffv1)), "mkv");
}

#[test]
fn closed_captions_are_told_of() {
    let folder = folder();
    let plain = make(
        &folder,
        "plain.m2v",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v mpeg2video -f mpeg2video",
    );
    let mut bytes = Vec::new();
    let old = fs::read(&plain).unwrap();
    // ATSC A/53 user data before the first slice of each picture: one pair of padding.
    let captions = b"\x00\x00\x01\xb2GA94\x03\x41\xff\xfc\x80\x80\xff";
    let mut index = 0;
    while index < old.len() {
        if old[index..].starts_with(b"\x00\x00\x01\x01") {
            bytes.extend(captions);
        }
        bytes.push(old[index]);
        index += 1;
    }
    fs::write(folder.path().join("captions.m2v"), bytes).unwrap();
    let words = |name: &str| {
        format!(
            "-f mpegvideo -r 25 -i {} -c copy -bsf:v setts=ts=N*48000",
            folder.path().join(name).display()
        )
    };
    for (name, there) in [("captions.m2v", true), ("plain.m2v", false)] {
        for container in ["ts", "mkv"] {
            let input = make(&folder, &format!("in.{container}"), &words(name));
            let info = info_of(&input);
            assert_eq!(
                info.main_video().unwrap().1.captions,
                there,
                "{name} in {container}"
            );
            let plan = plan_streams(&info, Container::Mp4, Companions::Keep).to_string();
            assert_eq!(plan.contains("closed captions"), there, "{plan}");
        }
    }
}

#[test]
fn encrypted_video_is_called_encrypted() {
    let folder = folder();
    let source = "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -f lavfi -i sine=d=1 -c:v libx264 -c:a aac";
    let key = "00112233445566778899aabbccddeeff";
    let cenc =
        format!("{source} -encryption_scheme cenc-aes-ctr -encryption_key {key} -encryption_kid {key}");
    let cenc = make(&folder, "cenc.mp4", &cenc);
    // FairPlay has a sample entry of its own.
    let plain = make(&folder, "plain.mp4", source);
    let change = |from: &[u8], to: &[u8], name: &str, original: &Path| {
        let mut bytes = fs::read(original).unwrap();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let fairplay = change(b"avc1\0\0\0\0\0\0\0\x01", b"drmi", "fairplay.m4v", &plain);
    // A title of 12 bytes makes room for ContentEncodings, ContentEncoding, ContentEncryption, AES.
    let titled = make(
        &folder,
        "titled.mkv",
        &format!("{source} -metadata:s:v title=0123456789ab"),
    );
    let encryption = b"\x6d\x80\x8c\x62\x40\x89\x50\x35\x86\x47\xe1\x81\x05\xec\x80";
    let matroska = change(b"\x53\x6e\x8c0123456789ab", encryption, "encrypted.mkv", &titled);
    let stream = make(&folder, "plain.ts", source);
    let mut bytes = fs::read(&stream).unwrap();
    for packet in bytes.chunks_mut(188) {
        let program = u16::from_be_bytes([packet[1], packet[2]]) & 0x1FFF;
        packet[3] |= if matches!(program, 0x100 | 0x101) { 0x80 } else { 0 };
    }
    let scrambled = folder.path().join("scrambled.ts");
    fs::write(&scrambled, bytes).unwrap();
    for path in [&cenc, &fairplay, &matroska, &scrambled] {
        let error = open(path)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        // A transport stream of which nothing can be read has no video that ffprobe knows of.
        assert!(error.contains("encrypted"), "{}: {error}", path.display());
    }
    for path in [&plain, &titled, &stream] {
        assert!(open(path).is_ok(), "{}", path.display());
    }
    let info = info_of(&cenc);
    assert!(
        info.streams.iter().all(|stream| stream.encrypted),
        "{:?}",
        info.streams
    );
    let sound = plan_streams(&info, Container::Mp4, Companions::Keep).to_string();
    assert!(sound.contains("audio aac: dropped (it is encrypted)"), "{sound}");
}

#[test]
fn refused_codecs_and_containers_are_named_with_a_way_out() {
    let folder = folder();
    let codec = make(
        &folder,
        "in.avi",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v cinepak",
    );
    let list = folder.path().join("list.mp4");
    fs::write(&list, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nx.ts\n").unwrap();
    for (path, words) in [
        (&codec, "its codec cinepak is not"),
        (&list, "its container is not"),
    ] {
        let error = open(path).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains("ffmpeg -i IN"), "{error}");
        assert!(error.len() < 600, "{} letters: {error}", error.len());
    }
}
