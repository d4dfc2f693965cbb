//! What a host calls. It may leave out `proxy_on_done` and `proxy_on_log`, as the shipped configurations make Envoy do.

use std::alloc::{Layout, alloc};
use std::ptr::null_mut;

use super::{Action, Level, log};
use crate::contexts;

/// Tells the host the version: it looks for the name.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// The first call of all. A panic would be a bug: where it was can at least be read in the host's log.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    std::panic::set_hook(Box::new(|info| {
        if let Some(place) = info.location() {
            log(Level::Critical, &format!("pushring: panic in {}:{}", place.file(), place.line()));
        }
    }));
}

/// Memory for what the host gives back from a call that is under way: nothing that such a call uses may be used here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    match Layout::array::<u8>(size) {
        // SAFETY: the size is not zero.
        Ok(layout) if size != 0 => unsafe { alloc(layout) },
        _ => null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _configuration_size: usize) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _configuration_size: usize) -> u32 {
    let shared = crate::configure();
    let taken = shared.is_some();
    if let Some(shared) = shared {
        contexts::configured(root, shared);
    }
    taken.into()
}

/// A root has no parent: there is nothing to know of it until it is configured.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    if parent != 0 {
        contexts::begun(context, parent);
    }
}

/// The host begins no requests under a configuration that was rejected; without one there is no ring to go by.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _count: usize, _end_of_stream: u32) -> Action {
    contexts::take(context).map_or(Action::Continue, |shared| crate::decide(&shared))
}

/// A context may be deleted at any time.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> u32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(_context: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    contexts::deleted(context);
}
