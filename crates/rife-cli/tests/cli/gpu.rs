//! Jobs on the adapter that `RIFE_TEST_GPU` names, or on the first one, software included.

use std::fs;

use super::support::{Place, RANDOM, Ran, ffmpeg, has_default_network};
use rife_testing::Need;

/// The `--device` to test with; `None`, and the reason printed, where no adapter exists and `RIFE_TEST_GPU` is not set.
fn device(place: &Place) -> Option<String> {
    let asked = std::env::var("RIFE_TEST_GPU")
        .ok()
        .filter(|text| !text.is_empty());
    let listed = place.rife(&["devices", "--json"]).json();
    let first = listed[0]["devices"].as_array().unwrap().first().cloned();
    match (asked, first) {
        (Some(which), Some(_)) => Need::Vulkan.met(Ok::<_, String>(format!("gpu:{which}"))),
        (None, Some(_)) => Need::Vulkan.met(Ok::<_, String>("gpu:0".to_owned())),
        (Some(_), None) => panic!("RIFE_TEST_GPU is set, and `rife devices` lists nothing"),
        (None, None) => Need::Vulkan.met(Err("no adapter")),
    }
}

#[test]
fn devices_are_listed_and_others_refused() {
    let place = Place::new();
    place.picture("a.png", 0.0);
    let text = place.rife(&["devices"]).ok();
    let listed = place.rife(&["devices", "--json"]).json();
    for adapter in listed[0]["devices"].as_array().unwrap() {
        let (index, name) = (&adapter["index"], adapter["name"].as_str().unwrap());
        assert!(text.contains(&format!("{index}: {name}")), "{text}");
        assert!(adapter["max_buffer"].as_u64().unwrap() > 0);
        assert_eq!(
            adapter["automatic"],
            !adapter["kind"].as_str().unwrap().contains("software")
        );
    }
    let image = |device| {
        [
            "image", "a.png", "a.png", "-o", "b.png", "--ratio", "0.5", "--device", device,
        ]
    };
    let image = |device| [&image(device)[..], &RANDOM[..]].concat();
    let refused = place.rife(&image("abacus")).failed(2);
    assert!(
        refused.contains("no device \"abacus\"") && refused.contains("gpu:INDEX"),
        "{refused}"
    );
    let refused = place.rife(&image("gpu:no such card")).failed(2);
    assert!(
        refused.contains("\"no such card\" in its name") && refused.contains("rife devices"),
        "{refused}"
    );
    assert_eq!(place.names(), ["a.png"]);
}

/// The picture in the middle is the CPU engine's but for rounding, also where features are stored as f16.
#[test]
fn a_gpu_makes_the_picture_of_the_processor() {
    let place = Place::new();
    let Some(device) = device(&place) else {
        return;
    };
    place.picture("a.png", 0.0);
    place.picture("b.png", 3.0);
    let model = if has_default_network() {
        &[][..]
    } else {
        &RANDOM[..]
    };
    let make = |device, output, more: &[&str]| {
        let args = [
            "image", "a.png", "b.png", "-o", output, "--ratio", "0.5", "--device", device,
        ];
        place.rife(&[&args[..], model, more].concat())
    };
    let pixels = |name| image::open(place.path(name)).unwrap().to_rgb8().into_raw();
    make("cpu", "cpu.png", &[]).ok();
    let cpu = pixels("cpu.png");
    for (output, more) in [("f32.png", &[][..]), ("f16.png", &["--fp16"])] {
        make(&device, output, more).ok();
        let gpu = pixels(output);
        assert_eq!(cpu.len(), gpu.len());
        let differences = cpu.iter().zip(&gpu).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = differences.map(|off| off.powi(2)).sum::<f64>() / cpu.len() as f64;
        let psnr = 10.0 * (255.0 * 255.0 / mean).log10();
        println!("{device}: {psnr:.1} dB to the CPU engine's picture in {output}");
        assert!(psnr >= 60.0, "{output}: {psnr} dB");
    }
    let refused = make("cpu", "none.png", &["--precision", "f16"]).failed(2);
    assert!(refused.contains("f16 is a precision of GPUs"), "{refused}");
}

/// Compiled kernels are kept; a damaged file does no harm, and is replaced.
#[test]
fn compiled_kernels_are_kept_in_the_cache_folder() {
    let place = Place::new();
    let Some(device) = device(&place) else {
        return;
    };
    place.picture("a.png", 0.0);
    place.picture("b.png", 3.0);
    let cache = place.path("cache");
    let make = || {
        let args = [
            "image",
            "a.png",
            "b.png",
            "-o",
            "made.png",
            "--overwrite",
            "--ratio",
            "0.5",
            "--device",
            &device,
        ];
        let mut command = place.command(&[&args[..], &RANDOM[..]].concat());
        let ran: Ran = command.env("RIFE_CACHE_DIR", &cache).output().unwrap().into();
        ran.ok();
        fs::read(place.path("made.png")).unwrap()
    };
    let first = make();
    let files: Vec<_> = match fs::read_dir(cache.join("rife/kernels")) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => return println!("skipped: the driver keeps no kernels"),
    };
    assert_eq!(files.len(), 1, "{files:?}");
    let whole = fs::read(&files[0]).unwrap();
    assert!(whole.starts_with(b"RIFEKRN1"));
    assert_eq!(make(), first, "with kept kernels");
    fs::write(&files[0], &whole[..whole.len() - 1]).unwrap();
    assert_eq!(make(), first);
    assert_eq!(fs::read(&files[0]).unwrap().len(), whole.len(), "replaced");
}

/// Pairs are dealt to two adapters of one kind: the file is that of one of them.
#[cfg(target_os = "linux")]
#[test]
fn two_adapters_make_the_bytes_of_one() {
    let place = Place::new();
    let Some(_) = device(&place) else {
        return;
    };
    let drivers = fs::read_dir("/usr/share/vulkan/icd.d").into_iter().flatten();
    let lavapipe = drivers
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("lvp_icd"));
    let lavapipe = lavapipe.ok_or("lavapipe is not installed");
    let Some(lavapipe) = Need::Vulkan.met(lavapipe) else {
        return;
    };
    let copies = ["one.json", "two.json"].map(|name| place.path(name));
    for copy in &copies {
        fs::copy(&lavapipe, copy).unwrap();
    }
    let names = copies.map(|path| path.to_str().unwrap().to_owned()).join(":");
    place.y4m("in.y4m", 6);
    let make = |device, output| {
        let mut command = place.command(&small_job(device, output));
        let ran: Ran = command.env("VK_DRIVER_FILES", &names).output().unwrap().into();
        let told = format!("{}{}", ran.out, ran.err);
        ran.ok();
        (fs::read(place.path(output)).unwrap(), told)
    };
    let (one, _) = make("gpu:1", "one.y4m");
    let (two, told) = make("all:llvmpipe", "two.y4m");
    assert!(told.contains("2 gpus (llvmpipe"), "{told}");
    assert!(one == two);
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_killed_job_on_a_gpu_goes_on_to_the_same_bytes() {
    use super::resume::{job, killed};

    let place = Place::new();
    let Some(device) = device(&place) else {
        return;
    };
    if !ffmpeg() {
        return;
    }
    place.y4m("in.y4m", 6);
    let on = |device| job("in.y4m", "out.mp4", &["--device", device]);
    place.rife(&on(&device)).ok();
    let whole = fs::read(place.path("out.mp4")).unwrap();
    fs::remove_file(place.path("out.mp4")).unwrap();
    assert!(killed(&place, &on(&device), 4), "fewer than 4 writes");
    assert!(killed(&place, &on(&device), 7), "fewer than 7 writes more");
    // The device that computes counts, not the text that names it.
    let error = place.rife(&on("cpu")).failed(4);
    assert!(
        error.contains("the engine was ") && error.contains("--restart"),
        "{error}"
    );
    let listed = place.rife(&["devices", "--json"]).json();
    let adapters = listed[0]["devices"].as_array().unwrap();
    let name = adapters
        .iter()
        .map(|adapter| adapter["name"].as_str().unwrap())
        .find(|name| error.contains(name))
        .unwrap();
    place.rife(&on(&format!("gpu:{name}"))).ok();
    assert!(fs::read(place.path("out.mp4")).unwrap() == whole);
}

/// A job on `in.y4m` in one piece.
#[cfg(any(debug_assertions, target_os = "linux"))]
fn small_job<'a>(device: &'a str, output: &'a str) -> Vec<&'a str> {
    let args = ["video", "in.y4m", "-o", output, "--device", device, "--no-resume"];
    [&args[..], &RANDOM[..]].concat()
}

/// Faults at the driver's side of the engine. Each frame is read in three parts: first that of the self-test, then two that are
/// timed for the plan, then the job's.
#[cfg(debug_assertions)]
#[test]
fn what_a_gpu_fails_to_compute_the_processor_computes() {
    let place = Place::new();
    let Some(device) = device(&place) else {
        return;
    };
    place.y4m("in.y4m", 4);
    place.rife(&small_job("cpu", "cpu.y4m")).ok();
    let wanted = fs::read(place.path("cpu.y4m")).unwrap();
    for (fault, said) in [
        (
            "nan:11-11",
            "failed once: it made a picture of NaN; 1 frame computed by the processor",
        ),
        ("memory:9-10", "failed 2 times: the device is out of memory"),
        ("lost:10-10", "was used no more, because the device was lost"),
    ] {
        let output = format!("{}.y4m", &fault[..3]);
        let mut command = place.command(&small_job(&device, &output));
        let ran: Ran = command.env("RIFE_TEST_GPU_FAULT", fault).output().unwrap().into();
        let told = format!("{}{}", ran.out, ran.err);
        ran.ok();
        assert!(told.contains(said), "{fault}: {told}");
        let made = fs::read(place.path(&output)).unwrap();
        assert_eq!(made.len(), wanted.len());
        let differ = made.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(differ <= Some(2), "{fault}: {differ:?}");
    }
    for (fault, said) in [
        ("nan:0-0", "failed in the self-test"),
        ("black:2-2", "computes wrong frames"),
    ] {
        let mut command = place.command(&small_job(&device, "none.y4m"));
        let ran: Ran = command.env("RIFE_TEST_GPU_FAULT", fault).output().unwrap().into();
        let error = ran.failed(2);
        assert!(error.contains(said) && error.contains("--device cpu"), "{error}");
        assert!(!place.path("none.y4m").exists());
    }
}
