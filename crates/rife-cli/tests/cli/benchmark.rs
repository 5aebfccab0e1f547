//! `rife benchmark` and `rife sample`.

use std::path::Path;

use rife::nets::checkpoint::{Dtype, save_safetensors};
use rife::nets::{WeightTensor, Weights};

use super::convert::python;
use super::support::{Place, RANDOM, ffmpeg};

fn triplets(place: &Place, count: usize) {
    for index in 0..count {
        for (step, name) in ["frame10", "frame10i11", "frame11"].iter().enumerate() {
            place.picture(&format!("set/{index}/{name}.png"), (index + step) as f32);
        }
    }
}

#[test]
fn a_set_is_one_object_of_figures() {
    let place = Place::new();
    triplets(&place, 3);
    let args = [
        &["benchmark", "set", "--json", "--verbose", "--limit", "2"][..],
        &RANDOM,
    ]
    .concat();
    let object = place.rife(&args).json().remove(0);
    assert_eq!(
        (&object["count"], &object["layout"]),
        (&2.into(), &"triplets".into())
    );
    for key in ["psnr", "ssim", "ie"] {
        assert!(
            object[key].is_f64() && object["beside"]["averaging"][key].is_f64(),
            "{object}"
        );
    }
    assert_eq!(object["items"].as_array().map(Vec::len), Some(2));
    assert!(
        object["beside"]["averaging"]["psnr"].as_f64().unwrap() > 30.0,
        "waves one pixel apart blend well"
    );
    let table = place.rife(&[&["benchmark", "set"][..], &RANDOM].concat()).ok();
    assert!(table.contains("PSNR dB") && table.contains("averaging"));
}

#[test]
fn a_folder_without_triplets_is_an_input_error() {
    let place = Place::new();
    std::fs::create_dir(place.path("set")).unwrap();
    assert!(place.rife(&["benchmark", "set"]).failed(3).contains("UCF101"));
    assert!(
        place
            .rife(&["benchmark", "nowhere"])
            .failed(3)
            .contains("nowhere")
    );
}

/// Writes a data set of each layout other than plain triplets; returns their folders and numbers of target frames with
/// `--limit 1`.
fn sets(place: &Place) -> [(&'static str, u64); 6] {
    let triplet = |folder: &str, names: [&str; 3]| {
        for (step, name) in names.iter().enumerate() {
            place.picture(&format!("{folder}/{name}"), step as f32);
        }
    };
    triplet(
        "atd12k/test_2k_540p/Disney_1",
        ["frame1.png", "frame2.png", "frame3.png"],
    );
    triplet("vimeo90k/sequences/00001/0001", ["im1.png", "im2.png", "im3.png"]);
    std::fs::write(place.path("vimeo90k/tri_testlist.txt"), "00001/0001\n\n").unwrap();
    triplet(
        "middlebury/other-data/Venus",
        ["frame10.png", "unused.png", "frame11.png"],
    );
    place.picture("middlebury/other-gt-interp/Venus/frame10i11.png", 1.0);
    triplet("snu-film/test/GOPRO_test/a", ["1.png", "2.png", "3.png"]);
    let line = "data/SNU-FILM/test/GOPRO_test/a/1.png data/SNU-FILM/test/GOPRO_test/a/2.png \
                data/SNU-FILM/test/GOPRO_test/a/3.png\n";
    for level in ["easy", "extreme"] {
        std::fs::write(place.path(&format!("snu-film/test-{level}.txt")), line).unwrap();
    }
    for index in 0..33 {
        place.picture(
            &format!("x-test/test/Type1/S/{index:04}.png"),
            0.25 * index as f32,
        );
    }
    let frame = |index: usize| (0..64 * 48 * 3 / 2).map(move |i| (i % 64 * 3 + 4 * index) as u8);
    for (folder, name) in [("HD544p_GT", "b_64x48"), ("HD720p_GT", "a_64x48_50")] {
        std::fs::create_dir_all(place.path(&format!("hd/{folder}"))).unwrap();
        let bytes: Vec<u8> = (0..5).flat_map(frame).collect();
        std::fs::write(place.path(&format!("hd/{folder}/{name}.yuv")), bytes).unwrap();
    }
    [
        ("atd12k", 1),
        ("vimeo90k", 1),
        ("middlebury", 1),
        ("snu-film", 2),
        ("x-test", 7),
        ("hd", 2),
    ]
}

#[test]
fn every_layout_is_scored() {
    let place = Place::new();
    let run = |set: &str, more: &[&str]| {
        let args = [&["benchmark", set, "--json", "--limit", "1"], more, &RANDOM].concat();
        place.rife(&args).json().remove(0)
    };
    for (set, count) in sets(&place) {
        let object = run(set, &[]);
        assert_eq!(
            (&object["layout"], &object["count"]),
            (&set.into(), &count.into()),
            "{object}"
        );
        assert!(
            object["psnr"].is_f64() && object["beside"]["averaging"]["ssim"].is_f64(),
            "{object}"
        );
    }
    let levels = run("snu-film", &[]);
    assert_eq!(
        (&levels["groups"][0]["name"], &levels["groups"][1]["name"]),
        (&"easy".into(), &"extreme".into())
    );
    let quarters = run("hd", &["--factor", "4"]);
    assert_eq!(quarters["count"], 6);
    assert!(
        quarters["protocol"]
            .as_str()
            .unwrap()
            .starts_with("3 frames between two"),
        "{quarters}"
    );
    let half = run("x-test", &["--half", "--factor", "4", "--verbose"]);
    assert_eq!(
        (&half["count"], &half["items"][2]["name"]),
        (&3.into(), &"Type1/S/0024".into())
    );
    let unknown = place.rife(&["benchmark", "atd12k", "--factor", "4"]).failed(2);
    assert!(unknown.contains("HD and X-TEST"), "{unknown}");
}

#[test]
fn triplets_are_cut_from_clips_once() {
    let place = Place::new();
    std::fs::create_dir(place.path("clips")).unwrap();
    place.y4m("clips/a.y4m", 20);
    place.y4m("clips/b.y4m", 6);
    std::fs::write(place.path("clips/c.y4m"), "YUV4MPEG2 W64").unwrap();
    let run = |more: &[&str]| {
        let base = [
            "benchmark",
            "--triplets-of",
            "clips",
            "cut",
            "--json",
            "--verbose",
        ];
        place.rife(&[&base, more, &RANDOM].concat())
    };
    let made = run(&["--context"]);
    assert!(made.err.contains("c.y4m is left out"), "{}", made.err);
    let object = &made.json()[0];
    let names: Vec<_> = object["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    let expected = ["neighbour/a.y4m_0010", "small/a.y4m_0010", "wide/a.y4m_0010"];
    assert_eq!(
        (names, object["layout"].as_str()),
        (expected.to_vec(), Some("triplets"))
    );
    assert_eq!(
        (&object["groups"][2]["name"], &object["groups"][2]["count"]),
        (&"wide".into(), &1.into())
    );
    let picture = |name: &str| std::fs::read(place.path("cut").join(name)).unwrap();
    assert_eq!(
        picture("wide/a.y4m_0010/frame09.png"),
        frame(&place, 4),
        "time -2 of the wide triplet around frame 10 is frame 4"
    );
    assert_eq!(picture("neighbour/a.y4m_0010/frame12.png"), frame(&place, 13));
    std::fs::copy(
        place.path("cut/wide/a.y4m_0010/frame10i11.png"),
        place.path("cut/neighbour/a.y4m_0010/frame10i11.png"),
    )
    .unwrap();
    assert_eq!(run(&["--context"]).json()[0]["count"], 3, "used as it is");
    let refused = run(&["--lines", "64"]).failed(3);
    assert!(
        refused.contains("context: true") && refused.contains("lines: 64"),
        "{refused}"
    );
    std::fs::remove_file(place.path("cut/triplets.json")).unwrap();
    assert!(run(&[]).failed(3).contains("accepted is a new folder"));
    place.rife(&["benchmark", "cut", "--context"]).failed(2);
    place.y4m("short.y4m", 6);
    let none = place
        .rife(&["benchmark", "--triplets-of", "short.y4m", "none"])
        .failed(3);
    assert!(none.contains("7 consecutive frames"), "{none}");
    assert!(!place.path("none").exists());
}

/// Returns the PNG file of a frame of [`Place::y4m`]'s clip, as `rife` writes it.
fn frame(place: &Place, index: u32) -> Vec<u8> {
    let source = rife::media::Input::parse(place.path("clips/a.y4m"));
    let mut source = rife::media::open_source(&rife::media::SourceSpec::new(source)).unwrap();
    let tags = source.info().tags;
    let frame = (0..=index)
        .map(|_| source.next_frame().unwrap().unwrap())
        .last()
        .unwrap();
    let srgb = rife::media::ColorTags::SRGB;
    let frame = rife::media::Frame::from_rgb(&frame.to_rgb(&tags), rife::media::PixelFormat::RGB8, &srgb);
    let path = place.path("frame.png");
    rife::media::sink::write_image(&path, &frame, &srgb, true).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn other_programs_are_scored_beside_and_the_worst_is_drawn() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    triplets(&place, 2);
    for index in 0..2 {
        place.picture(&format!("perfect/{index}.png"), index as f32 + 1.0);
    }
    let base = [
        "benchmark",
        "set",
        "--minterpolate",
        "--beside",
        "perfect=perfect",
    ];
    let args = [
        &base[..],
        &["--json", "--worst", "1", "--pictures", "worst"],
        &RANDOM,
    ]
    .concat();
    let object = place.rife(&args).json().remove(0);
    let beside = &object["beside"];
    let psnr = |name: &str| beside[name]["psnr"].as_f64().unwrap();
    assert!(psnr("perfect") > 100.0 && psnr("averaging") > 30.0, "{object}");
    assert!((5.0..60.0).contains(&psnr("minterpolate")), "{object}");
    let drawn = super::support::names(&place.path("worst"));
    assert_eq!(drawn.len(), 1);
    let picture = rife::media::read_image(&place.path("worst").join(&drawn[0]), &Default::default())
        .unwrap()
        .0;
    assert_eq!(
        (picture.width, picture.height),
        (3 * 64 + 16, 48),
        "made, truth and difference"
    );
    std::fs::remove_file(place.path("perfect/1.png")).unwrap();
    let missing = place.rife(&[&base[..], &RANDOM].concat()).failed(3);
    assert!(missing.contains("perfect has no picture of 1"), "{missing}");
    let taken = place
        .rife(&["benchmark", "set", "--beside", "averaging=perfect"])
        .failed(2);
    assert!(taken.contains("taken"), "{taken}");
    place.rife(&["benchmark", "set", "--beside", "perfect"]).failed(2);
}

#[test]
fn the_flow_baseline_makes_every_picture_that_is_wanted() {
    let place = Place::new();
    let mut sets = sets(&place).to_vec();
    sets.retain(|(set, _)| *set != "hd");
    triplets(&place, 1);
    sets.push(("set", 1));
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/baselines.py");
    let code = format!(
        "import runpy, sys\nfor name in {:?}.split():\n  sys.argv = ['', name, 'dis/' + name]\n  \
         runpy.run_path({:?}, run_name='__main__')",
        sets.iter().map(|(set, _)| *set).collect::<Vec<_>>().join(" "),
        tool.display().to_string()
    );
    let Some(_) = python(&place, "cv2, numpy", &code) else {
        return;
    };
    for (set, count) in sets {
        let beside = format!("dis=dis/{set}");
        let args = [
            &["benchmark", set, "--json", "--limit", "1", "--beside", &beside][..],
            &RANDOM,
        ]
        .concat();
        let object = place.rife(&args).json().remove(0);
        assert_eq!(object["count"], count);
        assert!(
            object["beside"]["dis"]["psnr"].as_f64().unwrap() > 30.0,
            "{object}"
        );
    }
}

/// Makes weights with the names and shapes of the lpips package.
fn lpips_weights(place: &Place, name: &str) {
    let tensor = |key: String, shape: &[usize]| {
        let value = |i: usize| ((i * 7919 % 1000) as f32 - 450.0) / 10_000.0;
        let data = (0..shape.iter().product())
            .map(value)
            .map(|v| if key.starts_with("lin") { v.abs() } else { v });
        (
            key.clone(),
            WeightTensor {
                shape: shape.to_vec(),
                data: data.collect(),
            },
        )
    };
    let stages = [
        (0, [64, 3, 11, 11]),
        (3, [192, 64, 5, 5]),
        (6, [384, 192, 3, 3]),
        (8, [256, 384, 3, 3]),
        (10, [256, 256, 3, 3]),
    ];
    let tensors = stages.iter().enumerate().flat_map(|(index, (layer, shape))| {
        let convolution = format!("net.slice{}.{layer}", index + 1);
        [
            tensor(format!("{convolution}.weight"), shape),
            tensor(format!("{convolution}.bias"), &shape[..1]),
            tensor(format!("lin{index}.model.1.weight"), &[1, shape[0], 1, 1]),
        ]
    });
    let weights: Weights = tensors.collect();
    save_safetensors(&place.path(name), &weights, Dtype::F32, &Default::default()).unwrap();
}

#[test]
fn lpips_is_measured_with_its_weights() {
    let place = Place::new();
    triplets(&place, 1);
    lpips_weights(&place, "lpips.safetensors");
    let args = [&["benchmark", "set", "--lpips", "lpips.safetensors"][..], &RANDOM].concat();
    let object = place.rife(&[&args[..], &["--json"]].concat()).json().remove(0);
    let distance = |scores: &serde_json::Value| scores["lpips"].as_f64().unwrap();
    assert!(
        distance(&object) > distance(&object["beside"]["averaging"]),
        "noise is farther: {object}"
    );
    assert!(place.rife(&args).ok().contains("LPIPS"));
    place
        .rife(&["benchmark", "set", "--lpips", "set/0/frame10.png"])
        .failed(5);
}

#[test]
fn stillness_and_steps_are_measured() {
    let place = Place::new();
    triplets(&place, 1);
    let run = |args: &[&str]| place.rife(&[args, &RANDOM].concat()).json().remove(0);
    let still = run(&["benchmark", "--still", "set", "--json"]);
    assert!(
        still["overlay_psnr"].is_f64() && still["equal_share"].as_f64().unwrap() <= 1.0,
        "{still}"
    );
    if ffmpeg() {
        let beside = run(&["benchmark", "--still", "set", "--minterpolate", "--json"]);
        assert_eq!(beside["minterpolate"]["equal_share"], 1.0, "{beside}");
    }
    place.y4m("clip.y4m", 11);
    let steps = run(&["benchmark", "--steps", "clip.y4m", "--factor", "2", "--json"]);
    assert_eq!(
        steps["steps"]["motions"][0]["positions"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(
        (
            &steps["times"][0]["count"],
            steps["times"].as_array().map(Vec::len)
        ),
        (&2.into(), Some(2))
    );
    assert!(
        place
            .rife(&["benchmark", "--steps", "set/0/frame10.png"])
            .failed(3)
            .contains("five frames")
    );
}

#[test]
fn speed_is_measured() {
    let place = Place::new();
    let args = [
        &["benchmark", "--time", "--size", "64x48", "--runs", "2", "--json"][..],
        &RANDOM,
    ]
    .concat();
    let object = place.rife(&args).json().remove(0);
    assert!(object["median_ms"].as_f64().unwrap() > 0.0);
    for key in ["tier", "precision", "threads"] {
        assert!(!object[key].is_null(), "{object}");
    }
    let precision = |what: &str| place.rife(&[&args[..], &["--precision", what]].concat());
    let auto = precision("auto").json().remove(0);
    match auto["precision"].as_str() {
        Some("int8") => assert_eq!(precision("int8").json()[0]["precision"], "int8"),
        Some("f32") if auto["tier"] != "scalar" => assert!(precision("int8").failed(2).contains("VNNI")),
        other => assert_eq!(other, Some("f32")),
    }
    let args = [&["benchmark", "--testtime", "--runs", "1", "--json"][..], &RANDOM].concat();
    let object = place.rife(&args).json().remove(0);
    assert_eq!((&object["width"], &object["warm"]), (&640.into(), &1.into()));
    assert!(object["mean_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_sample_is_rendered_and_compared() {
    if !ffmpeg() {
        return;
    }
    let place = Place::new();
    place
        .rife(&[
            "sample",
            "sample.mp4",
            "--truth",
            "truth.mp4",
            "--size",
            "128x96",
            "--seconds",
            "1",
        ])
        .ok();
    let (frames, seconds, sound) = super::support::probe(&place.path("sample.mp4"));
    assert!(
        frames == 15 && sound == 1 && (seconds - 1.0).abs() < 0.1,
        "{frames} frames, {seconds} s"
    );
    assert_eq!(super::support::probe(&place.path("truth.mp4")).0, 30);
    assert_eq!(
        place.names(),
        ["sample.mp4", "truth.mp4"],
        "the sound's file is gone"
    );
    let compare = |result: &str| {
        place
            .rife(&["sample", "--compare", result, "--truth", "truth.mp4", "--json"])
            .json()
            .remove(0)
    };
    let itself = compare("truth.mp4");
    assert_eq!(itself["count"], 14);
    assert!(
        itself["blending"]["psnr"].as_f64().unwrap() < 40.0,
        "blending is not the truth: {itself}"
    );
    place
        .rife(&[&["video", "sample.mp4", "-o", "smooth.mp4"][..], &RANDOM].concat())
        .ok();
    assert_eq!(compare("smooth.mp4")["count"], 14);
    place
        .rife(&[&["sample", "--picture", "row.png"][..], &RANDOM].concat())
        .ok();
    assert!(place.path("row.png").exists());
}
