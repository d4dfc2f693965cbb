//! A panic in a hook must not reach Envoy, which would end.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::envoy;

/// Writes the first panic into Envoy's log; the counter `pushring_panics` has all. The shared object has a standard library of its
/// own, so this changes the panics of no other module.
pub(crate) fn log_the_first() {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        if !LOGGED.swap(true, Ordering::Relaxed) {
            envoy::error(&format!(
                "pushring: a fault in the module, please report it: {info}; further ones are counted only"
            ));
        }
    }));
}

/// Runs the body of a hook. An unfinished body leaves no value behind that later hooks could see half-changed: a
/// configuration is immutable, and a request has no state.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    panic::catch_unwind(AssertUnwindSafe(body))
}
