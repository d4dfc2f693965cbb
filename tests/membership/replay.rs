//! A Consul that sends recorded answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use pushring_harness::tools;

/// Serves the recorded answer of each datacenter about the service `pushgateway` until the program ends. The first
/// answer is also that of the agent.
pub(crate) fn consul(answers: &[(&str, &str)]) -> SocketAddr {
    let load = |(dc, file): &(&str, &str)| {
        let path = tools::repository().join("consul-template/fixtures").join(file);
        ((*dc).to_owned(), std::fs::read_to_string(path).unwrap())
    };
    serve(answers.iter().map(load).collect())
}

/// As [`consul`], with these answers: datacenter and body.
pub(crate) fn serve(answers: Vec<(String, String)>) -> SocketAddr {
    let answers: Vec<_> = answers.into_iter().map(|(dc, body)| (format!("dc={dc}"), body)).collect();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answers = answers.clone();
            thread::spawn(move || answer(stream.unwrap(), &answers));
        }
    });
    address
}

fn answer(mut stream: TcpStream, answers: &[(String, String)]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
    let path = request.strip_prefix("GET /v1/health/service/pushgateway");
    assert!(path.is_some_and(|rest| rest.starts_with(['?', ' '])), "not recorded: {request}");
    let asked = |(dc, _): &&(String, String)| request.contains(dc.as_str());
    let (_, body) = answers.iter().find(asked).unwrap_or(&answers[0]);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Consul-Index: 7\r\n\
                X-Consul-KnownLeader: true\r\nX-Consul-LastContact: 0\r\nConnection: close";
    let _ = stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
}
