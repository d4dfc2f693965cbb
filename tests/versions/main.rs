//! Every supported Envoy serves the shipped files of every mode. One list names the versions: `ENVOYS` in
//! tools/versions.mk and the newest in tools/envoy.txt. `make tools` downloads them.

mod examples;
mod list;
mod smoke;
