//! A host for the compiled filter: as much of proxy-wasm 0.2.1 as it needs, and a record of what it asked for.
//!
//! The SDK imports every function of the ABI; one that the filter is not meant to call stops it, with its name.

use std::sync::LazyLock;

use pushring_tests::tools;
use wasmtime::error::Context;
use wasmtime::{
    Caller, Engine, Instance, Linker, Memory, Module, Result, Store, WasmParams, WasmResults, ensure,
};

/// Header names and values, in order; a name may repeat.
pub(crate) type Headers = Vec<(Vec<u8>, Vec<u8>)>;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
/// Levels from here on are what an operator should see.
pub(crate) const ERROR: u32 = 4;

/// What the filter did with a request.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The request's headers when the filter returned.
    pub(crate) headers: Headers,
    /// Status, headers, body: when it answered itself.
    pub(crate) reply: Option<(u32, Headers, Vec<u8>)>,
    /// Names of the host calls it made, in order.
    pub(crate) calls: Vec<&'static str>,
}

impl Outcome {
    /// All values of a header that would go upstream.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(n, _)| n == name.as_bytes()).map(|(_, v)| v.as_slice()).collect()
    }
}

#[derive(Debug)]
struct Metric {
    name: String,
    value: u64,
}

#[derive(Default)]
struct State {
    memory: Option<Memory>,
    configuration: Vec<u8>,
    current: Outcome,
    log: Vec<(u32, String)>,
    metrics: Vec<Metric>,
}

/// One VM, as each worker of Envoy has one.
pub(crate) struct Vm {
    store: Store<State>,
    instance: Instance,
    last_context: u32,
    /// The root context of the configuration in force.
    root: Option<u32>,
}

/// Compiled once for all tests.
static MODULE: LazyLock<(Engine, Module)> = LazyLock::new(|| {
    let engine = Engine::default();
    let path = tools::wasm().expect("the compiled filter");
    let module = Module::from_file(&engine, path).expect("a WebAssembly module");
    (engine, module)
});

impl Vm {
    pub(crate) fn start() -> Result<Self> {
        let (engine, module) = &*MODULE;
        for import in module.imports() {
            let known = import.module() == "env" && import.name().starts_with("proxy_");
            ensure!(
                known,
                "the filter imports {}.{}, which Envoy may not have",
                import.module(),
                import.name()
            );
        }
        let mut linker = Linker::new(engine);
        define_host_calls(&mut linker)?;
        linker.define_unknown_imports_as_traps(module)?;
        let mut store = Store::new(engine, State::default());
        let instance = linker.instantiate(&mut store, module)?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let mut vm = Self { store, instance, last_context: 0, root: None };
        vm.call::<(), ()>("_initialize", ())?;
        Ok(vm)
    }

    /// Hands over a configuration as Envoy does: to a new root context. Answers whether it was taken; if so it is
    /// in force for requests from now on.
    pub(crate) fn configure(&mut self, json: &[u8]) -> Result<bool> {
        self.store.data_mut().configuration = json.to_vec();
        let root = self.new_context(0)?;
        ensure!(self.call::<_, u32>("proxy_on_vm_start", (root, 0u32))? == 1, "on_vm_start refused");
        let size = u32::try_from(json.len())?;
        let taken = self.call::<_, u32>("proxy_on_configure", (root, size))? == 1;
        let gone = if taken { self.root.replace(root) } else { Some(root) };
        if let Some(gone) = gone {
            self.call::<_, u32>("proxy_on_done", gone)?;
            self.call::<_, ()>("proxy_on_delete", gone)?;
        }
        Ok(taken)
    }

    /// Starts a request under the configuration in force.
    pub(crate) fn begin(&mut self) -> Result<u32> {
        let root = self.root.context("no configuration is in force")?;
        self.new_context(root)
    }

    /// Gives the headers of a request to the filter and ends it.
    pub(crate) fn finish(&mut self, context: u32, headers: Headers) -> Result<Outcome> {
        let count = u32::try_from(headers.len())?;
        self.store.data_mut().current = Outcome { headers, ..Outcome::default() };
        let action: u32 = self.call("proxy_on_request_headers", (context, count, 1u32))?;
        let outcome = std::mem::take(&mut self.store.data_mut().current);
        ensure!((action == 1) == outcome.reply.is_some(), "pauses (1) exactly when it answers: {action}");
        self.call::<_, u32>("proxy_on_done", context)?;
        self.call::<_, ()>("proxy_on_log", context)?;
        self.call::<_, ()>("proxy_on_delete", context)?;
        Ok(outcome)
    }

    pub(crate) fn request(&mut self, headers: Headers) -> Result<Outcome> {
        let context = self.begin()?;
        self.finish(context, headers)
    }

    /// What was logged at `level` or above since the last call.
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
        self.call::<_, ()>("proxy_on_context_create", (context, root))?;
        Ok(context)
    }

    /// A call that must not trap: a trap is a dead worker.
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, arguments: P) -> Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name)?;
        let result = function.call(&mut self.store, arguments);
        result.with_context(|| format!("{name} trapped, log: {:?}", self.store.data().log))
    }
}

fn define_host_calls(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_log", |mut c: Caller<'_, State>, level: u32, at: u32, size: u32| {
        let text = String::from_utf8_lossy(&read(&mut c, at, size)).into_owned();
        c.data_mut().current.calls.push("log");
        c.data_mut().log.push((level, text));
        OK
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut c: Caller<'_, State>, kind: u32, start: u32, max: u32, data: u32, size: u32| {
            assert_eq!((kind, start), (PLUGIN_CONFIGURATION, 0), "only the configuration is read");
            let bytes: Vec<u8> = c.data().configuration.iter().copied().take(max as usize).collect();
            give(&mut c, &bytes, data, size);
            OK
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut c: Caller<'_, State>, map: u32, at: u32, len: u32, data: u32, size: u32| {
            let name = header_name(&mut c, "get", map, at, len);
            let value = c.data().current.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
            let Some(value) = value else { return NOT_FOUND };
            give(&mut c, &value, data, size);
            OK
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |mut c: Caller<'_, State>, map: u32, at: u32, len: u32, value: u32, size: u32| {
            let name = header_name(&mut c, "replace", map, at, len);
            let value = read(&mut c, value, size);
            let headers = &mut c.data_mut().current.headers;
            headers.retain(|(n, _)| *n != name);
            headers.push((name, value));
            OK
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |mut c: Caller<'_, State>, map: u32, at: u32, len: u32| {
            let name = header_name(&mut c, "remove", map, at, len);
            c.data_mut().current.headers.retain(|(n, _)| *n != name);
            OK
        },
    )?;
    linker.func_wrap("env", "proxy_send_local_response", local_response)?;
    define_metrics(linker)
}

fn define_metrics(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut c: Caller<'_, State>, _kind: u32, at: u32, len: u32, id: u32| {
            let name = String::from_utf8(read(&mut c, at, len)).expect("the name of a metric is UTF-8");
            c.data_mut().metrics.push(Metric { name, value: 0 });
            let defined = u32::try_from(c.data().metrics.len()).expect("few metrics");
            write(&mut c, id, &(defined - 1).to_le_bytes());
            OK
        },
    )?;
    linker.func_wrap("env", "proxy_increment_metric", |mut c: Caller<'_, State>, id: u32, by: i64| {
        c.data_mut().current.calls.push("increment");
        let metric = c.data_mut().metrics.get_mut(id as usize).expect("a defined metric");
        metric.value = metric.value.checked_add_signed(by).expect("a counter does not go below 0");
        OK
    })?;
    linker.func_wrap("env", "proxy_record_metric", |mut c: Caller<'_, State>, id: u32, value: u64| {
        c.data_mut().current.calls.push("record");
        c.data_mut().metrics.get_mut(id as usize).expect("a defined metric").value = value;
        OK
    })?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI has them")]
fn local_response(
    mut c: Caller<'_, State>,
    status: u32,
    _details: u32,
    _details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    _grpc_status: i32,
) -> u32 {
    let body = read(&mut c, body, body_size);
    let headers = pairs(&read(&mut c, headers, headers_size));
    let current = &mut c.data_mut().current;
    current.calls.push("reply");
    assert!(current.reply.replace((status, headers, body)).is_none(), "one answer only");
    OK
}

/// Count; sizes of each name and value; then both, each with a zero byte after it.
fn pairs(bytes: &[u8]) -> Headers {
    let number = |at: usize| {
        let four: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(four) as usize
    };
    let count = number(0);
    let mut at = 4 + count * 8;
    let mut next = |size: usize| {
        let text = bytes[at..at + size].to_vec();
        assert_eq!(bytes[at + size], 0);
        at += size + 1;
        text
    };
    (0..count).map(|i| (next(number(4 + i * 8)), next(number(8 + i * 8)))).collect()
}

fn header_name(c: &mut Caller<'_, State>, call: &'static str, map: u32, at: u32, len: u32) -> Vec<u8> {
    assert_eq!(map, REQUEST_HEADERS, "only request headers are touched");
    c.data_mut().current.calls.push(call);
    read(c, at, len)
}

fn memory(c: &Caller<'_, State>) -> Memory {
    c.data().memory.expect("the memory is known once the filter runs")
}

fn read(c: &mut Caller<'_, State>, at: u32, size: u32) -> Vec<u8> {
    memory(c).data(c)[at as usize..][..size as usize].to_vec()
}

fn write(c: &mut Caller<'_, State>, at: u32, bytes: &[u8]) {
    memory(c).write(c, at as usize, bytes).expect("within the memory");
}

/// Puts bytes into memory that the filter allocates, and tells where.
fn give(c: &mut Caller<'_, State>, bytes: &[u8], data: u32, size: u32) {
    let len = u32::try_from(bytes.len()).expect("32 bits");
    let at = if len == 0 {
        0
    } else {
        let malloc = c.get_export("malloc").and_then(wasmtime::Extern::into_func).expect("malloc");
        let malloc = malloc.typed::<u32, u32>(&*c).expect("malloc takes a size");
        malloc.call(&mut *c, len).expect("memory")
    };
    write(c, at, bytes);
    write(c, data, &at.to_le_bytes());
    write(c, size, &len.to_le_bytes());
}
