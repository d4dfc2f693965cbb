//! A host for the compiled filter that behaves as Envoy does with the shipped capability list, and records every host
//! call.
//!
//! A host call that is missing from the list returns an error; a callback that is missing is never called.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pushring_harness::tools;
use wasmtime::error::Context;
use wasmtime::{Config, Engine, Instance, Linker, Module, Result, Store, WasmParams, WasmResults, ensure};

use crate::host_state::{Headers, Metric, Outcome, State};
use crate::{calls, capability_list};

/// Lowest log level that an operator should see.
pub(crate) const ERROR: u32 = 4;

/// One VM, as each worker of Envoy has one.
pub(crate) struct Vm {
    store: Store<State>,
    instance: Instance,
    last_context: u32,
    /// The root context of the configuration in force.
    root: Option<u32>,
    allowed: BTreeSet<String>,
}

/// Compiled once for all tests.
static MODULE: LazyLock<(Engine, Module)> = LazyLock::new(|| {
    let engine = Engine::new(Config::new().consume_fuel(true)).expect("an engine that counts");
    let path = tools::wasm().expect("the compiled filter");
    let module = Module::from_file(&engine, path).expect("a WebAssembly module");
    (engine, module)
});

impl Vm {
    /// Starts a VM with the shipped capability list.
    pub(crate) fn start() -> Result<Self> {
        Self::without(&[])
    }

    /// Starts a VM whose capability list lacks these entries.
    pub(crate) fn without(missing: &[&str]) -> Result<Self> {
        let (engine, module) = &*MODULE;
        let mut allowed = capability_list::shipped();
        allowed.retain(|name| !missing.contains(&name.as_str()));
        let mut linker = Linker::new(engine);
        calls::define(&mut linker)?;
        for import in module.imports().filter(|import| !allowed.contains(import.name())) {
            calls::reject(&mut linker, &import)?;
        }
        let mut store = Store::new(engine, State::default());
        store.set_fuel(u64::MAX)?;
        let instance = linker.instantiate(&mut store, module)?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        instance.get_typed_func::<(), ()>(&mut store, "_initialize")?.call(&mut store, ())?;
        Ok(Self { store, instance, last_context: 0, root: None, allowed })
    }

    /// Configures a new root context, as Envoy does. Returns whether the filter accepted the configuration; it then
    /// applies to later requests, and the previous root context is deleted.
    pub(crate) fn configure(&mut self, json: &[u8]) -> Result<bool> {
        let before = self.root;
        let accepted = self.configure_additional(json)?;
        if let (true, Some(before)) = (accepted, before) {
            self.delete(before)?;
        }
        Ok(accepted)
    }

    /// Configures a further root context and keeps the previous one, as Envoy does while its requests are in flight.
    pub(crate) fn configure_additional(&mut self, json: &[u8]) -> Result<bool> {
        self.store.data_mut().configuration = json.to_vec();
        let root = self.new_context(0)?;
        ensure!(self.call("proxy_on_vm_start", (root, 0u32), 1)? == 1, "on_vm_start failed");
        let size = u32::try_from(json.len())?;
        let accepted = self.call("proxy_on_configure", (root, size), 1)? == 1;
        if accepted {
            self.root = Some(root);
        } else {
            self.delete(root)?;
        }
        Ok(accepted)
    }

    /// The root context of the configuration in force.
    pub(crate) fn root(&self) -> Result<u32> {
        self.root.context("no configuration is in force")
    }

    /// Starts a request under the configuration in force.
    pub(crate) fn begin(&mut self) -> Result<u32> {
        self.begin_under(self.root()?)
    }

    /// Starts a request under any root.
    pub(crate) fn begin_under(&mut self, root: u32) -> Result<u32> {
        self.new_context(root)
    }

    /// Deletes a context without any other callback: the least that a host may call.
    pub(crate) fn delete(&mut self, context: u32) -> Result<()> {
        self.call("proxy_on_delete", context, ())
    }

    /// Gives the headers of a request to the filter and ends it.
    pub(crate) fn finish(&mut self, context: u32, headers: Headers) -> Result<Outcome> {
        let count = u32::try_from(headers.len())?;
        let before = self.instructions()?;
        self.store.data_mut().current = Outcome { headers, ..Outcome::default() };
        let action: u32 = self.call("proxy_on_request_headers", (context, count, 1u32), 0)?;
        let mut outcome = std::mem::take(&mut self.store.data_mut().current);
        outcome.instructions = self.instructions()? - before;
        ensure!((action == 1) == outcome.reply.is_some(), "pauses (1) exactly when it answers: {action}");
        let before = self.instructions()?;
        self.delete(context)?;
        outcome.instructions += self.instructions()? - before;
        Ok(outcome)
    }

    pub(crate) fn request(&mut self, headers: Headers) -> Result<Outcome> {
        let before = self.instructions()?;
        let context = self.begin()?;
        let begun = self.instructions()? - before;
        let mut outcome = self.finish(context, headers)?;
        outcome.instructions += begun;
        Ok(outcome)
    }

    /// Instructions that the filter has run so far.
    pub(crate) fn instructions(&self) -> Result<u64> {
        Ok(u64::MAX - self.store.get_fuel()?)
    }

    /// Bytes of its memory, which never shrinks.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Returns the messages logged at `level` or above since the last call.
    pub(crate) fn take_log(&mut self, level: u32) -> Vec<String> {
        let log = std::mem::take(&mut self.store.data_mut().log);
        log.into_iter().filter(|(l, _)| *l >= level).map(|(_, text)| text).collect()
    }

    /// The value of a metric, which must have been defined exactly once.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let all = &self.store.data().metrics;
        let found: Vec<&Metric> = all.iter().filter(|metric| metric.name == name).collect();
        assert_eq!(found.len(), 1, "{name} among {all:?}");
        found[0].value
    }

    /// How many metrics were defined, and how many names they have.
    pub(crate) fn metrics_defined(&self) -> (usize, usize) {
        let all = &self.store.data().metrics;
        let names: std::collections::BTreeSet<_> = all.iter().map(|metric| &metric.name).collect();
        (all.len(), names.len())
    }

    fn new_context(&mut self, root: u32) -> Result<u32> {
        self.last_context += 1;
        let context = self.last_context;
        self.call("proxy_on_context_create", (context, root), ())?;
        Ok(context)
    }

    /// Calls the filter. A trap, which ends the VM in Envoy, is an error. Returns `absent` if the callback is missing
    /// from the capability list.
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, arguments: P, absent: R) -> Result<R> {
        if !self.allowed.contains(name) {
            return Ok(absent);
        }
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name)?;
        let result = function.call(&mut self.store, arguments);
        result.with_context(|| format!("{name} trapped, log: {:?}", self.store.data().log))
    }
}
