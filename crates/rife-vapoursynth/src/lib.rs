//! VapourSynth plugin (API 4): the filter `core.rife.RIFE`, which interpolates the frames of a clip. `positions` computes which
//! source frames an output frame lies between, `api` wraps the C API, `arguments` reads the filter's arguments, `convert`
//! converts frames, `cuts` detects cuts at random access, and `filter` answers the requests for frames.

mod api;
mod arguments;
mod convert;
mod cuts;
mod filter;
pub mod positions;

use std::ffi::{CString, c_int, c_void};

use vapoursynth4_sys::{VSAPI, VSCore, VSMap, VSPLUGINAPI, VSPlugin, vs_make_version};

use api::{Api, MapMut, MapRef};
use filter::Filter;

/// Entry point of the plugin, which VapourSynth calls after loading it: describes the plugin and its filter.
///
/// # Safety
/// Only VapourSynth calls it, with valid pointers.
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "system-unwind" fn VapourSynthPluginInit2(plugin: *mut VSPlugin, api: *const VSPLUGINAPI) {
    let Ok(signature) = CString::new(arguments::signature()) else {
        return;
    };
    // SAFETY: `plugin` and `api` are valid during this call, and so are the strings, which VapourSynth copies.
    unsafe {
        ((*api).configPlugin)(
            c"io.github.rife-rs.rife".as_ptr(),
            c"rife".as_ptr(),
            c"Frame interpolation with the RIFE networks".as_ptr(),
            version(),
            vs_make_version(4, 0),
            0,
            plugin,
        );
        ((*api).registerFunction)(
            c"RIFE".as_ptr(),
            signature.as_ptr(),
            c"clip:vnode;".as_ptr(),
            create,
            std::ptr::null_mut(),
            plugin,
        );
    }
}

/// Returns the plugin's version in VapourSynth's form, major and minor.
fn version() -> c_int {
    let part = |text: &str| text.parse().unwrap_or(0);
    vs_make_version(
        part(env!("CARGO_PKG_VERSION_MAJOR")),
        part(env!("CARGO_PKG_VERSION_MINOR")),
    )
}

/// Makes an instance of the filter from the arguments `input`, and writes its clip, or the error, to `out`.
///
/// # Safety
/// Only VapourSynth calls it, with valid pointers.
unsafe extern "system-unwind" fn create(
    input: *const VSMap,
    out: *mut VSMap,
    _data: *mut c_void,
    core: *mut VSCore,
    api: *const VSAPI,
) {
    // SAFETY: VapourSynth's table of functions lives as long as the process.
    let api = unsafe { Api::new(api) };
    // SAFETY: both maps are valid during this call.
    let (input, mut out) = unsafe { (MapRef::new(api, input), MapMut::new(api, out)) };
    let made = std::panic::catch_unwind(|| Filter::new(api, &input));
    match made {
        // SAFETY: `core` is valid during this call.
        Ok(Ok(filter)) => unsafe { filter.publish(&mut out, core) },
        Ok(Err(text)) => out.set_error(&format!("RIFE: {text}")),
        Err(_) => out.set_error("RIFE: the filter could not be made: a panic, which is a bug"),
    }
}
