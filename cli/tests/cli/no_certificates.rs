//! A system without CA certificates, such as an image that contains the command alone.

use std::process::Command;

use serde_json::json;

#[test]
fn plain_http_needs_no_certificates_of_the_system() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    // No server: the request must get as far as the connection.
    std::fs::write(&config, json!({"members": ["127.0.0.1:1"]}).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    command.args(["groups", "--config"]).arg(&config);
    command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("refused") && !text.contains("certificates"), "{text}");
}
