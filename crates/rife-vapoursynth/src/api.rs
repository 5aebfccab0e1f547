//! VapourSynth's C API as types with owners: maps of arguments and frame properties, clips, and frames.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::NonNull;

use vapoursynth4_sys::{
    VSAPI, VSCore, VSFrame, VSFrameContext, VSMap, VSMapAppendMode, VSMapPropertyError, VSNode,
    VSVideoFormat, VSVideoInfo,
};

/// The table of VapourSynth's functions, which lives as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct Api(&'static VSAPI);

impl Api {
    /// Takes the table.
    ///
    /// # Safety
    /// `api` is the pointer that VapourSynth passes to plugins.
    pub(crate) unsafe fn new(api: *const VSAPI) -> Self {
        // SAFETY: VapourSynth's table is static.
        Self(unsafe { &*api })
    }
}

/// Converts a text for C; what follows a zero is left out.
pub(crate) fn c_string(text: &str) -> CString {
    let before = text.split('\0').next().unwrap_or_default();
    CString::new(before).unwrap_or_default()
}

/// A map that is read: arguments or the properties of a frame.
pub(crate) struct MapRef<'a> {
    api: Api,
    map: &'a VSMap,
}

impl MapRef<'_> {
    /// Borrows a map.
    ///
    /// # Safety
    /// `map` is valid for as long as the result is used.
    pub(crate) unsafe fn new(api: Api, map: *const VSMap) -> Self {
        // SAFETY: as the caller promises.
        let map = unsafe { &*map };
        Self { api, map }
    }

    /// Returns an integer; `None` if there is none of this name.
    pub(crate) fn int(&self, key: &CStr) -> Option<i64> {
        let mut error = VSMapPropertyError::Success;
        // SAFETY: the map is valid, the key is a C string.
        let value = unsafe { (self.api.0.mapGetInt)(self.map, key.as_ptr(), 0, &mut error) };
        (error == VSMapPropertyError::Success).then_some(value)
    }

    /// Returns a number; `None` if there is none of this name.
    pub(crate) fn float(&self, key: &CStr) -> Option<f64> {
        let mut error = VSMapPropertyError::Success;
        // SAFETY: as in `int`.
        let value = unsafe { (self.api.0.mapGetFloat)(self.map, key.as_ptr(), 0, &mut error) };
        (error == VSMapPropertyError::Success).then_some(value)
    }

    /// Returns a text; `None` if there is none of this name. What is not UTF-8 is replaced.
    pub(crate) fn text(&self, key: &CStr) -> Option<String> {
        let mut error = VSMapPropertyError::Success;
        // SAFETY: as in `int`.
        let data = unsafe { (self.api.0.mapGetData)(self.map, key.as_ptr(), 0, &mut error) };
        if error != VSMapPropertyError::Success || data.is_null() {
            return None;
        }
        // SAFETY: as in `int`.
        let size = unsafe { (self.api.0.mapGetDataSize)(self.map, key.as_ptr(), 0, &mut error) };
        // SAFETY: VapourSynth's data has this size and lives as long as the map.
        let bytes =
            unsafe { std::slice::from_raw_parts(data.cast::<u8>(), usize::try_from(size).unwrap_or(0)) };
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Returns a clip; `None` if there is none of this name.
    pub(crate) fn node(&self, key: &CStr) -> Option<Node> {
        let mut error = VSMapPropertyError::Success;
        // SAFETY: as in `int`; the caller owns the reference that is returned.
        let node = unsafe { (self.api.0.mapGetNode)(self.map, key.as_ptr(), 0, &mut error) };
        let api = self.api;
        NonNull::new(node).map(|node| Node { api, node })
    }
}

/// A map that is written.
pub(crate) struct MapMut<'a> {
    api: Api,
    map: &'a mut VSMap,
}

impl MapMut<'_> {
    /// Borrows a map.
    ///
    /// # Safety
    /// `map` is valid for as long as the result is used, and no one else uses it meanwhile.
    pub(crate) unsafe fn new(api: Api, map: *mut VSMap) -> Self {
        // SAFETY: as the caller promises.
        let map = unsafe { &mut *map };
        Self { api, map }
    }

    /// Returns the map for VapourSynth's functions.
    pub(crate) fn raw(&mut self) -> *mut VSMap {
        self.map
    }

    /// Makes the map an error.
    pub(crate) fn set_error(&mut self, text: &str) {
        // SAFETY: the map is valid, the text is a C string, which VapourSynth copies.
        unsafe { (self.api.0.mapSetError)(self.map, c_string(text).as_ptr()) };
    }

    /// Sets an integer.
    pub(crate) fn set_int(&mut self, key: &CStr, value: i64) {
        // SAFETY: as in `set_error`.
        unsafe { (self.api.0.mapSetInt)(self.map, key.as_ptr(), value, VSMapAppendMode::Replace) };
    }

    /// Sets a number.
    pub(crate) fn set_float(&mut self, key: &CStr, value: f64) {
        // SAFETY: as in `set_error`.
        unsafe { (self.api.0.mapSetFloat)(self.map, key.as_ptr(), value, VSMapAppendMode::Replace) };
    }
}

/// A clip.
pub(crate) struct Node {
    api: Api,
    node: NonNull<VSNode>,
}

// SAFETY: VapourSynth's references to clips may be used and freed by any thread.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// Returns the clip for VapourSynth's functions.
    pub(crate) fn raw(&self) -> *mut VSNode {
        self.node.as_ptr()
    }

    /// Returns VapourSynth's functions.
    pub(crate) fn functions(&self) -> &'static VSAPI {
        self.api.0
    }

    /// Returns the clip's format, size, rate and length.
    pub(crate) fn info(&self) -> &VSVideoInfo {
        // SAFETY: the description lives as long as the clip.
        unsafe { &*(self.api.0.getVideoInfo)(self.raw()) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SAFETY: this is the owner of the reference.
        unsafe { (self.api.0.freeNode)(self.raw()) };
    }
}

/// The context of a request for a frame of the filter.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) api: Api,
    pub(crate) context: *mut VSFrameContext,
    pub(crate) core: *mut VSCore,
}

impl Request {
    /// Asks for a frame of another clip, which is there when the filter is called again.
    pub(crate) fn ask(self, node: &Node, number: u32) {
        // SAFETY: context and clip are valid during the request.
        unsafe { (self.api.0.requestFrameFilter)(number as c_int, node.raw(), self.context) };
    }

    /// Returns a frame that was asked for.
    pub(crate) fn get(self, node: &Node, number: u32) -> Result<FrameRef, String> {
        // SAFETY: as in `ask`; the caller owns the reference that is returned.
        let frame = unsafe { (self.api.0.getFrameFilter)(number as c_int, node.raw(), self.context) };
        let api = self.api;
        NonNull::new(frame.cast_mut())
            .map(|frame| FrameRef { api, frame })
            .ok_or_else(|| format!("frame {number} of the clip is missing"))
    }

    /// Fails the request.
    pub(crate) fn fail(self, text: &str) {
        // SAFETY: the context is valid, the text is a C string, which VapourSynth copies.
        unsafe { (self.api.0.setFilterError)(c_string(text).as_ptr(), self.context) };
    }

    /// Makes a frame with the properties of `like`; its samples are not set.
    pub(crate) fn new_frame(
        self,
        format: &VSVideoFormat,
        [width, height]: [u32; 2],
        like: &FrameRef,
    ) -> NewFrame {
        let (width, height) = (width as c_int, height as c_int);
        // SAFETY: format, frame and core are valid.
        let frame = unsafe { (self.api.0.newVideoFrame)(format, width, height, like.raw(), self.core) };
        NewFrame::new(self.api, frame)
    }

    /// Makes a frame that shares its samples with `frame`, to change its properties.
    pub(crate) fn copy(self, frame: &FrameRef) -> NewFrame {
        // SAFETY: frame and core are valid.
        NewFrame::new(self.api, unsafe {
            (self.api.0.copyFrame)(frame.raw(), self.core)
        })
    }
}

/// A frame that is read.
pub(crate) struct FrameRef {
    api: Api,
    frame: NonNull<VSFrame>,
}

impl FrameRef {
    /// Returns the frame for VapourSynth's functions.
    fn raw(&self) -> *const VSFrame {
        self.frame.as_ptr()
    }

    /// Returns the frame's properties.
    pub(crate) fn properties(&self) -> MapRef<'_> {
        // SAFETY: the map lives as long as the frame.
        unsafe { MapRef::new(self.api, (self.api.0.getFramePropertiesRO)(self.raw())) }
    }

    /// Returns the rows of a plane, each of `row` bytes.
    pub(crate) fn rows(&self, plane: usize, row: usize, count: usize) -> impl Iterator<Item = &[u8]> {
        let plane = plane as c_int;
        // SAFETY: the frame is valid and has this plane.
        let (start, stride) = unsafe {
            (
                (self.api.0.getReadPtr)(self.raw(), plane),
                (self.api.0.getStride)(self.raw(), plane),
            )
        };
        debug_assert!(stride >= row as isize);
        // SAFETY: the plane has `count` rows of at least `row` bytes, `stride` bytes apart.
        (0..count as isize).map(move |y| unsafe { std::slice::from_raw_parts(start.offset(y * stride), row) })
    }
}

impl Drop for FrameRef {
    fn drop(&mut self) {
        // SAFETY: this is the owner of the reference.
        unsafe { (self.api.0.freeFrame)(self.raw()) };
    }
}

/// A frame that is written.
pub(crate) struct NewFrame {
    api: Api,
    frame: *mut VSFrame,
}

impl NewFrame {
    /// Takes a frame that VapourSynth has made.
    fn new(api: Api, frame: *mut VSFrame) -> Self {
        Self { api, frame }
    }

    /// Returns the frame's properties.
    pub(crate) fn properties(&mut self) -> MapMut<'_> {
        // SAFETY: the map lives as long as the frame, of which this is the only user.
        unsafe { MapMut::new(self.api, (self.api.0.getFramePropertiesRW)(self.frame)) }
    }

    /// Calls `write` with each row of a plane, of `row` bytes, and its number.
    pub(crate) fn write_rows(
        &mut self,
        plane: usize,
        row: usize,
        count: usize,
        mut write: impl FnMut(usize, &mut [u8]),
    ) {
        let plane = plane as c_int;
        // SAFETY: the frame is valid, has this plane, and no one else has it.
        let (start, stride) = unsafe {
            (
                (self.api.0.getWritePtr)(self.frame, plane),
                (self.api.0.getStride)(self.frame, plane),
            )
        };
        for y in 0..count {
            // SAFETY: the plane has `count` rows of at least `row` bytes, `stride` bytes apart.
            let bytes = unsafe { std::slice::from_raw_parts_mut(start.offset(y as isize * stride), row) };
            write(y, bytes);
        }
    }

    /// Gives the frame to VapourSynth.
    pub(crate) fn into_raw(self) -> *const VSFrame {
        let frame = self.frame;
        std::mem::forget(self);
        frame
    }
}

impl Drop for NewFrame {
    fn drop(&mut self) {
        // SAFETY: this is the owner of the frame.
        unsafe { (self.api.0.freeFrame)(self.frame) };
    }
}

/// Returns VapourSynth's name of a format, such as `YUV420P8`.
pub(crate) fn format_name(api: Api, format: &VSVideoFormat) -> String {
    let mut buffer = [0 as c_char; 32];
    // SAFETY: the buffer has the 32 bytes that the function may write, with a zero at the end.
    let name = unsafe {
        (api.0.getVideoFormatName)(format, buffer.as_mut_ptr());
        CStr::from_ptr(buffer.as_ptr())
    };
    name.to_string_lossy().into_owned()
}
