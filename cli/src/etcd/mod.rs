//! etcd by its JSON gateway (`/v3/`), which every etcd since 3.4 serves: https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/

pub(crate) mod client;
pub(crate) mod lock;
pub(crate) mod value;
pub(crate) mod wire;

/// Returns the prefix of all keys of a service; the rest of a key is the ID of a gateway.
pub(crate) fn prefix(service: &str) -> String {
    format!("/service/{service}/")
}
