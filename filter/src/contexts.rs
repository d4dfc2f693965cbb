//! Which configuration a request belongs to: the one that was in force when it began.
//!
//! Envoy makes a root context for each configuration and a context under it for each request. In one VM there are
//! several roots for as long as requests of an old one are under way, and when plugins share the VM's id. So there are
//! few roots, and few requests that were created and not asked about yet: lists that are searched from their end, where
//! what is looked for nearly always is.

use std::cell::Cell;
use std::rc::Rc;

use crate::Shared;

type List = Vec<(u32, Rc<Shared>)>;

// Lists are taken out and put back, which cannot panic as a borrow can; no host call is made in between.
thread_local! {
    /// By root: what it was configured with last.
    static ROOTS: Cell<List> = const { Cell::new(Vec::new()) };
    /// By request that was not asked about yet.
    static BEGUN: Cell<List> = const { Cell::new(Vec::new()) };
}

/// A root took in a configuration. An earlier one of the same root is done with.
pub(crate) fn configured(root: u32, shared: Shared) {
    change(&ROOTS, |roots| {
        remove(roots, root);
        roots.push((root, Rc::new(shared)));
    });
}

/// A configuration that is there; the last one, where the VM has one plugin.
pub(crate) fn latest() -> Option<Rc<Shared>> {
    change(&ROOTS, |roots| roots.last().map(|(_, shared)| Rc::clone(shared)))
}

/// A request begins under a root.
pub(crate) fn begun(context: u32, root: u32) {
    let shared = change(&ROOTS, |roots| {
        roots.iter().rfind(|(id, _)| *id == root).map(|(_, shared)| Rc::clone(shared))
    });
    if let Some(shared) = shared {
        change(&BEGUN, |begun| begun.push((context, shared)));
    }
}

/// The configuration of a request, once.
pub(crate) fn take(context: u32) -> Option<Rc<Shared>> {
    change(&BEGUN, |begun| remove(begun, context))
}

/// A root is gone, or a request, which perhaps never came as far as here.
pub(crate) fn deleted(context: u32) {
    if change(&BEGUN, |begun| remove(begun, context)).is_none() {
        change(&ROOTS, |roots| remove(roots, context));
    }
}

fn remove(list: &mut List, id: u32) -> Option<Rc<Shared>> {
    list.iter().rposition(|(other, _)| *other == id).map(|at| list.swap_remove(at).1)
}

fn change<T>(list: &'static std::thread::LocalKey<Cell<List>>, act: impl FnOnce(&mut List) -> T) -> T {
    let mut taken = list.take();
    let result = act(&mut taken);
    list.set(taken);
    result
}
