//! JPEG (ITU-T T.81) parser: the frame header, and a check that the entropy-coded data is complete.
//!
//! Decoders silently fill missing data with gray. The check decodes the Huffman codes of sequential and progressive JPEGs
//! without computing pixels: every scan must contain exactly the blocks that its header states.

/// Maximum number of unused bytes between the last code and the next marker, which some cameras write.
const LEFT_OVER: usize = 4;
/// Maximum number of scans of a file; encoders write about ten.
const MAX_SCANS: usize = 100;
/// Maximum number of Huffman tables of a file; encoders write about ten.
const MAX_TABLES: usize = 1000;

/// A parsed frame header.
#[derive(Debug, Clone, Default)]
pub(super) struct Header {
    /// Width in pixels.
    pub(super) width: u32,
    /// Height in pixels.
    pub(super) height: u32,
    progressive: bool,
    /// True where [`check`] supports the coding: 8 bits, sequential or progressive with Huffman codes.
    supported: bool,
    components: Vec<Component>,
    /// Offset of the first scan's marker.
    first_scan: usize,
    /// Offset of the first entropy-coded byte.
    pub(super) data: usize,
}

/// A colour component of the frame.
#[derive(Debug, Clone, Default)]
struct Component {
    /// Identifier in scan headers.
    id: u8,
    /// Horizontal sampling factor: blocks per MCU, 1 to 4.
    h: u32,
    /// Vertical sampling factor: blocks per MCU, 1 to 4.
    v: u32,
    /// Blocks per row and rows of blocks in a scan of this component alone.
    size_in_blocks: (u32, u32),
    /// Blocks per row, padded to whole MCUs.
    blocks_per_row: u32,
    /// A mask for each block of its nonzero coefficients; progressive only.
    nonzero: Vec<u64>,
    /// True once a scan contained the component.
    seen: bool,
}

impl Header {
    /// Parses the markers up to the first scan; `None` where there is none or a marker is invalid.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        let mut at = 2;
        loop {
            let (marker, body) = next_marker(bytes, at)?;
            match marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                    header.frame(marker, segment(bytes, body)?)?;
                }
                0xDA => {
                    header.first_scan = body - 2;
                    header.data = body + length(bytes, body)?;
                    return (!header.components.is_empty()).then_some(header);
                }
                0xD9 => return None,
                _ => {}
            }
            at = body
                + if has_length(marker) {
                    length(bytes, body)?
                } else {
                    0
                };
        }
    }

    /// Parses the segment `body` of a frame header (SOF) with this marker; `None` where it is truncated, or states no components
    /// or a size of 0.
    fn frame(&mut self, marker: u8, body: &[u8]) -> Option<()> {
        let word = |at: usize| Some(u32::from(*body.get(at)?) << 8 | u32::from(*body.get(at + 1)?));
        (self.height, self.width) = (word(1)?, word(3)?);
        self.progressive = marker == 0xC2;
        self.supported = matches!(marker, 0xC0..=0xC2) && body[0] == 8 && self.height > 0 && self.width > 0;
        self.components = body
            .get(6..)?
            .chunks_exact(3)
            .take(usize::from(*body.get(5)?))
            .map(|spec| Component {
                id: spec[0],
                h: u32::from(spec[1] >> 4).clamp(1, 4),
                v: u32::from(spec[1] & 15).clamp(1, 4),
                ..Component::default()
            })
            .collect();
        let (h, v) = self.max_sampling();
        let (across, down) = self.mcus();
        for component in &mut self.components {
            let blocks = |size: u32, sampling: u32, max: u32| (size * sampling).div_ceil(max).div_ceil(8);
            component.size_in_blocks = (
                blocks(self.width, component.h, h),
                blocks(self.height, component.v, v),
            );
            component.blocks_per_row = across * component.h;
        }
        (down > 0 && !self.components.is_empty()).then_some(())
    }

    /// Returns the maximum horizontal and vertical sampling factors.
    fn max_sampling(&self) -> (u32, u32) {
        let max = |of: fn(&Component) -> u32| self.components.iter().map(of).max().unwrap_or(1);
        (max(|c| c.h), max(|c| c.v))
    }

    /// Returns the number of MCUs per row and column in a scan of several components.
    fn mcus(&self) -> (u32, u32) {
        let (h, v) = self.max_sampling();
        (self.width.div_ceil(8 * h), self.height.div_ceil(8 * v))
    }

    /// Returns the minimum number of bytes of the entropy-coded data: a block has a code of at least one bit for its DC
    /// coefficient, in a sequential JPEG another for its end.
    pub(super) fn min_bytes(&self) -> u64 {
        let blocks: u64 = self
            .components
            .iter()
            .map(|c| u64::from(c.size_in_blocks.0) * u64::from(c.size_in_blocks.1))
            .sum();
        let bits = if self.progressive || !self.supported {
            blocks
        } else {
            2 * blocks
        };
        bits / 8
    }

    /// Returns the memory in bytes that a decoder needs in addition to the pixels: the coefficients of a progressive JPEG.
    pub(super) fn working_bytes(&self) -> u64 {
        let (across, down) = self.mcus();
        let blocks: u64 = self.components.iter().map(|c| u64::from(c.h * c.v)).sum();
        let blocks = blocks * u64::from(across) * u64::from(down);
        if self.progressive { blocks * (128 + 8) } else { 0 }
    }
}

/// Reports whether a marker is followed by a segment with a length.
fn has_length(marker: u8) -> bool {
    !matches!(marker, 0xD0..=0xD9 | 0x01)
}

/// Returns the next marker at or after offset `at`, and the offset after it.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut at = at;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)? + 1;
        while bytes.get(at) == Some(&0xFF) {
            at += 1;
        }
        match bytes.get(at)? {
            0 => at += 1,
            &marker => return Some((marker, at + 1)),
        }
    }
}

/// Returns the length at offset `at` of a segment, which includes its own two bytes.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(*bytes.get(at)?) << 8 | usize::from(*bytes.get(at + 1)?);
    (length >= 2).then_some(length)
}

/// Returns the content of the segment whose length is at offset `at`.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    bytes.get(at + 2..at + length(bytes, at)?)
}

/// Reports whether `tail`, the end of a file, ends with the end-of-image marker, optionally followed by zeros.
pub(super) fn ends_properly(tail: &[u8]) -> bool {
    let zeros = tail.iter().rev().take_while(|&&byte| byte == 0).count();
    tail[..tail.len() - zeros].ends_with(&[0xFF, 0xD9])
}

/// Checks that the entropy-coded data of a JPEG is complete; the error is a message. Unsupported codings pass.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let Some(header) = Header::read(bytes) else {
        return Err("it has no picture data".to_owned());
    };
    if !header.supported {
        return Ok(());
    }
    let at = header.first_scan;
    Walk {
        bytes,
        header,
        tables: Default::default(),
        restart: 0,
        counts: (0, 0),
    }
    .run(at)
}

/// A Huffman lookup table: for every 16-bit value, length (0: none) and symbol of the code that it begins with.
type Table = Vec<(u8, u8)>;

/// State of the completeness check.
struct Walk<'a> {
    /// The file.
    bytes: &'a [u8],
    header: Header,
    /// Huffman tables of DC coefficients, then of AC coefficients.
    tables: [[Table; 4]; 2],
    /// Restart interval in MCUs; 0 for none.
    restart: u32,
    /// Number of scans and of Huffman tables so far.
    counts: (usize, usize),
}

/// Spectral selection and successive approximation of a scan.
#[derive(Clone, Copy)]
struct Band {
    /// First coefficient.
    start: u32,
    /// Last coefficient.
    end: u32,
    /// Previous bit position; 0 for the first scan of the band.
    high: u32,
}

/// A component of a scan: its index, and the numbers of its DC and AC tables.
type ScanComponent = (usize, usize, usize);

impl Walk<'_> {
    /// Checks all scans from the marker at offset `first` on.
    fn run(mut self, first: usize) -> Result<(), String> {
        self.tables_before(first);
        let mut at = first;
        while let Some((marker, body)) = next_marker(self.bytes, at) {
            let truncated = || "a segment is cut off".to_owned();
            at = body;
            if self.counts.0 > MAX_SCANS || self.counts.1 > MAX_TABLES {
                return Err(format!(
                    "it has more than {MAX_SCANS} scans or {MAX_TABLES} tables"
                ));
            }
            match marker {
                0xDA => {
                    self.counts.0 += 1;
                    let scan = segment(self.bytes, body).ok_or_else(truncated)?;
                    at = self.scan(scan, body + scan.len() + 2)?;
                    continue;
                }
                0xD9 => return self.ended(),
                _ if has_length(marker) => {
                    let body = segment(self.bytes, body).ok_or_else(truncated)?;
                    self.tables(marker, body);
                    at += body.len() + 2;
                }
                _ => {}
            }
        }
        if self.header.progressive {
            return Err("it ends before its last scan".to_owned());
        }
        self.ended()
    }

    /// Parses the tables before the first scan.
    fn tables_before(&mut self, first: usize) {
        let mut at = 2;
        while let Some((marker, body)) = next_marker(self.bytes, at).filter(|(_, body)| *body <= first) {
            at = body;
            if let Some(content) = segment(self.bytes, body).filter(|_| has_length(marker)) {
                self.tables(marker, content);
                at += content.len() + 2;
            }
        }
    }

    /// Parses a restart interval or Huffman tables; ignores other segments.
    fn tables(&mut self, marker: u8, body: &[u8]) {
        match (marker, body) {
            (0xDD, [high, low, ..]) => self.restart = u32::from(*high) << 8 | u32::from(*low),
            (0xC4, _) => self.huffman(body),
            _ => {}
        }
    }

    /// Parses the Huffman tables of a DHT segment.
    fn huffman(&mut self, mut body: &[u8]) {
        while let Some((counts, rest)) = body.get(1..17).zip(body.get(17..)) {
            self.counts.1 += 1;
            if self.counts.1 > MAX_TABLES {
                return;
            }
            let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let Some(symbols) = rest.get(..total) else { return };
            let slot = usize::from(body[0] >> 4 & 1);
            self.tables[slot][usize::from(body[0] & 3)] = table(counts, symbols);
            body = &rest[total..];
        }
    }

    /// Returns an error where a component was in no scan.
    fn ended(&self) -> Result<(), String> {
        let missing = self.header.components.iter().filter(|c| !c.seen).count();
        match missing {
            0 => Ok(()),
            count => Err(format!("the data of {count} of its components is missing")),
        }
    }

    /// Checks a scan with the header `scan` and entropy-coded data from offset `at` on; returns the offset of the data's end.
    fn scan(&mut self, scan: &[u8], at: usize) -> Result<usize, String> {
        let bad = || "the header of a scan is damaged".to_owned();
        let count = usize::from(*scan.first().ok_or_else(bad)?);
        let specs = scan.get(1..1 + 2 * count).ok_or_else(bad)?;
        let Some(&[start, end, bits]) = scan.get(1 + 2 * count..4 + 2 * count) else {
            return Err(bad());
        };
        let mut components = Vec::new();
        for spec in specs.chunks_exact(2) {
            let index = self.header.components.iter().position(|c| c.id == spec[0]);
            let index = index.ok_or_else(bad)?;
            self.header.components[index].seen = true;
            components.push((index, usize::from(spec[1] >> 4 & 3), usize::from(spec[1] & 3)));
        }
        let band = Band {
            start: u32::from(start),
            end: u32::from(end),
            high: u32::from(bits >> 4),
        };
        if components.is_empty() || self.header.progressive && (band.end > 63 || band.start > band.end) {
            return Err(bad());
        }
        if self.header.progressive {
            self.make_masks();
        }
        self.mcus(&components, band, at)
    }

    /// Allocates the masks of nonzero coefficients.
    fn make_masks(&mut self) {
        let rows = self.header.mcus().1;
        for component in &mut self.header.components {
            let blocks = component.blocks_per_row as usize * (rows * component.v) as usize;
            component.nonzero.resize(blocks, 0);
        }
    }

    /// Decodes all MCUs of a scan from offset `at` on; returns the offset of the data's end. The error names the image row.
    fn mcus(&mut self, components: &[ScanComponent], band: Band, at: usize) -> Result<usize, String> {
        let alone = components.len() == 1;
        let (across, down) = if alone {
            self.header.components[components[0].0].size_in_blocks
        } else {
            self.header.mcus()
        };
        let total = across * down;
        let (restart, lines) = (self.restart, self.header.height);
        let (mut bits, mut run) = (Bits::new(self.bytes, at), 0);
        for mcu in 0..total {
            let position = (mcu % across, mcu / across);
            let row = || u64::from(position.1) * u64::from(lines) / u64::from(down.max(1));
            if restart > 0 && mcu > 0 && mcu % restart == 0 {
                bits.restart((mcu / restart - 1) % 8)
                    .map_err(|what| format!("{what} at row {} of {lines}", row()))?;
                run = 0;
            }
            self.mcu(components, band, position, alone, &mut bits, &mut run)
                .ok_or_else(|| {
                    let what = if bits.short {
                        "its data ends"
                    } else {
                        "its data is damaged"
                    };
                    format!("{what} at row {} of {lines}", row())
                })?;
        }
        match bits.left_over() {
            0..=LEFT_OVER => Ok(bits.at),
            count => Err(format!(
                "its data is damaged: {count} bytes are left over where its {lines} rows end"
            )),
        }
    }

    /// Decodes the codes of the MCU at `(x, y)`; `alone` is true in a scan of one component, whose MCU is one block. `run` is
    /// the end-of-band run of progressive scans. `None` for invalid or missing data.
    fn mcu(
        &mut self,
        components: &[ScanComponent],
        band: Band,
        (x, y): (u32, u32),
        alone: bool,
        bits: &mut Bits<'_>,
        run: &mut u32,
    ) -> Option<()> {
        for &(index, first, others) in components {
            let component = &mut self.header.components[index];
            let (h, v) = if alone { (1, 1) } else { (component.h, component.v) };
            for block in 0..h * v {
                let (column, row) = (x * h + block % h, y * v + block / h);
                let (first, others) = (&self.tables[0][first], &self.tables[1][others]);
                if !self.header.progressive {
                    sequential(bits, first, others)?;
                    continue;
                }
                let mask = component
                    .nonzero
                    .get_mut((row * component.blocks_per_row + column) as usize)?;
                progressive(bits, first, others, band, mask, run)?;
            }
        }
        Some(())
    }
}

/// Decodes the codes of a block of a sequential scan with the tables of its DC (`first`) and AC (`others`) coefficients.
fn sequential(bits: &mut Bits<'_>, first: &Table, others: &Table) -> Option<()> {
    let size = bits.symbol(first)?;
    bits.skip(u32::from(size).min(16))?;
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(others)?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if zeros < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += zeros + 1;
        if k > 64 {
            return None;
        }
        bits.skip(size)?;
    }
    Some(())
}

/// Decodes the codes of a block in a progressive scan; updates the mask of its nonzero coefficients and the end-of-band run.
fn progressive(
    bits: &mut Bits<'_>,
    first: &Table,
    others: &Table,
    band: Band,
    mask: &mut u64,
    run: &mut u32,
) -> Option<()> {
    match (band.start, band.high) {
        (0, 0) => {
            let size = bits.symbol(first)?;
            bits.skip(u32::from(size).min(16))
        }
        (0, _) => bits.skip(1),
        (_, 0) => spectral(bits, others, band, mask, run),
        _ => refinement(bits, others, band, mask, run),
    }
}

/// Decodes the first scan of a band of AC coefficients in a block (T.81, G.1.2.2).
fn spectral(bits: &mut Bits<'_>, table: &Table, band: Band, mask: &mut u64, run: &mut u32) -> Option<()> {
    if *run > 0 {
        *run -= 1;
        return Some(());
    }
    let mut k = band.start;
    while k <= band.end {
        let symbol = bits.symbol(table)?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        match (zeros, size) {
            (15, 0) => k += 16,
            (_, 0) => {
                *run = (1 << zeros) + bits.take(zeros)? - 1;
                return Some(());
            }
            _ => {
                k += zeros;
                if k > band.end {
                    return None;
                }
                bits.skip(size)?;
                *mask |= 1 << k;
                k += 1;
            }
        }
    }
    Some(())
}

/// Decodes a refinement scan of a band of AC coefficients in a block (T.81, G.1.2.3): one bit for each coefficient that is
/// already nonzero, codes for those that become nonzero.
fn refinement(bits: &mut Bits<'_>, table: &Table, band: Band, mask: &mut u64, run: &mut u32) -> Option<()> {
    let mut k = band.start;
    while *run == 0 && k <= band.end {
        let symbol = bits.symbol(table)?;
        let (mut zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.take(zeros)?;
            break;
        }
        bits.skip(size.min(1))?;
        while k <= band.end {
            if *mask >> k & 1 == 1 {
                bits.skip(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            k += 1;
        }
        if size > 0 {
            if k > band.end {
                return None;
            }
            *mask |= 1 << k;
        }
        k += 1;
    }
    if *run > 0 {
        for k in k..=band.end {
            bits.skip((*mask >> k & 1) as u32)?;
        }
        *run -= 1;
    }
    Some(())
}

/// Builds a lookup table from the number of codes of each length (1 to 16 bits) and their symbols.
fn table(counts: &[u8], symbols: &[u8]) -> Table {
    let mut table = vec![(0, 0); 1 << 16];
    let (mut code, mut next) = (0_usize, symbols.iter());
    for (length, &count) in (1_u8..).zip(counts) {
        let span = 1_usize << (16 - length);
        for &symbol in next.by_ref().take(usize::from(count)) {
            if let Some(entries) = table.get_mut(code..code + span) {
                entries.fill((length, symbol));
            }
            code += span;
        }
    }
    table
}

/// A bit reader of entropy-coded data up to the next marker, which removes stuffed zero bytes.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte.
    at: usize,
    /// The bits read ahead, in the low `count` bits.
    buffer: u64,
    count: u32,
    /// True once more bits were requested than exist.
    short: bool,
}

impl<'a> Bits<'a> {
    /// Creates a reader that begins at offset `at`.
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
            short: false,
        }
    }

    /// Reads bytes until the buffer holds more than 48 bits, or up to a marker.
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => return,
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// Returns the next `count` bits, at most 31; `None` where there are fewer.
    fn take(&mut self, count: u32) -> Option<u32> {
        if self.count < count {
            self.fill();
        }
        if self.count < count {
            self.short = true;
            return None;
        }
        self.count -= count;
        Some((self.buffer >> self.count) as u32 & ((1 << count) - 1))
    }

    /// Skips `count` bits; `None` where there are fewer.
    fn skip(&mut self, count: u32) -> Option<()> {
        self.take(count).map(|_| ())
    }

    /// Decodes the next Huffman symbol; `None` for an invalid code or missing bits.
    fn symbol(&mut self, table: &Table) -> Option<u8> {
        if self.count < 16 {
            self.fill();
        }
        let next = if self.count >= 16 {
            self.buffer >> (self.count - 16)
        } else {
            self.buffer << (16 - self.count)
        };
        let &(length, symbol) = table.get(next as usize & 0xFFFF)?;
        if length == 0 {
            self.short = self.count < 16;
            return None;
        }
        self.skip(u32::from(length))?;
        Some(symbol)
    }

    /// Skips to the next marker; returns the number of unused whole bytes before it.
    fn left_over(&mut self) -> usize {
        let mut count = self.count as usize / 8;
        while let Some(&byte) = self.bytes.get(self.at) {
            match self.bytes.get(self.at + 1) {
                Some(0) if byte == 0xFF => self.at += 1,
                Some(0xFF) | None if byte == 0xFF => {}
                _ if byte == 0xFF => break,
                _ => {}
            }
            count += usize::from(byte != 0xFF);
            self.at += 1;
        }
        self.count = 0;
        count
    }

    /// Skips the restart marker of this number (0 to 7); the error is a message.
    fn restart(&mut self, number: u32) -> Result<(), &'static str> {
        if self.left_over() > LEFT_OVER {
            return Err("its data is damaged");
        }
        match self.bytes.get(self.at + 1) {
            Some(&marker) if u32::from(marker) == 0xD0 + number => {
                self.at += 2;
                Ok(())
            }
            Some(0xD0..=0xD7) => Err("a part of its data is missing"),
            _ => Err("its data ends"),
        }
    }
}
