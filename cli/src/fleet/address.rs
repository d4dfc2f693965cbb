//! The address of a Pushgateway in its one spelling, so that no gateway is two members.

use std::net::IpAddr;
use std::num::NonZeroU16;

use pushring_router::{Member, Mode, canonical_address};

use crate::error::BadInput;
use crate::http::without_credentials;

/// Longest text that a message repeats: a host name, its port and its brackets.
const MAX_BYTES: usize = 253 + 8;

/// Host and port of a Pushgateway; [`canonical_address`] has the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GatewayAddress {
    host: String,
    port: u16,
}

impl GatewayAddress {
    /// Parses `host:port` or `[IPv6]:port`.
    ///
    /// # Errors
    /// [`BadInput`] for anything else.
    pub(crate) fn parse(address: &str) -> anyhow::Result<Self> {
        if address.len() > MAX_BYTES {
            return Err(BadInput(too_long(address)).into());
        }
        let found = without_credentials(address);
        let bad = || {
            let allowed = "host:port with a port of 1 to 65535 (an IPv6 host in brackets)";
            BadInput(format!("address: found {found:?}, allowed {allowed}"))
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        // An IPv6 address without brackets would lose its last group as the port.
        if (!host.starts_with('[') && host.contains(':')) || host.contains('@') {
            return Err(bad().into());
        }
        let port = Some(port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
        let port: NonZeroU16 = port.and_then(|port| port.parse().ok()).ok_or_else(bad)?;
        Ok(Self::new(host, port.get().into()).map_err(BadInput)?)
    }

    /// Combines a host, an IPv6 address with or without brackets, and a port.
    ///
    /// # Errors
    /// The reason: no gateway can be reached there, or the filter would reject this address.
    pub(crate) fn new(host: &str, port: i64) -> Result<Self, String> {
        if host.len() > MAX_BYTES {
            return Err(too_long(host));
        }
        let port = u16::try_from(port)
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("port: found {port}, allowed 1 to 65535"))?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let given = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{host}:{port}") };
        let Some(address) = canonical_address(&given) else {
            // The filter's own words; the name is valid, so that only the address can be the fault.
            let given = without_credentials(&given);
            let member = Member::new("name".to_owned(), given, Mode::Cluster);
            return Err(member.map_or_else(|error| error.to_string(), |_| "no address".to_owned()));
        };
        let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = Self { host, port };
        if address.ip().is_some_and(|ip| !is_of_one_machine(ip)) {
            return Err(format!("address: found {address}, allowed the address of one machine"));
        }
        Ok(address)
    }

    /// Host name, or IP address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

fn too_long(text: &str) -> String {
    format!("address: found {} bytes, allowed a host name or an IP address, and a port", text.len())
}

/// Returns whether a connection to this address can only reach one machine. A link-local IPv6 address is on every link, and
/// Envoy's files cannot say which.
fn is_of_one_machine(ip: IpAddr) -> bool {
    let several = match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(several || ip.is_unspecified() || ip.is_multicast())
}

/// Formats `host:port`, with an IPv6 host in brackets.
impl std::fmt::Display for GatewayAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
