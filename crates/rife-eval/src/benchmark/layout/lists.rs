//! Data sets whose samples are listed in text files: Vimeo90K and SNU-FILM.

use std::path::{Component, Path, PathBuf};

use super::Sample;
use rife::{Error, Result};

/// Subsets of SNU-FILM, in order of difficulty.
const LEVELS: [&str; 4] = ["easy", "medium", "hard", "extreme"];

/// Lists the triplets of Vimeo90K's `tri_testlist.txt`.
pub(super) fn vimeo(folder: &Path) -> Result<Vec<Sample>> {
    let list = folder.join("tri_testlist.txt");
    let frames = ["sequences", "target"].map(|name| folder.join(name));
    let frames = frames.iter().find(|frames| frames.is_dir()).ok_or_else(|| {
        Error::Data(format!(
            "{} has a list of triplets but no folder `sequences` or `target`",
            folder.display()
        ))
    })?;
    let triplet = |line: String| {
        let path = frames.join(inside(&list, &line)?);
        let files = ["im1.png", "im2.png", "im3.png"].map(|name| path.join(name));
        Ok(Sample::triplet(line, files))
    };
    lines(&list)?.into_iter().map(triplet).collect()
}

/// Lists the triplets of SNU-FILM's lists; `None` if the folder has none of them.
pub(super) fn snu_film(folder: &Path) -> Result<Option<Vec<Sample>>> {
    let folders = [folder.to_owned(), folder.join("eval_modes")];
    let mut samples = None;
    for level in LEVELS {
        let list = folders
            .iter()
            .map(|folder| folder.join(format!("test-{level}.txt")))
            .find(|list| list.is_file());
        if let Some(list) = list {
            samples
                .get_or_insert_with(Vec::new)
                .extend(level_of(folder, level, &list)?);
        }
    }
    Ok(samples)
}

/// Lists the triplets of one subset; each line of `list` has the paths of three images.
fn level_of(folder: &Path, level: &str, list: &Path) -> Result<Vec<Sample>> {
    let sample = |line: String| {
        let files: Vec<&str> = line.split_whitespace().collect();
        let [first, truth, second] = files[..] else {
            let text = format!("{}: {line:?} has not the names of three pictures", list.display());
            return Err(Error::Data(text));
        };
        let file = |name: &str| inside(list, name).map(|name| find_listed(folder, &name));
        let name = format!("{level}/{}", short_name(truth));
        let files: [PathBuf; 3] = [file(first)?, file(truth)?, file(second)?];
        Ok(Sample {
            group: level.into(),
            ..Sample::triplet(name, files)
        })
    };
    lines(list)?.into_iter().map(sample).collect()
}

/// Returns an image path's last two folders and file name, without the extension.
fn short_name(path: &str) -> String {
    let path = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let names: Vec<&str> = path.split('/').collect();
    names[names.len().saturating_sub(3)..].join("/")
}

/// Finds a listed image in `folder`. Lists contain paths relative to another root (`data/SNU-FILM/test/...`): leading folders
/// are removed until a file exists.
fn find_listed(folder: &Path, name: &Path) -> PathBuf {
    let components: Vec<Component> = name.components().collect();
    let tails = (0..components.len()).map(|skip| components[skip..].iter().collect::<PathBuf>());
    let mut paths = tails.flat_map(|tail| [folder.join(&tail), folder.join("test").join(&tail)]);
    paths
        .find(|path| path.is_file())
        .unwrap_or_else(|| folder.join(name))
}

/// Checks that a listed path does not lead out of the data set (no `..`, not absolute).
fn inside(list: &Path, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path
        .components()
        .all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
    {
        return Ok(path.to_owned());
    }
    Err(Error::Data(format!(
        "{}: {name:?} leads out of the set",
        list.display()
    )))
}

/// Maximum size of a list in bytes.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Reads the lines of a text file that are not empty.
fn lines(path: &Path) -> Result<Vec<String>> {
    let text =
        rife_files::read_regular(path, MAX_LIST_BYTES).map_err(|error| Error::io("read", path, error))?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_list_cannot_lead_out_of_its_set() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sequences")).unwrap();
        for line in ["../../etc", "/etc"] {
            fs::write(folder.path().join("tri_testlist.txt"), line).unwrap();
            let error = vimeo(folder.path()).unwrap_err().to_string();
            assert!(error.contains("leads out"), "{error}");
        }
    }

    #[test]
    fn listed_pictures_are_found_under_other_roots() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test/GOPRO_test/a");
        fs::create_dir_all(&path).unwrap();
        for name in ["1.png", "2.png", "3.png"] {
            fs::write(path.join(name), "").unwrap();
        }
        for root in ["data/SNU-FILM/test/", "", "elsewhere/"] {
            let line = [1, 2, 3].map(|n| format!("{root}GOPRO_test/a/{n}.png")).join(" ");
            fs::write(folder.path().join("test-hard.txt"), line).unwrap();
            let samples = snu_film(folder.path()).unwrap().unwrap();
            assert_eq!((samples.len(), samples[0].group.as_str()), (1, "hard"));
            assert_eq!(samples[0].targets[0].name, "hard/GOPRO_test/a/2");
            assert_eq!(samples[0].first.path(), path.join("1.png"));
        }
        fs::write(folder.path().join("test-easy.txt"), "one two\n").unwrap();
        let error = snu_film(folder.path()).unwrap_err().to_string();
        assert!(error.contains("three pictures"), "{error}");
    }
}
