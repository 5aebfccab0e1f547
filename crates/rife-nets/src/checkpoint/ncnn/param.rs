//! ncnn `.param` parser: text with one layer per line, `kind name inputs outputs blob... key=value...`.

use std::collections::BTreeMap;

use super::super::error::quoted;
use super::NcnnProblem as Fault;

/// Maximum size of a `.param` file in bytes; RIFE's have up to 70 KB.
pub(in super::super) const MAX_PARAM_BYTES: u64 = 2 << 20;
/// Maximum number of layers; RIFE's models have up to 900.
const MAX_LAYERS: usize = 20_000;
/// First line of a `.param` file.
const MAGIC: &str = "7767517";
/// Key of an array parameter `k` is `ARRAY_BASE - k`.
const ARRAY_BASE: i64 = -23300;

/// One layer of the graph; `settings` are its parameters by ncnn's numeric key.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Layer<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    settings: BTreeMap<i64, &'a str>,
}

impl Layer<'_> {
    /// Returns an integer parameter, `default` if it is absent; an error if it is not a natural number.
    pub(super) fn number(&self, key: i64, default: u64) -> Result<u64, Fault> {
        let Some(text) = self.settings.get(&key) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| self.fault(format!("setting {key} is {}, not a natural number", quoted(text))))
    }

    /// Returns a float parameter, `default` if it is absent or not a number.
    pub(super) fn float(&self, key: i64, default: f32) -> f32 {
        let text = self.settings.get(&key);
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Returns the first element of an array parameter; `None` if it is absent or empty.
    pub(super) fn first_of_array(&self, key: i64) -> Option<f32> {
        let text = self.settings.get(&(ARRAY_BASE - key))?;
        text.split(',').nth(1)?.parse().ok()
    }

    /// Makes an error about this layer.
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::Layer {
            name: quoted(self.name),
            what: what.into(),
        }
    }
}

/// Reports whether a file is an ncnn `.param` file.
pub(in super::super) fn is_param(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC.as_bytes()) && matches!(bytes.get(MAGIC.len()), Some(b'\n' | b'\r'))
}

/// Parses a `.param` file into its layers.
pub(in super::super) fn parse(bytes: &[u8]) -> Result<Vec<Layer<'_>>, Fault> {
    let fault = |line: usize, what: String| Fault::Param { line, what };
    let text = std::str::from_utf8(bytes).map_err(|_| fault(1, "not UTF-8 text".into()))?;
    let mut lines = (1..).zip(text.lines());
    let magic = lines.next().map_or("", |(_, line)| line.trim());
    if magic != MAGIC {
        return Err(fault(1, format!("{} instead of {MAGIC}", quoted(magic))));
    }
    let counts = lines.next().map_or("", |(_, line)| line);
    let announced = counts
        .split_whitespace()
        .next()
        .and_then(|count| count.parse::<usize>().ok());
    let announced = announced.filter(|&count| count <= MAX_LAYERS).ok_or_else(|| {
        fault(
            2,
            format!("{} instead of at most {MAX_LAYERS} layers", quoted(counts)),
        )
    })?;
    let mut layers = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let layer =
            parse_layer(line).ok_or_else(|| fault(number, format!("not a layer: {}", quoted(line))))?;
        layers.push(layer);
    }
    if layers.len() != announced {
        let what = format!("{announced} layers are announced and {} are there", layers.len());
        return Err(fault(2, what));
    }
    Ok(layers)
}

/// Parses one line: kind, name, numbers of input and output blobs, names of these blobs, parameters `key=value`.
fn parse_layer(line: &str) -> Option<Layer<'_>> {
    let mut words = line.split_whitespace();
    let (kind, name) = (words.next()?, words.next()?);
    let inputs: usize = words.next()?.parse().ok()?;
    let outputs: usize = words.next()?.parse().ok()?;
    let mut blobs = |count: usize| -> Option<Vec<&str>> {
        // Allocates no more than the line has words, whatever the count says.
        let blobs: Vec<_> = words.by_ref().take(count).collect();
        (blobs.len() == count).then_some(blobs)
    };
    let (inputs, outputs) = (blobs(inputs)?, blobs(outputs)?);
    let mut settings = BTreeMap::new();
    for word in words {
        let (key, value) = word.split_once('=')?;
        let twice = settings.insert(key.parse().ok()?, value);
        twice.is_none().then_some(())?;
    }
    Some(Layer {
        kind,
        name,
        inputs,
        outputs,
        settings,
    })
}
