//! 8-bit pictures and flow fields of samples.

/// An 8-bit RGB picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    height: usize,
    width: usize,
    /// Rows of interleaved pixels.
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of `3 * height * width` interleaved values.
    ///
    /// # Panics
    /// Where `pixels` has another length.
    pub fn new([height, width]: [usize; 2], pixels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), 3 * height * width, "RGB pixels of {width}x{height}");
        Self {
            height,
            width,
            pixels,
        }
    }

    /// A picture whose pixels a function gives by row and column.
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

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Rows of interleaved pixels.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// One pixel.
    pub fn at(&self, y: usize, x: usize) -> [u8; 3] {
        let i = 3 * (y * self.width + x);
        [self.pixels[i], self.pixels[i + 1], self.pixels[i + 2]]
    }

    /// A square part.
    pub fn crop(&self, y: usize, x: usize, side: usize) -> Self {
        let rows = (y..y + side).flat_map(|row| &self.pixels[3 * (row * self.width + x)..][..3 * side]);
        Self {
            height: side,
            width: side,
            pixels: rows.copied().collect(),
        }
    }

    /// `[3, height, width]` in 0..1.
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

/// The flow of a middle frame, with where it is known. Square.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Side in pixels.
    pub side: usize,
    /// `[4, side, side]`: x and y towards the first frame, x and y towards the second, in pixels.
    pub flow: Vec<f32>,
    /// `[side, side]` of 0 and 1.
    pub known: Vec<f32>,
}
