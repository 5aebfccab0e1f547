//! Numpy arrays as frames of the library, without a copy: HxWxC (C = 1, 3, 4) or HxW, of uint8, uint16, float16 or float32 in
//! native byte order, whose pixels are packed in rows with any stride not below a row's length.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use rife::media::{ChannelOrder, FrameView, FrameViewMut, SampleType};

use crate::error::{exception, usage};

/// Shape and memory layout of an array.
struct Layout {
    width: u32,
    height: u32,
    order: ChannelOrder,
    sample: SampleType,
    /// Bytes from the start of a row to the next one's.
    stride: usize,
    /// Bytes from the first row's start to the last row's end.
    length: usize,
}

/// Checks an array's type, shape and strides.
fn layout(array: &Bound<'_, PyUntypedArray>, bgr: bool) -> PyResult<Layout> {
    let py = array.py();
    let dtype = array.dtype();
    let refuse = |what: String| {
        usage(
            py,
            format!(
                "{what}; accepted are packed arrays HxW, HxWx1, HxWx3 and HxWx4 of uint8, uint16, float16 and float32"
            ),
        )
    };
    let sample = match (dtype.kind(), dtype.itemsize()) {
        (b'u', 1) => SampleType::U8,
        (b'u', 2) => SampleType::U16,
        (b'f', 2) => SampleType::F16,
        (b'f', 4) => SampleType::F32,
        _ => return Err(refuse(format!("the array's type is {dtype}"))),
    };
    if dtype.is_native_byteorder() == Some(false) {
        return Err(refuse(format!(
            "the array's byte order is not the machine's: {dtype}"
        )));
    }
    let (shape, strides) = (array.shape(), array.strides());
    let (rows, columns, channels) = match *shape {
        [rows, columns] => (rows, columns, 1),
        [rows, columns, channels] => (rows, columns, channels),
        _ => return Err(refuse(format!("the array's shape is {shape:?}"))),
    };
    let order = match (channels, bgr) {
        (1, _) => ChannelOrder::Gray,
        (3, false) => ChannelOrder::Rgb,
        (3, true) => ChannelOrder::Bgr,
        (4, false) => ChannelOrder::Rgba,
        (4, true) => ChannelOrder::Bgra,
        _ => return Err(refuse(format!("the array's shape is {shape:?}"))),
    };
    let size = sample.bytes();
    let pixel = channels * size;
    // The stride of an axis with one element is not used, and may be anything.
    let packed = |axis: usize, step: usize| {
        shape.get(axis).is_none_or(|&length| length == 1)
            || strides.get(axis).is_some_and(|&stride| stride == step as isize)
    };
    let row = columns * pixel;
    let stride = match strides.first() {
        _ if rows == 1 => row,
        Some(&stride) => usize::try_from(stride).unwrap_or(0),
        None => 0,
    };
    let sides = u32::try_from(columns).ok().zip(u32::try_from(rows).ok());
    match sides {
        Some((width, height))
            if rows > 0 && columns > 0 && packed(1, pixel) && packed(2, size) && stride >= row =>
        {
            Ok(Layout {
                width,
                height,
                order,
                sample,
                stride,
                length: (rows - 1) * stride + row,
            })
        }
        _ => Err(refuse(format!(
            "the array's shape is {shape:?} with strides {strides:?}"
        ))),
    }
}

/// Returns the address of an array's first element.
fn address(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: the array object is valid while `array` is borrowed.
    unsafe { (*array.as_array_ptr()).fields.data.cast() }
}

/// Borrows an array's frame. The array must not be written to meanwhile, as the documentation of the package says.
///
/// # Errors
/// `rife.UsageError` for other types, shapes and strides.
pub(crate) fn view<'a>(array: &'a Bound<'_, PyUntypedArray>, bgr: bool) -> PyResult<FrameView<'a>> {
    let layout = layout(array, bgr)?;
    // SAFETY: shape and strides were checked: the array's elements lie in these `length` bytes, which start at its first
    // element and are alive while `array` is borrowed.
    let bytes = unsafe { std::slice::from_raw_parts(address(array).cast_const(), layout.length) };
    let Layout {
        width,
        height,
        order,
        sample,
        stride,
        ..
    } = layout;
    FrameView::new(width, height, order, sample, bytes, stride)
        .map_err(|error| exception(array.py(), &error.into()))
}

/// Borrows an array that a frame is written to: one that the package has made for this call and shown to no one else.
///
/// # Errors
/// `rife.UsageError` for read-only arrays, and those of [`view`].
pub(crate) fn view_mut<'a>(array: &'a Bound<'_, PyUntypedArray>, bgr: bool) -> PyResult<FrameViewMut<'a>> {
    let layout = layout(array, bgr)?;
    // SAFETY: as in `address`.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    if flags & numpy::npyffi::NPY_ARRAY_WRITEABLE == 0 {
        return Err(usage(array.py(), "the result's array is read-only"));
    }
    // SAFETY: as in `view`; the array is writeable, and only this call has it.
    let bytes = unsafe { std::slice::from_raw_parts_mut(address(array), layout.length) };
    let Layout {
        width,
        height,
        order,
        sample,
        stride,
        ..
    } = layout;
    FrameViewMut::new(width, height, order, sample, bytes, stride)
        .map_err(|error| exception(array.py(), &error.into()))
}
