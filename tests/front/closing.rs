//! Clients that close the connection before they have the answer.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};

use pushring_harness::{EnvoyFixture, Mode, envoy_files};

/// The gateway is silent, so that no answer comes first.
#[test]
fn a_counter_shows_clients_that_do_not_wait_for_the_answer() {
    for mode in Mode::ROUTED {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let member = envoy_files::Member::from(silent.local_addr().unwrap());
        let fleet = EnvoyFixture::with(mode, 0, |config| {
            config["members"] = serde_json::to_value([member]).unwrap();
        });
        for count in 1..=10 {
            let mut client = TcpStream::connect(fleet.envoy.push).unwrap();
            client
                .write_all(b"PUT /metrics/job/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nx 1\n")
                .unwrap();
            // Envoy does not distinguish a closed connection from one whose client still waits for the answer.
            if count % 2 == 0 {
                client.shutdown(Shutdown::Write).unwrap();
            } else {
                drop(client);
            }
            fleet.envoy.wait_stat("http.push.downstream_rq_rx_reset", |resets| resets == count).unwrap();
        }
    }
}
