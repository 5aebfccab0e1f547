//! Folders of three pictures each: Vimeo90K triplets, UCF101, Middlebury.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Picture;

/// Folders deeper than this are not looked into.
const DEPTH: usize = 4;

/// Every folder under one that holds three pictures; by name, the true middle one is the second.
#[derive(Debug)]
pub struct Triplets {
    folders: Vec<[PathBuf; 3]>,
}

impl Triplets {
    /// Finds the folders. Those that Vimeo90K's `tri_testlist.txt` names, where there is one, are left out.
    ///
    /// Errors: where a folder cannot be read, or none holds three pictures.
    pub fn find(root: &Path) -> Result<Self> {
        let held_out = std::fs::read_to_string(root.join("tri_testlist.txt")).unwrap_or_default();
        let held_out: std::collections::HashSet<_> = held_out
            .lines()
            .map(|line| root.join("sequences").join(line.trim()))
            .collect();
        let mut folders = Vec::new();
        find_in(root, DEPTH, &mut folders)?;
        folders.retain(|triplet: &[PathBuf; 3]| {
            triplet[0]
                .parent()
                .is_none_or(|folder| !held_out.contains(folder))
        });
        ensure!(
            !folders.is_empty(),
            "no folder of three pictures in {}",
            root.display()
        );
        Ok(Self { folders })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.folders.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// The three pictures of a folder.
    ///
    /// Errors: a picture that cannot be read, or pictures of different sizes.
    pub fn triplet(&self, index: usize) -> Result<Vec<Picture>> {
        let paths = &self.folders[index];
        let pictures = paths.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
        let same = pictures
            .iter()
            .all(|picture| picture.size() == pictures[0].size());
        ensure!(same, "the pictures beside {} differ in size", paths[0].display());
        Ok(pictures)
    }
}

fn find_in(folder: &Path, depth: usize, found: &mut Vec<[PathBuf; 3]>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut entries = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    entries.sort();
    let is_picture = |path: &PathBuf| {
        path.extension()
            .is_some_and(|e| e == "png" || e == "jpg" || e == "jpeg")
    };
    let pictures: Vec<_> = entries.iter().filter(|path| is_picture(path)).cloned().collect();
    if let Ok(triplet) = <[PathBuf; 3]>::try_from(pictures) {
        found.push(triplet);
    }
    for inner in entries.iter().filter(|path| depth > 0 && path.is_dir()) {
        find_in(inner, depth - 1, found)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Picture> {
    let image = image::open(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .into_rgb8();
    let size = [image.height() as usize, image.width() as usize];
    Ok(Picture::new(size, image.into_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vimeo_folders_are_found_without_their_test_list() {
        let folder = tempfile::tempdir().unwrap();
        for (name, grey) in [("00001/0001", 10), ("00001/0002", 20), ("00002/0001", 30)] {
            let triplet = folder.path().join("sequences").join(name);
            std::fs::create_dir_all(&triplet).unwrap();
            for i in 1..=3 {
                let image = image::RgbImage::from_pixel(4, 2, image::Rgb([grey + i; 3]));
                image.save(triplet.join(format!("im{i}.png"))).unwrap();
            }
        }
        std::fs::write(folder.path().join("tri_testlist.txt"), "00001/0002\n").unwrap();
        let triplets = Triplets::find(folder.path()).unwrap();
        let first = |index| {
            triplets
                .triplet(index)
                .unwrap()
                .iter()
                .map(|p| p.at(1, 3)[0])
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (triplets.len(), first(0), first(1)),
            (2, vec![11, 12, 13], vec![31, 32, 33])
        );
        assert!(Triplets::find(&folder.path().join("sequences/00001/0001/none")).is_err());
    }
}
