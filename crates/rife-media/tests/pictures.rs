//! Still pictures: what is refused and why, what is accepted, and that colours, alpha and depth stay what they were.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{DynamicImage, ExtendedColorType, ImageBuffer, ImageEncoder, ImageFormat as Kind, Rgb, Rgba};
use num_rational::Ratio;
use rife_media::*;

type Folder = tempfile::TempDir;

fn folder() -> Folder {
    tempfile::tempdir().unwrap()
}

fn written(folder: &Folder, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Runs ffmpeg with these words; the output goes to `folder/name`.
fn make(folder: &Folder, name: &str, words: &str) -> PathBuf {
    let path = folder.path().join(name);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(words.split_whitespace())
        .arg(format!("file:{}", path.display()))
        .status()
        .unwrap();
    assert!(status.success(), "ffmpeg {words}");
    path
}

/// Waves and noise, so that every compression has something to do.
fn picture(width: u32, height: u32) -> ImageBuffer<Rgb<u8>, Vec<u8>> {
    let mut state = 7_u32;
    ImageBuffer::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wave = |a: f32| (127.0 + 100.0 * (a / 9.0).sin()) as u8;
        let noise = (state >> 28) as u8;
        Rgb([
            wave(x as f32) + noise,
            wave(y as f32) + noise,
            ((x + y) % 200) as u8 + noise,
        ])
    })
}

fn encoded(picture: &DynamicImage, kind: Kind) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, kind).unwrap();
    out.into_inner()
}

fn read(path: &Path) -> Result<(Frame, ColorTags)> {
    read_image(path, &Limits::default())
}

/// The error of a picture, which decoding and looking at its header must agree on where `early`.
fn refused(path: &Path, early: bool) -> String {
    let error = read(path).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains(&*path.file_name().unwrap().to_string_lossy()),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
    if early {
        let header = image_header(path, &Limits::default()).unwrap_err();
        assert_eq!(header.to_string(), error);
    }
    error
}

fn all(source: &mut dyn Source) -> Vec<Frame> {
    std::iter::from_fn(|| source.next_frame().unwrap()).collect()
}

/// The most memory that this process has held, in megabytes.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? / 1024)
}

/// An EXR of one block of zeros with this data window, shown in 64 by 64 pixels.
fn exr([width, height]: [i32; 2], tile: Option<[u32; 2]>, compression: u8) -> Vec<u8> {
    let attribute = |name: &str, kind: &str, value: &[u8]| {
        let mut out = [name.as_bytes(), b"\0", kind.as_bytes(), b"\0"].concat();
        out.extend((value.len() as i32).to_le_bytes());
        out.extend(value);
        out
    };
    let window = |right: i32, bottom: i32| -> Vec<u8> {
        [0, 0, right, bottom]
            .iter()
            .flat_map(|v: &i32| v.to_le_bytes())
            .collect()
    };
    let mut channels = Vec::new();
    for name in [b"B", b"G", b"R"] {
        channels.extend([name.as_slice(), b"\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0"].concat());
    }
    channels.push(0);
    let mut out = b"\x76\x2f\x31\x01\x02".to_vec();
    out.extend([if tile.is_some() { 2 } else { 0 }, 0, 0]);
    out.extend(attribute("channels", "chlist", &channels));
    out.extend(attribute("compression", "compression", &[compression]));
    out.extend(attribute("dataWindow", "box2i", &window(width - 1, height - 1)));
    out.extend(attribute("displayWindow", "box2i", &window(63, 63)));
    out.extend(attribute("lineOrder", "lineOrder", &[0]));
    out.extend(attribute("pixelAspectRatio", "float", &1_f32.to_le_bytes()));
    out.extend(attribute("screenWindowCenter", "v2f", &[0; 8]));
    out.extend(attribute("screenWindowWidth", "float", &1_f32.to_le_bytes()));
    if let Some([width, height]) = tile {
        let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
        out.extend(attribute("tiles", "tiledesc", &[&sides[..], &[0]].concat()));
    }
    out.push(0);
    out.extend([0; 64]);
    out
}

/// A baseline JPEG of few bytes whose header says this size.
fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = encoded(&DynamicImage::new_rgb8(16, 16), Kind::Jpeg);
    let at = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A little-endian TIFF of one directory: tags with their values, the data before it.
fn tiff(data: &[u8], tags: &[(u16, &[u32])]) -> Vec<u8> {
    let mut out = b"II*\0\0\0\0\0".to_vec();
    out.extend(data);
    let mut entries = Vec::new();
    for (tag, values) in tags {
        entries.extend(tag.to_le_bytes());
        entries.extend(4_u16.to_le_bytes());
        entries.extend((values.len() as u32).to_le_bytes());
        if let [value] = values {
            entries.extend(value.to_le_bytes());
        } else {
            entries.extend((out.len() as u32).to_le_bytes());
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
    let directory = out.len() as u32;
    out[4..8].copy_from_slice(&directory.to_le_bytes());
    out.extend((tags.len() as u16).to_le_bytes());
    out.extend(entries);
    out.extend([0; 4]);
    out
}

#[test]
fn pictures_that_claim_more_than_they_hold_are_refused_before_memory_is_taken() {
    let folder = folder();
    let before = peak();
    let mut bombs = vec![
        ("wide.exr", exr([1_000_000_001, 16], None, 3), "data window"),
        ("wide.png", exr([30_000_001, 16], None, 3), "data window"),
        ("line.exr", exr([1_000_000_001, 1], None, 2), "data window"),
        ("tall.exr", exr([64, 16_000], None, 0), "cannot hold"),
        ("tile.exr", exr([64, 64], Some([60_000, 60_000]), 3), "a block of"),
        (
            "sides.exr",
            exr([64, 64], Some([0x7FFF_FFFF, 0x7FFF_FFFF]), 3),
            "tile.exr",
        ),
        ("huge.jpg", jpeg_claiming(16384, 8192), "cannot hold"),
        ("huge.png", jpeg_claiming(8192, 8192), "cannot hold"),
        ("beyond.jpg", jpeg_claiming(65535, 65535), "frame size"),
    ];
    // A canvas of 64 by 64 with a picture of 16383 by 16383 in it.
    let mut webp = b"RIFF\x3a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\0\0\x3f\0\0VP8 \x1c\0\0\0".to_vec();
    webp.extend(b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f");
    webp.extend([0; 18]);
    bombs.push(("canvas.webp", webp, "16383x16383"));
    let lzw = [
        (256, &[16384][..]),
        (257, &[8192]),
        (258, &[8]),
        (259, &[5]),
        (262, &[1]),
        (277, &[1]),
        (273, &[8]),
        (278, &[8192]),
        (279, &[200]),
    ];
    bombs.push(("lzw.tif", tiff(&[0; 200], &lzw), "200 bytes of data"));
    for (name, bytes, why) in &bombs {
        let error = refused(&written(&folder, name, bytes), true);
        assert!(error.contains(why) || *name == "sides.exr", "{name}: {error}");
    }
    if let Some((before, after)) = before.zip(peak()) {
        assert!(after - before < 400, "{before} MB before, {after} MB after");
    }
    let mut small = Limits::default();
    small.max_memory = 1_000_000;
    let path = written(
        &folder,
        "sound.png",
        &encoded(&picture(640, 480).into(), Kind::Png),
    );
    assert!(read(&path).is_ok());
    assert!(
        image_header(&path, &small)
            .unwrap_err()
            .to_string()
            .contains("the memory that decoding")
    );
}

#[test]
fn flat_pictures_are_accepted_however_small_their_files_are() {
    let folder = folder();
    let black = "-f lavfi -i color=black:s=1920x1080:d=0.04";
    let mut paths = vec![
        make(
            &folder,
            "palette.png",
            &format!("{black} -vf format=rgb24,split[a][b];[a]palettegen[p];[b][p]paletteuse"),
        ),
        make(&folder, "bit.png", &format!("{black} -pix_fmt monob")),
        make(
            &folder,
            "deflate.tif",
            &format!("{black} -pix_fmt rgb24 -compression_algo deflate"),
        ),
        make(
            &folder,
            "lzw.tif",
            &format!("{black} -pix_fmt rgb24 -compression_algo lzw"),
        ),
    ];
    let flat = DynamicImage::new_rgb8(3840, 2160);
    for (name, kind) in [
        ("flat.webp", Kind::WebP),
        ("flat.jpg", Kind::Jpeg),
        ("flat.png", Kind::Png),
    ] {
        paths.push(written(&folder, name, &encoded(&flat, kind)));
    }
    // All white by Fax group 4: a bit a line.
    let fax = [
        (256, &[1728][..]),
        (257, &[2200]),
        (258, &[1]),
        (259, &[4]),
        (262, &[0]),
        (277, &[1]),
        (273, &[8]),
        (278, &[2200]),
        (279, &[280]),
    ];
    paths.push(written(&folder, "fax.tif", &tiff(&[0xFF; 280], &fax)));
    for path in paths {
        let (frame, _) = read(&path).unwrap();
        let sides = [1920, 1728, 3840];
        assert!(sides.contains(&frame.width), "{}", path.display());
    }
}

/// A progressive JPEG of 40 by 32 pixels.
const PROGRESSIVE: &str = "\
    ffd8ffe000104a46494600010100000100010000ffdb0043000d090a0b0a080d0b0a0b0e0e0d0f13201513121213271c1e17\
    202e2931302e292d2c333a4a3e333646372c2d405741464c4e525352323e5a615a50604a51524fffdb0043010e0e0e131113\
    261515264f352d354f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f\
    4f4f4f4f4f4f4f4fffc20011080020002803012200021101031101ffc4001a00000203010100000000000000000000000204\
    0001050306ffc400160101010100000000000000000000000000050304ffda000c0301000210031000000168b22f1eb76f26\
    d137d0cca9445a2608d8e5933689a53ac3d4ffc4001810010101010100000000000000000000000100020313ffda00080101\
    00010502cf427a13d2cf4b3d2cacacad95b2b6794f29e5679472b3b2764ecb3a2f42ffc4001a110003010101010000000000\
    000000000000021201130311ffda0008010301013f01e19070cb17c33e16f05bd89af27fffc4001b11000202030100000000\
    000000000000000002011103041214ffda0008010201013f014d78b135e28f3c09d589d519f7722bd21fffc4001410010000\
    0000000000000000000000000040ffda0008010100063f0227ffc40019100003010101000000000000000000000000101101\
    2131ffda0008010100013f21914ca98530844d4a080e3e2fb26595091c54e5f0ffda000c03010002000300000010582c0080\
    3fffc4001811010100030000000000000000000000000100101121ffda0008010301013f10a34d6f711a382dffc400181101\
    01000300000000000000000000000001001031b1ffda0008010201013f10c0414a9d24d476ffc4001e100003010002020300\
    000000000000000000011121314151618191b1ffda0008010100013f1081a88394691dd2212a3a9292f655d9c33679416d30\
    2271a26b055e108b944bd0e2b51849afb28e8a96af81c0b8fd1fffd9";

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[test]
fn damaged_pictures_are_found_and_never_filled_up() {
    let folder = folder();
    let sound: DynamicImage = picture(160, 120).into();
    let files = [
        ("a.jpg", encoded(&sound, Kind::Jpeg)),
        ("p.jpg", unhex(PROGRESSIVE)),
        (
            "r.jpg",
            fs::read(make(
                &folder,
                "made.jpg",
                "-f lavfi -i testsrc2=s=160x120 -frames:v 1 -c:v mjpeg -slices 4 -huffman default",
            ))
            .unwrap(),
        ),
        ("a.png", encoded(&sound, Kind::Png)),
        ("a.webp", encoded(&sound, Kind::WebP)),
        ("a.tif", encoded(&sound, Kind::Tiff)),
        ("a.bmp", encoded(&sound, Kind::Bmp)),
        ("a.ppm", encoded(&sound, Kind::Pnm)),
        (
            "a.exr",
            encoded(&DynamicImage::ImageRgb32F(sound.to_rgb32f()), Kind::OpenExr),
        ),
    ];
    for (name, bytes) in &files {
        read(&written(&folder, name, bytes)).unwrap();
        for share in [30, 60, 90, 97] {
            let path = written(
                &folder,
                &format!("cut-{share}-{name}"),
                &bytes[..bytes.len() * share / 100],
            );
            let error = refused(&path, false);
            assert!(error.contains("cut off") || error.contains("damaged"), "{error}");
        }
        let (middle, checked) = (bytes.len() / 2, !name.ends_with("tif") && !name.ends_with("webp"));
        if !checked || name.ends_with("bmp") || name.ends_with("ppm") || name.ends_with("exr") {
            continue;
        }
        // What is lost in the middle, and what is overwritten.
        refused(
            &written(
                &folder,
                &format!("hole-{name}"),
                &[&bytes[..middle], &bytes[middle + 60..]].concat(),
            ),
            false,
        );
        let mut zeros = bytes.clone();
        zeros[middle..middle + 60].fill(0);
        refused(&written(&folder, &format!("zeros-{name}"), &zeros), false);
    }
    // A JPEG that is cut off and has an end all the same; and one that something follows, as in motion photos.
    let jpeg = &files[0].1;
    let cut = [&jpeg[..jpeg.len() / 2], &[0xFF, 0xD9]].concat();
    assert!(refused(&written(&folder, "ended.jpg", &cut), false).contains("row"));
    read(&written(
        &folder,
        "motion.jpg",
        &[&jpeg[..], b"....ftypmp42", &[7; 3000]].concat(),
    ))
    .unwrap();
    // Scans without end take time without end.
    let sound = unhex(PROGRESSIVE);
    let scan = sound
        .windows(4)
        .rposition(|bytes| bytes == [0xFF, 0xDA, 0, 12])
        .unwrap();
    let is_marker = |pair: &[u8]| pair[0] == 0xFF && pair[1] != 0;
    let end = scan + 14 + sound[scan + 14..].windows(2).position(is_marker).unwrap();
    let many = [&sound[..scan], &sound[scan..end].repeat(300), &sound[end..]].concat();
    assert!(refused(&written(&folder, "many.jpg", &many), false).contains("more than 100 scans"));
    // Found before the first frame, where its file's end tells.
    let name = |n: usize| format!("sequence/{n}.jpg");
    fs::create_dir(folder.path().join("sequence")).unwrap();
    (0..3).for_each(|n| drop(written(&folder, &name(n), jpeg)));
    written(&folder, &name(3), &jpeg[..jpeg.len() / 2]);
    let error = open_source(&SourceSpec::new(Input::parse(folder.path().join("sequence"))));
    let error = error.err().unwrap().to_string();
    assert!(error.contains("3.jpg") && error.contains("row"), "{error}");
}

#[test]
fn a_decoder_that_panics_ends_in_an_error() {
    let folder = folder();
    let side: &[u32] = &[16];
    let tiles = [
        (256, side),
        (257, side),
        (258, &[8]),
        (259, &[1]),
        (262, &[2]),
        (277, &[3]),
        (284, &[2]),
        (322, side),
        (323, side),
        (324, &[8, 264, 520]),
        (325, &[256, 256, 256]),
    ];
    let path = written(&folder, "planes.tif", &tiff(&[9; 768], &tiles));
    let error = refused(&path, true);
    assert!(
        error.contains("in tiles with a plane for each channel") && error.contains("tiffcp"),
        "{error}"
    );
    // Without tiles such a picture is read.
    let strips = [
        (256, side),
        (257, side),
        (258, &[8][..]),
        (259, &[1]),
        (262, &[2]),
        (277, &[3]),
        (284, &[2]),
        (273, &[8, 264, 520]),
        (278, &[16]),
        (279, &[256, 256, 256]),
    ];
    let (frame, _) = read(&written(&folder, "strips.tif", &tiff(&[9; 768], &strips))).unwrap();
    assert_eq!((frame.width, frame.height), (16, 16));
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_and_not_waited_for() {
    let folder = folder();
    let pipe = folder.path().join("pipe.png");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = folder.path().join("zero.png");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    for path in [&pipe, &link] {
        assert!(refused(path, true).contains("is to be a regular file"));
        assert!(open_source(&SourceSpec::new(Input::parse(path))).is_err());
    }
}

/// A TIFF whose pictures follow each other.
fn pages(pictures: &[Vec<u8>]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut link = 4;
    for picture in pictures {
        let data = &picture[8..u32::from_le_bytes(picture[4..8].try_into().unwrap()) as usize];
        if out.is_empty() {
            out.extend(b"II*\0\0\0\0\0");
        }
        let at = out.len() as u32;
        out.extend(data);
        let directory = (out.len() as u32).to_le_bytes();
        out[link..link + 4].copy_from_slice(&directory);
        let entries = &picture[8 + data.len()..];
        let mut entries = entries.to_vec();
        // The strip lies where it has been moved to.
        for entry in entries[2..]
            .chunks_exact_mut(12)
            .filter(|entry| entry[..2] == 273_u16.to_le_bytes())
        {
            entry[8..12].copy_from_slice(&at.to_le_bytes());
        }
        link = out.len() + entries.len() - 4;
        out.extend(entries);
    }
    out
}

#[test]
fn several_pictures_in_one_file_are_all_seen_or_refused() {
    let folder = folder();
    // Animated PNG, whatever its name.
    let apng = make(
        &folder,
        "moving.png",
        "-f lavfi -i testsrc2=s=64x48:r=10 -frames:v 6 -f apng -plays 0",
    );
    assert_eq!(Input::parse(&apng), Input::File(apng.clone()));
    let mut source = open_source(&SourceSpec::new(Input::parse(&apng))).unwrap();
    assert_eq!(all(&mut *source).len(), 6);
    assert!(refused(&apng, true).contains("an animation (APNG) of 6 pictures"));
    // One frame is a picture.
    let still = make(
        &folder,
        "still.png",
        "-f lavfi -i testsrc2=s=64x48:r=10 -frames:v 1 -f apng",
    );
    assert!(matches!(Input::parse(&still), Input::Images(_)) && read(&still).is_ok());

    // Animated WebP, as it is written here: a rate whose milliseconds are rounded.
    let webp = folder.path().join("moving.webp");
    let spec = SinkSpec::new(Output::File(webp.clone()));
    let rate = Ratio::from(30);
    let mut like = open_source(&SourceSpec::new(Input::Images(still)))
        .unwrap()
        .info()
        .clone();
    like.format = PixelFormat::RGB8.with_alpha(true);
    let params = VideoParams {
        frame_rate: Some(rate),
        ..VideoParams::like(&like, rate.recip())
    };
    let mut sink = open_sink(&spec, &params).unwrap();
    let frames: Vec<Frame> = (0..7_u8)
        .map(|n| {
            let mut frame = Frame::zeroed(64, 48, like.format).at(Ratio::new(i64::from(n), 30), rate.recip());
            frame.planes[0].samples = Samples::U8(vec![n * 30; 64 * 48]);
            frame.planes[3].samples = Samples::U8(vec![255 - n; 64 * 48]);
            frame
        })
        .collect();
    frames.iter().for_each(|frame| sink.write(frame).unwrap());
    sink.finish().unwrap();
    let mut source = open_source(&SourceSpec::new(Input::parse(&webp))).unwrap();
    assert_eq!(
        (
            source.info().frame_rate,
            source.info().frames,
            source.info().variable_rate
        ),
        (Some(rate), Some(7), false)
    );
    assert_eq!(all(&mut *source), frames);
    assert!(refused(&webp, true).contains("an animation (WebP) of 7 pictures"));
    let cut = fs::read(&webp).unwrap();
    let cut = written(&folder, "cut.webp", &cut[..cut.len() * 2 / 3]);
    let error = open_source(&SourceSpec::new(Input::parse(&cut))).err().unwrap();
    assert!(error.to_string().contains("cut off"), "{error}");

    // The pages of a TIFF, without the small copy among them.
    let page = |value: u32, kind: u32| {
        let tags = [
            (254, &[kind][..]),
            (256, &[20]),
            (257, &[20]),
            (258, &[8]),
            (259, &[1]),
            (262, &[1]),
            (277, &[1]),
            (273, &[8]),
            (278, &[20]),
            (279, &[400]),
        ];
        tiff(&vec![value as u8; 400], &tags)
    };
    let book = written(
        &folder,
        "book.tif",
        &pages(&[page(10, 0), page(99, 1), page(20, 0), page(30, 0)]),
    );
    let mut source = open_source(&SourceSpec::new(Input::parse(&book))).unwrap();
    assert_eq!(source.info().frames, Some(3));
    let levels: Vec<_> = all(&mut *source)
        .into_iter()
        .map(|frame| frame.planes[0].samples.clone())
        .collect();
    assert_eq!(levels, [10, 20, 30].map(|level| Samples::U8(vec![level; 400])));
    assert!(refused(&book, true).contains("a file (TIFF) of 3 pictures"));
    assert!(read(&written(&folder, "leaf.tif", &pages(&[page(10, 0), page(99, 1)]))).is_ok());
    fs::create_dir(folder.path().join("shelf")).unwrap();
    fs::copy(&book, folder.path().join("shelf/1.tif")).unwrap();
    assert!(open_source(&SourceSpec::new(Input::parse(folder.path().join("shelf")))).is_err());
    // A GIF is read as the video that it is, whatever its name.
    let gif = make(
        &folder,
        "made.gif",
        "-f lavfi -i testsrc2=s=64x48:r=10 -frames:v 6",
    );
    let named = folder.path().join("gif.png");
    fs::copy(&gif, &named).unwrap();
    assert_eq!(
        all(&mut *open_source(&SourceSpec::new(Input::parse(&named))).unwrap()).len(),
        6
    );
}

fn with_profile(encoder: &mut impl ImageEncoder, profile: &moxcms::ColorProfile) {
    encoder.set_icc_profile(profile.encode().unwrap()).unwrap();
}

#[test]
fn colours_with_a_profile_are_turned_into_srgb() {
    use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder};
    let folder = folder();
    let (w, h) = (16, 16);
    // Display P3 (200, 100, 50) is sRGB (215, 93, 31), by the published matrices.
    let pixels: Vec<u8> = [200, 100, 50].repeat(256);
    let p3 = moxcms::ColorProfile::new_display_p3();
    let eight = ExtendedColorType::Rgb8;
    let save = |name: &str, profile: &moxcms::ColorProfile| {
        let path = folder.path().join(name);
        let file = fs::File::create(&path).unwrap();
        match name.rsplit_once('.').unwrap().1 {
            "png" => {
                let mut encoder = PngEncoder::new(file);
                with_profile(&mut encoder, profile);
                encoder.write_image(&pixels, w, h, eight).unwrap();
            }
            "jpg" => {
                let mut encoder = JpegEncoder::new_with_quality(file, 100);
                with_profile(&mut encoder, profile);
                encoder.write_image(&pixels, w, h, eight).unwrap();
            }
            "webp" => {
                let mut encoder = WebPEncoder::new_lossless(file);
                with_profile(&mut encoder, profile);
                encoder.write_image(&pixels, w, h, eight).unwrap();
            }
            _ => {
                let mut encoder = TiffEncoder::new(file);
                with_profile(&mut encoder, profile);
                encoder.write_image(&pixels, w, h, eight).unwrap();
            }
        }
        path
    };
    let first = |path: &Path| {
        let (frame, tags) = read(path).unwrap();
        assert_eq!(tags, ColorTags::SRGB);
        [0, 1, 2].map(|plane| match &frame.planes[plane].samples {
            Samples::U8(codes) => i32::from(codes[0]),
            Samples::U16(codes) => (f32::from(codes[0]) / 257.0).round() as i32,
            Samples::F32(_) => -1,
        })
    };
    let near = |a: [i32; 3], b: [i32; 3], what: &str| {
        assert!(
            a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 2),
            "{what}: {a:?} where {b:?} is right"
        );
    };
    for name in ["p3.png", "p3.jpg", "p3.webp", "p3.tif"] {
        let path = save(name, &p3);
        near(first(&path), [215, 93, 31], name);
        let notes = image_header(&path, &Limits::default()).unwrap().notes;
        assert!(notes[0].contains("converted from Display P3"), "{notes:?}");
    }
    // Adobe RGB (1998): (200, 100, 50) is sRGB (227, 100, 42).
    near(
        first(&save("adobe.png", &moxcms::ColorProfile::new_adobe_rgb())),
        [227, 100, 42],
        "adobe",
    );
    // sRGB's own profile changes nothing, to the bit.
    let path = save("srgb.png", &moxcms::ColorProfile::new_srgb());
    assert_eq!(first(&path), [200, 100, 50]);
    assert!(image_header(&path, &Limits::default()).unwrap().notes.is_empty());
    // 16 bits with alpha, and gray.
    let mut deep = Vec::new();
    let mut encoder = PngEncoder::new(&mut deep);
    with_profile(&mut encoder, &p3);
    let codes: Vec<u8> = [51400_u16, 25700, 12850, 30000]
        .repeat(256)
        .iter()
        .flat_map(|code| code.to_ne_bytes())
        .collect();
    encoder
        .write_image(&codes, w, h, ExtendedColorType::Rgba16)
        .unwrap();
    let path = written(&folder, "deep.png", &deep);
    near(first(&path), [215, 93, 31], "16 bits");
    assert_eq!(
        read(&path).unwrap().0.planes[3].samples,
        Samples::U16(vec![30000; 256])
    );
    let mut gray = Vec::new();
    let mut encoder = PngEncoder::new(&mut gray);
    with_profile(&mut encoder, &moxcms::ColorProfile::new_gray_with_gamma(1.0));
    encoder
        .write_image(&[55; 256], w, h, ExtendedColorType::L8)
        .unwrap();
    // Light of 0.2157 is coded as 127 or 128 by the sRGB curve.
    near(first(&written(&folder, "gray.png", &gray)), [128; 3], "gray");
    // The plan says so, once for all.
    let mut source = open_source(&SourceSpec::new(Input::parse(folder.path().join("p3.*")))).unwrap();
    let notes = source.notes();
    assert!(
        notes.len() == 1 && notes[0].starts_with("4 pictures, such as"),
        "{notes:?}"
    );
    assert_eq!(all(&mut *source).len(), 4);
}

#[test]
fn the_widest_format_of_a_folder_counts_and_its_odd_sizes_are_found_first() {
    let folder = folder();
    let plain = encoded(&picture(32, 32).into(), Kind::Png);
    let clear: ImageBuffer<Rgba<u8>, _> = ImageBuffer::from_pixel(32, 32, Rgba([1, 2, 3, 77]));
    written(&folder, "1.png", &plain);
    written(&folder, "2.png", &encoded(&clear.into(), Kind::Png));
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = ImageBuffer::from_pixel(32, 32, Rgb([1000, 2001, 3]));
    written(&folder, "3.png", &encoded(&deep.into(), Kind::Png));
    let spec = SourceSpec::new(Input::parse(folder.path()));
    let mut source = open_source(&spec).unwrap();
    assert_eq!(source.info().format, PixelFormat::RGB16.with_alpha(true));
    let frames = all(&mut *source);
    assert_eq!(frames[1].planes[3].samples, Samples::U16(vec![77 * 257; 1024]));
    assert_eq!(frames[2].planes[1].samples, Samples::U16(vec![2001; 1024]));
    assert_eq!(frames[0].planes[3].samples, Samples::U16(vec![65535; 1024]));

    let odd = written(&folder, "4.png", &encoded(&picture(33, 32).into(), Kind::Png));
    let error = open_source(&spec).err().unwrap().to_string();
    assert!(
        error.contains("4.png") && error.contains("33x32") && error.contains("32x32"),
        "{error}"
    );
    fs::remove_file(odd).unwrap();
    let bad = written(&folder, "5.png", b"<html>");
    let error = open_source(&spec).err().unwrap().to_string();
    assert!(
        error.contains("5.png") && error.contains("no picture that is known"),
        "{error}"
    );
    fs::remove_file(bad).unwrap();
    written(
        &folder,
        "6.exr",
        &encoded(&DynamicImage::new_rgb32f(32, 32), Kind::OpenExr),
    );
    let error = open_source(&spec).err().unwrap().to_string();
    assert!(
        error.contains("6.exr") && error.contains("linear floats"),
        "{error}"
    );
}

#[test]
fn bitmaps_and_ppms_are_read_and_others_are_called_by_their_names() {
    let folder = folder();
    let sound: DynamicImage = picture(20, 16).into();
    let right = read(&written(&folder, "a.png", &encoded(&sound, Kind::Png))).unwrap();
    for (name, kind) in [("a.bmp", Kind::Bmp), ("a.ppm", Kind::Pnm)] {
        let path = written(&folder, name, &encoded(&sound, kind));
        assert_eq!(read(&path).unwrap(), right, "{name}");
        assert!(matches!(Input::parse(&path), Input::Images(_)));
    }
    for (name, bytes, said) in [
        ("a.heic", &b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC"),
        ("a.avif", b"\0\0\0\x1cftypavif\0\0\0\0mif1", "AVIF"),
        ("a.jxl", b"\xff\x0a\0\0", "JPEG XL"),
        ("b.png", b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        ("a.psd", b"8BPS\0\x01", "Photoshop"),
    ] {
        let error = open_source(&SourceSpec::new(Input::parse(written(&folder, name, bytes))))
            .err()
            .unwrap();
        let error = error.to_string();
        assert!(
            error.contains(said) && error.contains("PNG") && error.contains("magick"),
            "{error}"
        );
    }
    // What a folder leaves out, it says; and what is missing or there twice.
    fs::create_dir(folder.path().join("s")).unwrap();
    for name in ["0001.png", "0003.png", "3.jpg", "0004.png"] {
        let kind = if name.ends_with("jpg") {
            Kind::Jpeg
        } else {
            Kind::Png
        };
        written(&folder, &format!("s/{name}"), &encoded(&sound, kind));
    }
    let source = open_source(&SourceSpec::new(Input::parse(folder.path().join("s")))).unwrap();
    let warnings = source.warnings().join("; ");
    assert!(
        warnings.contains("1 number is missing, the first between 0001.png and 3.jpg"),
        "{warnings}"
    );
    assert!(
        warnings.contains("1 number is there twice, such as in 0003.png and 3.jpg"),
        "{warnings}"
    );
    fs::create_dir(folder.path().join("h")).unwrap();
    written(&folder, "h/1.heic", b"\0\0\0\x18ftypheic");
    let error = open_source(&SourceSpec::new(Input::parse(folder.path().join("h"))))
        .err()
        .unwrap();
    assert!(error.to_string().contains("no picture was found"), "{error}");
}

#[test]
fn exif_data_of_a_webp_counts_with_the_prefix_of_jpeg_too() {
    let folder = folder();
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    for prefix in [&b""[..], b"Exif\0\0"] {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
        encoder.set_exif_metadata([prefix, exif].concat()).unwrap();
        encoder
            .write_image(&picture(32, 20), 32, 20, ExtendedColorType::Rgb8)
            .unwrap();
        let path = written(&folder, "turned.webp", &bytes);
        let (frame, _) = read(&path).unwrap();
        let header = image_header(&path, &Limits::default()).unwrap();
        assert_eq!(
            [frame.width, frame.height, header.width, header.height],
            [20, 32, 20, 32]
        );
    }
}
