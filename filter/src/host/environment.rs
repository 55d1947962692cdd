//! The variables that the proxy hands to the virtual machine: the one part of WASI that is used here.

#![expect(unsafe_code, reason = "the host's functions take addresses")]

use std::ptr::null;

use zeroize::Zeroizing;

mod raw {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) fn environ_sizes_get(count: *mut usize, bytes: *mut usize) -> u32;
        pub(super) fn environ_get(places: *mut *const u8, texts: *mut u8) -> u32;
    }
}

const OK: u32 = 0;

/// The value of a variable; `None` where there is none of this name, or the host has no variables.
pub(crate) fn variable(name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let texts = environment()?;
    let mut variables = texts.split(|byte| *byte == 0);
    let value =
        variables.find_map(|text| text.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(Zeroizing::new(value.to_vec()))
}

/// All variables as `NAME=VALUE`, each with a zero byte behind it.
fn environment() -> Option<Zeroizing<Vec<u8>>> {
    let (mut count, mut bytes) = (0, 0);
    // SAFETY: the host writes two numbers, as wide as addresses are here.
    let status = unsafe { raw::environ_sizes_get(&raw mut count, &raw mut bytes) };
    if status != OK {
        return None;
    }
    let mut places = vec![null(); count];
    let mut texts = Zeroizing::new(vec![0; bytes]);
    // SAFETY: there is room for as much as the host has just said, and its variables do not change.
    let status = unsafe { raw::environ_get(places.as_mut_ptr(), texts.as_mut_ptr()) };
    (status == OK).then_some(texts)
}
