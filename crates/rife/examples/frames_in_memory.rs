//! Filter for a pipe: reads raw frames of 8-bit RGB from standard input and writes FACTOR times as many to standard output:
//! `cargo run --release -p rife --example frames_in_memory WIDTHxHEIGHT FACTOR`. For example, for a 640x360 clip:
//!
//! `ffmpeg -i in.mp4 -f rawvideo -pix_fmt rgb24 - | frames_in_memory 640x360 2 |
//! ffmpeg -f rawvideo -pix_fmt rgb24 -s 640x360 -r 50 -i - out.mp4`
//!
//! N frames give FACTOR*(N-1)+1. Cuts are not detected, as they are in a video job.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use rife::{Interpolator, InterpolatorSpec, Prepared, Ratio, RgbImage};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(
        &arguments,
        &mut std::io::stdin().lock(),
        &mut std::io::stdout().lock(),
    )
}

/// Runs the filter with the command-line arguments `WIDTHxHEIGHT FACTOR`.
pub(crate) fn run(
    arguments: &[String],
    input: &mut dyn Read,
    output: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let [size, factor] = arguments else {
        return Err("usage: frames_in_memory WIDTHxHEIGHT FACTOR".into());
    };
    let (width, height) = size.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
    let (width, height): (u32, u32) = (width.parse()?, height.parse()?);
    let factor: i64 = factor.parse()?;

    let interpolator = Interpolator::new(&InterpolatorSpec::default())?;
    let mut left: Option<Prepared> = None;
    while let Some(codes) = frame(input, 3 * width as usize * height as usize)? {
        let image = Arc::new(RgbImage::from_rgb8(width, height, &codes)?);
        // Each frame is prepared once, for the pair with the frame before and the pair with the frame after.
        let right = interpolator.prepare(image)?;
        if let Some(left) = &left {
            let mut between = interpolator.between(left, &right);
            for step in 1..factor {
                output.write_all(&between.at(Ratio::new(step, factor))?.to_rgb8())?;
            }
        }
        output.write_all(&codes)?;
        left = Some(right);
    }
    Ok(output.flush()?)
}

/// Reads the next frame of `bytes` bytes; `None` at the end.
fn frame(input: &mut dyn Read, bytes: usize) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    let mut codes = Vec::new();
    input.take(bytes as u64).read_to_end(&mut codes)?;
    match codes.len() {
        0 => Ok(None),
        found if found == bytes => Ok(Some(codes)),
        _ => Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
    }
}
