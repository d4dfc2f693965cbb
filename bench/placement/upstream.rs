//! The members behind an Envoy: one server with a port for each member, which answers with the number of the member.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;

/// The response header with the number of the member.
pub(crate) const MEMBER: &str = "x-member";

/// Starts `count` members, which run until the program ends, and returns their addresses by number.
pub(crate) fn start(count: usize) -> Result<Vec<SocketAddr>> {
    let start = |id| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream, id));
            }
        });
        Ok(address)
    };
    (0..count).map(start).collect()
}

fn serve(mut stream: TcpStream, id: usize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = format!("HTTP/1.1 200 OK\r\n{MEMBER}: {id}\r\ncontent-length: 0\r\n\r\n");
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        // The requests have no body, so an empty line ends them.
        if line == "\r\n" {
            stream.write_all(answer.as_bytes())?;
        }
        line.clear();
    }
    Ok(())
}
