//! Settings, completions and manual pages.

use std::fs;

use super::support::{Place, RANDOM};

#[test]
fn settings_of_the_file_and_of_variables_reach_the_job() {
    let place = Place::new();
    place.y4m("clip.y4m", 3);
    fs::write(
        place.path("config.toml"),
        "factor = 3\n[video]\nrandom_weights = true\nmodel-version = \"4.17.lite\"\n",
    )
    .unwrap();
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command(args);
        command.env("RIFE_CONFIG", place.path("config.toml"));
        command.envs(variables.iter().copied());
        super::support::Ran::from(command.output().unwrap())
    };
    let frames = |ran: super::support::Ran| ran.json().last().unwrap()["frames_out"].clone();
    let job = ["video", "clip.y4m", "-o", "out.y4m", "--json", "-y"];
    assert_eq!(frames(run(&job, &[])), 9);
    assert_eq!(frames(run(&job, &[("RIFE_FACTOR", "4")])), 12);
    assert_eq!(
        frames(run(
            &[&job[..], &["--factor", "2"]].concat(),
            &[("RIFE_FACTOR", "4")]
        )),
        6
    );
    let said = run(&job, &[("RIFE_FACTOR", "many")]).failed(2);
    assert!(said.contains("RIFE_FACTOR"), "{said}");
    let listed = run(&["config", "video"], &[("RIFE_CRF", "30")]).ok();
    let row = |name: &str| {
        let found = listed
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {listed}"))
            .to_owned()
    };
    assert!(row("factor").contains(" 3 ") && row("factor").contains("config.toml, line 1"));
    assert!(
        row("crf").ends_with("RIFE_CRF") && row("cut-threshold").contains("default (RIFE_CUT_THRESHOLD)")
    );
    fs::write(place.path("config.toml"), "[video]\nfactr = 3\n").unwrap();
    let said = run(&job, &[]).failed(2);
    assert!(
        said.contains("line 2: there is no option of video factr; factor is one"),
        "{said}"
    );
    // Shards and joins of a machine with other settings are unaffected: what was set is part of the recorded command.
    let missing = run(&["video", "clip.y4m"], &[("RIFE_CONFIG", "nowhere.toml")]).failed(2);
    assert!(missing.contains("nowhere.toml"), "{missing}");
}

#[test]
fn colours_are_as_chosen() {
    let place = Place::new();
    let said = |args: &[&str]| {
        let ran = place.rife(&[&["video", "missing.mp4"][..], args].concat());
        assert_eq!(ran.code, 3, "{}", ran.err);
        ran.err
    };
    assert!(!said(&[]).contains('\u{1b}'), "no terminal");
    assert!(said(&["--color", "always"]).starts_with("\u{1b}[1;31mrife:"));
    assert!(!said(&["--color=never"]).contains('\u{1b}'));
    let help = place.rife(&["video", "--help", "--color", "always"]).ok();
    assert!(help.contains('\u{1b}'), "help has colours, too");
    assert!(place.rife(&["video", "--help", "--color", "purple"]).code != 101);
}

#[test]
fn completions_and_manual_pages_have_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let text = place.rife(&["completions", shell]).ok();
        assert!(
            text.contains("cut-threshold") && text.contains("reencode"),
            "{shell}"
        );
    }
    place.rife(&["completions", "tcsh"]).failed(2);
    place.rife(&["man", "man1"]).ok();
    let page = fs::read_to_string(place.path("man1/rife-video.1")).unwrap();
    assert!(
        page.contains("rife\\-video") && page.contains("\\-\\-cut\\-threshold"),
        "{page}"
    );
    for name in ["rife.1", "rife-live.1", "rife-join.1", "rife-serve.1"] {
        assert!(place.path("man1").join(name).is_file(), "{name}");
    }
    let job = ["video", "x.mp4", "--fps", "30", "--factor", "2"];
    place.rife(&[&job[..], &RANDOM].concat()).failed(3);
}
