//! etcd by its JSON gateway (`/v3/`), which every etcd since 3.4 serves: <https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/>

pub(crate) mod client;
pub(crate) mod lock;
pub(crate) mod value;
pub(crate) mod wire;

use anyhow::ensure;

use crate::error::BadInput;

/// The prefix of the keys of all services.
pub(crate) const ROOT: &str = "/service/";

/// Returns the prefix of all keys of a service; the rest of a key is the ID of a gateway.
///
/// # Errors
/// [`BadInput`]: a name with a slash would be that of another service's keys.
pub(crate) fn prefix(service: &str) -> anyhow::Result<String> {
    ensure!(
        !service.is_empty() && !service.contains('/'),
        BadInput(format!("--service: found {service:?}, expected a name without a slash"))
    );
    Ok(format!("{ROOT}{service}/"))
}
