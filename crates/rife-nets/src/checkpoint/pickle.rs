//! Pickle virtual machine, data only: the opcodes (protocols 2 to 5) that `torch.save` writes for a state_dict build nodes in
//! an arena. Nothing is imported or called: globals outside an allow-list of PyTorch's tensor constructors are errors.

use std::collections::HashMap;

use super::bytes::Cursor;
use super::element::Element;
use super::error::quoted;

/// Maximum size of a pickle in bytes; RIFE's have 30 KB.
pub(super) const MAX_PICKLE_BYTES: usize = 4 << 20;
/// Maximum number of values in a pickle.
const MAX_NODES: usize = 300_000;
/// Maximum length of a storage's key, which is a number. Bounds the memory of a pickle that repeats one string many times.
const MAX_STORAGE_KEY_BYTES: usize = 64;

/// Reason why a pickle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleProblem {
    /// A global (class or function) outside the allow-list.
    #[error(
        "it refers to {0}, which is not run; accepted is a state_dict of plain tensors \
         (in PyTorch: torch.save(model.state_dict(), path))"
    )]
    Forbidden(String),
    /// An unsupported opcode.
    #[error("instruction {code:#04x} at byte {at} is not accepted")]
    Opcode {
        /// The opcode.
        code: u8,
        /// Its offset in bytes.
        at: usize,
    },
    /// The pickle has no end; with the number of bytes.
    #[error("the pickle is cut off after {0} bytes")]
    CutOff(usize),
    /// An opcode whose operands are missing or of the wrong type.
    #[error("the pickle is damaged at byte {at}: {what}")]
    Damaged {
        /// Offset of the opcode in bytes.
        at: usize,
        /// The operands expected.
        what: &'static str,
    },
    /// A limit exceeded.
    #[error("{what} beyond the {limit} that are read")]
    TooMuch {
        /// The limited quantity.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

use PickleProblem as Fault;

/// Index of a value in the arena.
pub(super) type Ref = usize;

/// A value of the pickle.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A float or byte string, which a state_dict does not need.
    Opaque,
    Text(String),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Global(Global),
    Storage(Box<Storage>),
    Tensor(Box<View>),
}

/// The globals of the allow-list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageType(Element),
}

impl Global {
    /// Looks up a global in the allow-list.
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", storage) => Self::StorageType(match storage.strip_suffix("Storage")? {
                "Half" => Element::F16,
                "BFloat16" => Element::Bf16,
                "Float" => Element::F32,
                "Double" => Element::F64,
                "Bool" | "Byte" | "Char" => Element::Integer(1),
                "Short" => Element::Integer(2),
                "Int" => Element::Integer(4),
                "Long" => Element::Integer(8),
                _ => return None,
            }),
            _ => return None,
        })
    }
}

/// A PyTorch storage: a one-dimensional array whose bytes are outside of the pickle, under `key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Type of the elements.
    pub(super) element: Element,
    /// Name of the storage in the archive.
    pub(super) key: String,
    /// Number of elements, as claimed by the pickle.
    pub(super) count: u64,
}

/// A tensor: a strided view of a storage; offset and strides in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Value that describes the storage.
    pub(super) storage: Ref,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// A parsed pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    /// Arena of all values.
    nodes: Vec<Node>,
    /// Its top-level value.
    pub(super) root: Ref,
    /// Its size in bytes.
    pub(super) length: usize,
}

impl Pickle {
    /// Returns the value of index `node`.
    pub(super) fn node(&self, node: Ref) -> &Node {
        &self.nodes[node]
    }

    /// Returns the string that a value is; `None` if it is not a string.
    pub(super) fn text(&self, node: Ref) -> Option<&str> {
        match self.node(node) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Iterates over all storages; one that the pickle names twice occurs twice.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some(storage.as_ref()),
            _ => None,
        })
    }
}

/// Parses the pickle at the beginning of `bytes`; what follows its STOP opcode is ignored.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, Fault> {
    let bytes = &bytes[..bytes.len().min(MAX_PICKLE_BYTES)];
    let mut machine = Machine {
        cursor: Cursor::new(bytes),
        at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = loop {
        if let Some(root) = machine.step()? {
            break root;
        }
    };
    Ok(Pickle {
        nodes: machine.nodes,
        root,
        length: machine.cursor.position(),
    })
}

/// The virtual machine.
struct Machine<'a> {
    cursor: Cursor<'a>,
    /// Offset of the current opcode.
    at: usize,
    /// Arena of all values.
    nodes: Vec<Node>,
    /// Stack of values.
    stack: Vec<Ref>,
    /// Heights of the stack at which MARK was read.
    marks: Vec<usize>,
    /// Stored values by memo key.
    memo: HashMap<u32, Ref>,
}

impl<'a> Machine<'a> {
    /// Executes one opcode; returns the top-level value after STOP, else `None`.
    fn step(&mut self) -> Result<Option<Ref>, Fault> {
        self.at = self.cursor.position();
        let code = self.operand(Cursor::u8)?;
        match code {
            b'.' => return self.pop().map(Some),
            b'\x80' => self.operand(Cursor::u8).map(drop)?,
            b'\x95' => self.operand(Cursor::u64).map(drop)?,
            b'(' => self.marks.push(self.stack.len()),
            b'c' | b'\x93' => self.global(code)?,
            b'Q' => self.persistent_id()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'q' | b'r' | b'\x94' => self.put(code)?,
            b'h' | b'j' => self.get(code)?,
            b't' | b'\x85' | b'\x86' | b'\x87' => self.tuple(code)?,
            b'a' | b'e' => self.append(code)?,
            b's' | b'u' => self.set_items(code)?,
            _ => {
                let node = self.constant(code)?;
                self.push(node)?;
            }
        }
        Ok(None)
    }

    /// Returns the value of an opcode that pushes a constant or an empty container.
    fn constant(&mut self, code: u8) -> Result<Node, Fault> {
        Ok(match code {
            b'N' => Node::None,
            b'\x88' => Node::Bool(true),
            b'\x89' => Node::Bool(false),
            b'K' => Node::Int(self.operand(Cursor::u8)?.into()),
            b'M' => Node::Int(self.operand(Cursor::u16)?.into()),
            b'J' => Node::Int(self.operand(Cursor::i32)?.into()),
            b'\x8a' => self.long()?,
            b'G' => self.operand(Cursor::f64_be).map(|_| Node::Opaque)?,
            b'X' => self.text(Cursor::u32)?,
            b'\x8c' => self.text(u8_length)?,
            b'U' | b'C' => self.bytes(u8_length).map(|_| Node::Opaque)?,
            b'T' | b'B' => self.bytes(Cursor::u32).map(|_| Node::Opaque)?,
            b'}' => Node::Dict(Vec::new()),
            b']' => Node::List(Vec::new()),
            b')' => Node::Tuple(Vec::new()),
            _ => return Err(Fault::Opcode { code, at: self.at }),
        })
    }

    /// Reads the operand of LONG1: a little-endian two's complement integer of up to eight bytes.
    fn long(&mut self) -> Result<Node, Fault> {
        let bytes = self.bytes(u8_length)?;
        let last = *bytes.last().unwrap_or(&0);
        let mut padded = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
        let room = padded.get_mut(..bytes.len());
        room.ok_or(self.damaged("a whole number of at most 64 bits"))?
            .copy_from_slice(bytes);
        Ok(Node::Int(i64::from_le_bytes(padded)))
    }

    /// Reads a UTF-8 string after its length, which `length` reads.
    fn text(&mut self, length: fn(&mut Cursor<'a>) -> Option<u32>) -> Result<Node, Fault> {
        let bytes = self.bytes(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.damaged("UTF-8 text"))?;
        Ok(Node::Text(text.to_owned()))
    }

    /// Reads bytes after their length, which `length` reads.
    fn bytes(&mut self, length: fn(&mut Cursor<'a>) -> Option<u32>) -> Result<&'a [u8], Fault> {
        let length = self.operand(length)?;
        self.operand(|cursor| cursor.take(length as usize))
    }

    /// Executes GLOBAL (module and name inline) or STACK_GLOBAL (both on the stack).
    fn global(&mut self, code: u8) -> Result<(), Fault> {
        let (module, name) = if code == b'c' {
            let module = self.operand(Cursor::line)?;
            (lossy(module), lossy(self.operand(Cursor::line)?))
        } else {
            let name = self.pop_text()?;
            (self.pop_text()?, name)
        };
        let found = Global::find(&module, &name);
        let global = found.ok_or_else(|| Fault::Forbidden(quoted(&format!("{module}.{name}"))))?;
        self.push(Node::Global(global))
    }

    /// Executes BINPERSID: replaces the tuple `('storage', type, key, location, count)` by a storage. Older files add a sixth
    /// element, which must be None (not a view of another storage).
    fn persistent_id(&mut self) -> Result<(), Fault> {
        let id = self.pop()?;
        let storage = self
            .storage(id)
            .ok_or(self.damaged("the description of a storage"))?;
        self.push(Node::Storage(Box::new(storage)))
    }

    /// Parses the persistent id of a storage; `None` if it is none.
    fn storage(&self, id: Ref) -> Option<Storage> {
        let (fields, view) = match self.tuple_of(id)? {
            fields @ &[_, _, _, _, _] => (fields, None),
            fields @ &[_, _, _, _, _, view] => (&fields[..5], Some(view)),
            _ => return None,
        };
        let is_storage = matches!(&self.nodes[fields[0]], Node::Text(kind) if kind == "storage");
        let is_complete = view.is_none_or(|view| self.nodes[view] == Node::None);
        let (Node::Global(Global::StorageType(element)), Node::Text(key)) =
            (&self.nodes[fields[1]], &self.nodes[fields[2]])
        else {
            return None;
        };
        (is_storage && is_complete && key.len() <= MAX_STORAGE_KEY_BYTES).then_some(Storage {
            element: *element,
            key: key.clone(),
            count: self.natural(fields[4])?,
        })
    }

    /// Executes REDUCE for the constructors of the allow-list: OrderedDict, tensor, parameter.
    fn reduce(&mut self) -> Result<(), Fault> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let arguments = self.tuple_of(arguments).ok_or(self.damaged("arguments"))?;
        let built = match (&self.nodes[callable], arguments) {
            (Node::Global(Global::OrderedDict), &[]) => Some(Node::Dict(Vec::new())),
            (Node::Global(Global::RebuildTensor), &[storage, offset, shape, strides, ..]) => {
                let view = self.view(storage, offset, shape, strides);
                view.map(Box::new).map(Node::Tensor)
            }
            (Node::Global(Global::RebuildParameter), &[data, ..]) => match &self.nodes[data] {
                Node::Tensor(view) => Some(Node::Tensor(view.clone())),
                _ => None,
            },
            _ => None,
        };
        let built = built.ok_or(self.damaged("the parts of a tensor or an OrderedDict"))?;
        self.push(built)
    }

    /// Makes a tensor of the arguments of `_rebuild_tensor_v2`; `None` if they have other types.
    fn view(&self, storage: Ref, offset: Ref, shape: Ref, strides: Ref) -> Option<View> {
        let naturals = |node| -> Option<Vec<u64>> {
            let sizes = self
                .tuple_of(node)
                .filter(|sizes| sizes.len() <= super::MAX_RANK)?;
            sizes.iter().map(|&n| self.natural(n)).collect()
        };
        matches!(self.nodes[storage], Node::Storage(_)).then_some(())?;
        let (shape, strides) = (naturals(shape)?, naturals(strides)?);
        (shape.len() == strides.len()).then_some(View {
            storage,
            offset: self.natural(offset)?,
            shape,
            strides,
        })
    }

    /// Executes BUILD on a dictionary by discarding the attributes: a state_dict has only `_metadata`.
    fn build(&mut self) -> Result<(), Fault> {
        self.pop()?;
        match self.stack.last().map(|&top| &self.nodes[top]) {
            Some(Node::Dict(_)) => Ok(()),
            _ => Err(self.damaged("attributes of a dictionary")),
        }
    }

    /// Executes BINPUT, LONG_BINPUT or MEMOIZE: stores the top of the stack in the memo.
    fn put(&mut self, code: u8) -> Result<(), Fault> {
        let key = match code {
            b'q' => self.operand(u8_length)?,
            b'r' => self.operand(Cursor::u32)?,
            _ => self.memo.len() as u32,
        };
        let top = *self.stack.last().ok_or(self.damaged("a value"))?;
        self.memo.insert(key, top);
        Ok(())
    }

    /// Executes BINGET or LONG_BINGET: pushes a value of the memo.
    fn get(&mut self, code: u8) -> Result<(), Fault> {
        let key = match code {
            b'h' => self.operand(u8_length)?,
            _ => self.operand(Cursor::u32)?,
        };
        let found = self.memo.get(&key).copied();
        self.stack
            .push(found.ok_or(self.damaged("a value stored before"))?);
        Ok(())
    }

    /// Executes TUPLE (values above the mark) or TUPLE1 to TUPLE3.
    fn tuple(&mut self, code: u8) -> Result<(), Fault> {
        let items = match code {
            b't' => self.pop_to_mark()?,
            _ => {
                let height = self.stack.len().checked_sub((code - b'\x84').into());
                self.pop_above(height)?
            }
        };
        self.push(Node::Tuple(items))
    }

    /// Executes APPEND or APPENDS on the list below the items.
    fn append(&mut self, code: u8) -> Result<(), Fault> {
        let items = match code {
            b'a' => vec![self.pop()?],
            _ => self.pop_to_mark()?,
        };
        let expected = self.damaged("a list");
        match self.top()? {
            Node::List(list) => list.extend(items),
            _ => return Err(expected),
        }
        Ok(())
    }

    /// Executes SETITEM or SETITEMS on the dictionary below the keys and values.
    fn set_items(&mut self, code: u8) -> Result<(), Fault> {
        let items = match code {
            b's' => self.pop_above(self.stack.len().checked_sub(2))?,
            _ => self.pop_to_mark()?,
        };
        let expected = self.damaged("a dictionary and pairs");
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(expected);
        };
        match self.top()? {
            Node::Dict(dict) => dict.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return Err(expected),
        }
        Ok(())
    }

    /// Reads an opcode's operand; an error at the end of the pickle or past [`MAX_PICKLE_BYTES`].
    fn operand<T>(&mut self, read: impl FnOnce(&mut Cursor<'a>) -> Option<T>) -> Result<T, Fault> {
        let length = self.cursor.position() + self.cursor.left();
        read(&mut self.cursor).ok_or(if length == MAX_PICKLE_BYTES {
            Fault::TooMuch {
                what: "a pickle's bytes",
                limit: MAX_PICKLE_BYTES,
            }
        } else {
            Fault::CutOff(length)
        })
    }

    /// Adds a value to the arena and pushes it.
    fn push(&mut self, node: Node) -> Result<(), Fault> {
        if self.nodes.len() == MAX_NODES {
            return Err(Fault::TooMuch {
                what: "values",
                limit: MAX_NODES,
            });
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// Pops the top of the stack; an error if nothing is above the last mark.
    fn pop(&mut self) -> Result<Ref, Fault> {
        let height = self.stack.len().checked_sub(1);
        Ok(self.pop_above(height)?[0])
    }

    /// Pops a string.
    fn pop_text(&mut self) -> Result<String, Fault> {
        let top = self.pop()?;
        match &self.nodes[top] {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(self.damaged("a name")),
        }
    }

    /// Pops the last mark and all values above it.
    fn pop_to_mark(&mut self) -> Result<Vec<Ref>, Fault> {
        let mark = self.marks.pop();
        self.pop_above(mark)
    }

    /// Pops the values from stack index `height` on; an error for `None` and for an index below the last mark.
    fn pop_above(&mut self, height: Option<usize>) -> Result<Vec<Ref>, Fault> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match height {
            Some(height) if height >= bottom && height <= self.stack.len() => {
                Ok(self.stack.split_off(height))
            }
            _ => Err(self.damaged("a value")),
        }
    }

    /// Returns the value at the top of the stack.
    fn top(&mut self) -> Result<&mut Node, Fault> {
        let expected = self.damaged("a value");
        let top = *self.stack.last().ok_or(expected)?;
        Ok(&mut self.nodes[top])
    }

    /// Returns the elements of a tuple; `None` for other types.
    fn tuple_of(&self, node: Ref) -> Option<&[Ref]> {
        match &self.nodes[node] {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Returns a non-negative integer; `None` for other values.
    fn natural(&self, node: Ref) -> Option<u64> {
        match self.nodes[node] {
            Node::Int(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// Makes the error for missing or wrong operands of the current opcode.
    fn damaged(&self, what: &'static str) -> Fault {
        Fault::Damaged { at: self.at, what }
    }
}

/// Reads a one-byte length or index.
fn u8_length(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.u8().map(u32::from)
}

/// Decodes UTF-8, replacing invalid bytes by U+FFFD.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
