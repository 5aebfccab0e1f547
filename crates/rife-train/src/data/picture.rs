//! 8-bit RGB images ([`Picture`]) and flow fields ([`Field`]) of samples, in host memory.

/// An 8-bit RGB image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    /// Interleaved pixels, `[height, width, 3]`.
    pixels: Vec<u8>,
}

impl Picture {
    /// Makes an image of interleaved pixels, `[height, width, 3]`.
    ///
    /// # Panics
    /// When `pixels` has another length.
    pub fn new([height, width]: [usize; 2], pixels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), 3 * height * width, "RGB pixels of {width}x{height}");
        Self {
            height,
            width,
            pixels,
        }
    }

    /// Makes an image whose pixel at row y and column x is `f(y, x)`.
    pub fn from_fn([height, width]: [usize; 2], f: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let pixels = (0..height * width)
            .flat_map(|i| f(i / width, i % width))
            .collect();
        Self {
            height,
            width,
            pixels,
        }
    }

    /// Returns height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Returns the interleaved pixels, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns the pixel at row `y` and column `x`.
    pub fn at(&self, y: usize, x: usize) -> [u8; 3] {
        let i = 3 * (y * self.width + x);
        [self.pixels[i], self.pixels[i + 1], self.pixels[i + 2]]
    }

    /// Crops the square of this side whose upper left pixel is at row `y` and column `x`.
    pub fn crop(&self, y: usize, x: usize, side: usize) -> Self {
        let rows = (y..y + side).flat_map(|row| &self.pixels[3 * (row * self.width + x)..][..3 * side]);
        Self {
            height: side,
            width: side,
            pixels: rows.copied().collect(),
        }
    }

    /// Converts to planes `[3, height, width]` in 0..1.
    pub fn planes(&self) -> Vec<f32> {
        let plane = |channel: usize| {
            self.pixels
                .iter()
                .skip(channel)
                .step_by(3)
                .map(|x| f32::from(*x) / 255.0)
        };
        (0..3).flat_map(plane).collect()
    }
}

/// True flow of a square middle frame, known at some pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Side in pixels.
    pub side: usize,
    /// Flow in pixels, `[4, side, side]`: x and y to the first frame, x and y to the second.
    pub flow: Vec<f32>,
    /// 1 where the flow is known, else 0: `[side, side]`.
    pub known: Vec<f32>,
}
