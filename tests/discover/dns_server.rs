//! A DNS server that answers by a function, over UDP and TCP on one port: for answers that no real server gives.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SRV: u16 = 33;

/// Response codes.
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NXDOMAIN: u8 = 3;
pub(crate) const REFUSED: u8 = 5;
pub(crate) const UNKNOWN: u8 = 13;

#[derive(Clone, Debug)]
pub(crate) struct Record {
    name: String,
    kind: u16,
    ttl: u32,
    data: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) code: u8,
    pub(crate) records: Vec<Record>,
    /// Over UDP: leaves out the records; `Some(true)` says so.
    pub(crate) cut: Option<bool>,
}

pub(crate) fn srv(name: &str, priority: u16, weight: u16, port: u16, target: &str) -> Record {
    let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
    Record { name: name.to_owned(), kind: SRV, ttl: 0, data: [numbers, encode(target)].concat() }
}

pub(crate) fn a(name: &str, ip: [u8; 4]) -> Record {
    Record { name: name.to_owned(), kind: A, ttl: 0, data: ip.to_vec() }
}

pub(crate) fn cname(name: &str, target: &str) -> Record {
    Record { name: name.to_owned(), kind: CNAME, ttl: 0, data: encode(target) }
}

impl Record {
    pub(crate) fn ttl(self, ttl: u32) -> Self {
        Self { ttl, ..self }
    }
}

impl From<Vec<Record>> for Reply {
    fn from(records: Vec<Record>) -> Self {
        Self { records, ..Self::default() }
    }
}

pub(crate) fn code(code: u8) -> Reply {
    Reply { code, ..Reply::default() }
}

/// Serves until the program ends; `tcp` says whether it answers over TCP.
pub(crate) fn serve(tcp: bool, reply: impl Fn(&str, u16) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
            break (listener, socket);
        }
    };
    let address = listener.local_addr().unwrap();
    let reply = Arc::new(reply);
    let by_tcp = reply.clone();
    thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            let _ = socket.send_to(&answer(&question[..length], true, &*reply), client);
        }
    });
    if tcp {
        thread::spawn(move || {
            for stream in listener.incoming() {
                let reply = by_tcp.clone();
                thread::spawn(move || talk(stream.unwrap(), &*reply));
            }
        });
    }
    address
}

fn talk(mut stream: TcpStream, reply: &dyn Fn(&str, u16) -> Reply) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        let answer = answer(&question, false, reply);
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        let _ = stream.write_all(&[&length[..], &answer].concat());
    }
}

fn answer(question: &[u8], udp: bool, reply: &dyn Fn(&str, u16) -> Reply) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let Reply { code, mut records, cut } = reply(&labels.join("."), kind);
    let truncated = udp && cut == Some(true);
    if udp && cut.is_some() {
        records.truncate(1);
    }
    let count = u16::try_from(records.len()).unwrap().to_be_bytes();
    let flags = [0x81 | if truncated { 2 } else { 0 }, 0x80 | code];
    let mut text = [&question[..2], &flags, &[0, 1], &count, &[0; 4], &question[12..at + 5]].concat();
    for Record { name, kind, ttl, data } in records {
        text.extend(encode(&name));
        text.extend([kind, 1].map(u16::to_be_bytes).concat());
        text.extend(ttl.to_be_bytes());
        text.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        text.extend(data);
    }
    text
}

/// Encodes a name; empty: the root.
fn encode(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    let labels = name.split('.').filter(|label| !label.is_empty()).flat_map(label);
    labels.chain([0]).collect()
}
