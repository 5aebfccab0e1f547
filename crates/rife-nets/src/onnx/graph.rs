//! Builder of an ONNX graph with common subexpression elimination, and its encoding as a `GraphProto` (onnx.proto). Numbers
//! in calls of [`Message`] are protobuf field numbers.

use std::collections::HashMap;

use super::proto::Message;
use crate::checkpoint::Dtype;

/// Index of a value of the graph, in order of creation.
pub(super) type Id = usize;

/// `TensorProto.DataType.FLOAT`.
const FLOAT: i64 = 1;
/// `TensorProto.DataType.INT64`.
const INT64: i64 = 7;
/// `TensorProto.DataType.FLOAT16`.
const FLOAT16: i64 = 10;
/// `AttributeProto.AttributeType.FLOAT`.
const ATTRIBUTE_FLOAT: i64 = 1;
/// `AttributeProto.AttributeType.INT`.
const ATTRIBUTE_INT: i64 = 2;
/// `AttributeProto.AttributeType.STRING`.
const ATTRIBUTE_TEXT: i64 = 3;
/// `AttributeProto.AttributeType.GRAPH`.
const ATTRIBUTE_GRAPH: i64 = 5;
/// `AttributeProto.AttributeType.INTS`.
const ATTRIBUTE_INTS: i64 = 7;

/// Definition of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// An omitted optional input of an operator.
    Absent,
    /// An input of the graph, with its shape.
    Input(Vec<usize>),
    /// A `TensorProto` without its name.
    Constant(Message),
    /// The single output of an operator.
    Node {
        op: &'static str,
        inputs: Vec<Id>,
        attributes: Vec<Message>,
    },
}

/// A value of the graph with its name.
#[derive(Debug)]
struct Entry {
    /// Origin of the value.
    source: Source,
    /// Name of the value in the model.
    name: String,
}

/// A named output of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    /// Name of the output in the model.
    pub(super) name: &'static str,
    pub(super) value: Id,
    /// Shape, with the batch dimension.
    pub(super) shape: Vec<usize>,
}

/// A graph being built: inputs, constants and operators in topological order, equal ones stored once.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// All values in the order in which they were added.
    entries: Vec<Entry>,
    /// Indices of the entries that may be reused.
    known: HashMap<Source, Id>,
}

impl Graph {
    /// Adds an input of the graph, or returns the value that has this name already.
    pub(super) fn input(&mut self, name: &str, shape: &[usize]) -> Id {
        if let Some(known) = self.entries.iter().position(|entry| entry.name == name) {
            return known;
        }
        self.push(Source::Input(shape.to_vec()), name.to_owned())
    }

    /// Returns the value that stands for an omitted optional input.
    pub(super) fn absent(&mut self) -> Id {
        self.shared(Source::Absent)
    }

    /// Adds a constant f32 tensor.
    pub(super) fn floats(&mut self, shape: &[usize], values: &[f32]) -> Id {
        self.shared(Source::Constant(floats(shape, values, Dtype::F32)))
    }

    /// Adds a constant one-dimensional int64 tensor.
    pub(super) fn ints(&mut self, values: &[i64]) -> Id {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.shared(Source::Constant(tensor(INT64, &[values.len()], &bytes)))
    }

    /// Adds a named constant stored as `dtype`, and a cast to f32 if that is f16. It is not compared with earlier constants.
    pub(super) fn weight(&mut self, name: &str, shape: &[usize], values: &[f32], dtype: Dtype) -> Id {
        let stored = self.push(Source::Constant(floats(shape, values, dtype)), name.to_owned());
        match dtype {
            Dtype::F32 => stored,
            Dtype::F16 => self.node("Cast", &[stored], vec![attribute_int("to", FLOAT)]),
        }
    }

    /// Adds an operator and returns its output.
    pub(super) fn node(&mut self, op: &'static str, inputs: &[Id], attributes: Vec<Message>) -> Id {
        self.shared(Source::Node {
            op,
            inputs: inputs.to_vec(),
            attributes,
        })
    }

    /// Returns the value with this definition, adding it if it is new.
    fn shared(&mut self, source: Source) -> Id {
        if let Some(&known) = self.known.get(&source) {
            return known;
        }
        self.known.insert(source.clone(), self.entries.len());
        let name = match source {
            Source::Absent => String::new(),
            _ => format!("v{}", self.entries.len()),
        };
        self.push(source, name)
    }

    /// Appends a value.
    fn push(&mut self, source: Source, name: String) -> Id {
        self.entries.push(Entry { source, name });
        self.entries.len() - 1
    }

    /// Encodes the `GraphProto` that computes these outputs; unused values are left out.
    pub(super) fn encode(mut self, outputs: &[Output]) -> Message {
        for output in outputs {
            self.entries[output.value].name = output.name.to_owned();
        }
        let needed = self.needed(outputs.iter().map(|output| output.value));
        let graph = self.body(&needed);
        graph.each(outputs, |graph, output| {
            graph.message(12, &described(output.name, &output.shape))
        })
    }

    /// Encodes the `GraphProto` with an `If` operator that returns the outputs `then` if the value `condition` is true, else
    /// `otherwise` (the same names and shapes). Operators that both branches use are outside of the `If`.
    pub(super) fn encode_if(self, condition: Id, then: &[Output], otherwise: &[Output]) -> Message {
        let [in_then, in_otherwise] =
            [then, otherwise].map(|outputs| self.needed(outputs.iter().map(|output| output.value)));
        let mut outer = self.needed([condition]);
        let both = in_then.iter().zip(&in_otherwise).enumerate();
        for (id, (a, b)) in both {
            let computed = matches!(self.entries[id].source, Source::Node { .. });
            outer[id] |= if computed { *a && *b } else { *a || *b };
        }
        let branch = |needed: &[bool], outputs: &[Output]| {
            let inner: Vec<bool> = needed.iter().zip(&outer).map(|(a, b)| *a && !b).collect();
            self.body(&inner).each(outputs, |graph, output| {
                graph.message(12, &described(&self.entries[output.value].name, &output.shape))
            })
        };
        let node = Message::default()
            .text(1, &self.entries[condition].name)
            .each(then, |node, output| node.text(2, output.name))
            .text(3, "choice")
            .text(4, "If")
            .message(5, &attribute_graph("then_branch", &branch(&in_then, then)))
            .message(
                5,
                &attribute_graph("else_branch", &branch(&in_otherwise, otherwise)),
            );
        self.body(&outer).message(1, &node).each(then, |graph, output| {
            graph.message(12, &described(output.name, &output.shape))
        })
    }

    /// Flags every value that the given values depend on, themselves included.
    fn needed(&self, of: impl IntoIterator<Item = Id>) -> Vec<bool> {
        let mut needed = vec![false; self.entries.len()];
        of.into_iter().for_each(|id| needed[id] = true);
        // Operands precede the values computed from them.
        for (id, entry) in self.entries.iter().enumerate().rev() {
            match &entry.source {
                Source::Node { inputs, .. } if needed[id] => {
                    inputs.iter().for_each(|&input| needed[input] = true);
                }
                _ => {}
            }
        }
        needed
    }

    /// Encodes a `GraphProto` of the entries whose flag is set, without outputs.
    fn body(&self, chosen: &[bool]) -> Message {
        let chosen = self.entries.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        let graph = Message::default().text(2, "rife");
        graph.each(chosen, |graph, (entry, _)| match &entry.source {
            Source::Absent => graph,
            Source::Input(shape) => graph.message(11, &described(&entry.name, shape)),
            Source::Constant(tensor) => graph.message(5, &tensor.clone().text(8, &entry.name)),
            Source::Node {
                op,
                inputs,
                attributes,
            } => {
                let node = Message::default()
                    .each(inputs, |node, &input| node.text(1, &self.entries[input].name))
                    .text(2, &entry.name)
                    .text(3, &format!("{op}_{}", entry.name))
                    .text(4, op)
                    .each(attributes, |node, attribute| node.message(5, attribute));
                graph.message(1, &node)
            }
        })
    }
}

/// Encodes the `ValueInfoProto` of an f32 tensor.
fn described(name: &str, shape: &[usize]) -> Message {
    let dimension = |size: &usize| Message::default().int(1, *size as i64);
    let shape = Message::default().each(shape, |shape, size| shape.message(1, &dimension(size)));
    let tensor = Message::default().int(1, FLOAT).message(2, &shape);
    let kind = Message::default().message(1, &tensor);
    Message::default().text(1, name).message(2, &kind)
}

/// Encodes a `TensorProto` without its name from little-endian values; `kind` is its `DataType`.
fn tensor(kind: i64, shape: &[usize], bytes: &[u8]) -> Message {
    Message::default()
        .each(shape, |tensor, &size| tensor.int(1, size as i64))
        .int(2, kind)
        .bytes(9, bytes)
}

/// Encodes a `TensorProto` of these values, converted to `dtype`.
fn floats(shape: &[usize], values: &[f32], dtype: Dtype) -> Message {
    let mut bytes = Vec::new();
    values.iter().for_each(|&value| dtype.append(value, &mut bytes));
    let kind = match dtype {
        Dtype::F32 => FLOAT,
        Dtype::F16 => FLOAT16,
    };
    tensor(kind, shape, &bytes)
}

/// Encodes name and type of an `AttributeProto`.
fn attribute(name: &str, kind: i64) -> Message {
    Message::default().text(1, name).int(20, kind)
}

/// Encodes an `AttributeProto` with an integer.
pub(super) fn attribute_int(name: &str, value: i64) -> Message {
    attribute(name, ATTRIBUTE_INT).int(3, value)
}

/// Encodes an `AttributeProto` with a float.
pub(super) fn attribute_float(name: &str, value: f32) -> Message {
    attribute(name, ATTRIBUTE_FLOAT).float(2, value)
}

/// Encodes an `AttributeProto` with a string.
pub(super) fn attribute_text(name: &str, value: &str) -> Message {
    attribute(name, ATTRIBUTE_TEXT).text(4, value)
}

/// Encodes an `AttributeProto` with a list of integers.
pub(super) fn attribute_ints(name: &str, values: &[i64]) -> Message {
    attribute(name, ATTRIBUTE_INTS).each(values, |attribute, &value| attribute.int(8, value))
}

/// Encodes an `AttributeProto` with a subgraph.
fn attribute_graph(name: &str, graph: &Message) -> Message {
    attribute(name, ATTRIBUTE_GRAPH).message(6, graph)
}
