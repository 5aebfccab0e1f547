//! Interpolates between two images:
//! `cargo run --release -p rife --example two_images A.png B.png OUT.png [TIME]`, where TIME is 0 for the first image, 1 for
//! the second, and 0.5 by default.

use std::error::Error;

use rife::{Interpolator, InterpolatorSpec, RgbImage};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments)
}

/// Interpolates with the command-line arguments `A B OUT [TIME]`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [first, second, output, time @ ..] = arguments else {
        return Err("usage: two_images A.png B.png OUT.png [TIME]".into());
    };
    let time = time.first().map_or(Ok(0.5), |text| text.parse())?;
    let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
    let (first, second) = (RgbImage::open(first)?, RgbImage::open(second)?);
    interpolator.interpolate(&first, &second, time)?.save(output)?;
    println!("{output}: {}x{}", first.width, first.height);
    Ok(())
}
