//! The host calls of proxy-wasm 0.2.1 that the filter makes, implemented as in Envoy.

use wasmtime::error::Context;
use wasmtime::{Caller, ImportType, Linker, Memory, Result, Val};

use crate::host_state::{Headers, Metric, State};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
/// The status that Envoy returns for a call that is not among the allowed capabilities.
const INTERNAL_FAILURE: i32 = 10;
const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;

pub(crate) fn define(linker: &mut Linker<State>) -> Result<()> {
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

/// Replaces a host call by one that fails, as Envoy does for a missing capability.
pub(crate) fn reject(linker: &mut Linker<State>, import: &ImportType<'static>) -> Result<()> {
    let (name, function) = (import.name(), import.ty().func().cloned().context("imports functions only")?);
    linker.allow_shadowing(true).func_new("env", name, function, move |mut c, _, results| {
        c.data_mut().current.calls.push(name);
        results[0] = Val::I32(INTERNAL_FAILURE);
        Ok(())
    })?;
    Ok(())
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

/// Decodes headers: their number, the sizes of each name and value, then names and values with a zero byte after each.
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

/// Stores bytes in memory that the filter allocates, and writes their address and size to `data` and `size`.
fn give(c: &mut Caller<'_, State>, bytes: &[u8], data: u32, size: u32) {
    let len = u32::try_from(bytes.len()).expect("32 bits");
    let at = if len == 0 {
        0
    } else {
        let allocate = c.get_export("malloc").and_then(wasmtime::Extern::into_func);
        let allocate = allocate.expect("the export").typed::<u32, u32>(&*c).expect("it takes a size");
        allocate.call(&mut *c, len).expect("memory")
    };
    write(c, at, bytes);
    write(c, data, &at.to_le_bytes());
    write(c, size, &len.to_le_bytes());
}
