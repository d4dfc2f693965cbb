//! The command that deletes a group: curl, because only a path can contain bytes that are not UTF-8.

use std::path::Path;

use crate::gateway::pool::GatewayArgs;
use crate::text::shell;

/// curl with the credentials and TLS settings of the gateways.
#[derive(Clone, Debug)]
pub(crate) struct Curl {
    options: String,
}

impl Curl {
    /// Converts the flags. Secrets are not repeated: curl prompts for the password, and the shell must have
    /// the token in `PUSHRING_GATEWAY_TOKEN`.
    pub(crate) fn new(args: &GatewayArgs) -> Self {
        let mut options = String::new();
        if let Some(user) = &args.gateway_user {
            options += &format!(" -u {}", shell(user));
        } else if args.gateway_token.is_some() {
            options += " --oauth2-bearer \"$PUSHRING_GATEWAY_TOKEN\"";
        }
        let files = [
            ("--cacert", &args.gateway_ca_file),
            ("--cert", &args.gateway_cert),
            ("--key", &args.gateway_key),
        ];
        for (option, file) in files {
            if let Some(file) = file.as_deref().and_then(Path::to_str) {
                options += &format!(" {option} {}", shell(file));
            }
        }
        Self { options }
    }

    /// Returns the command that deletes the groups at these URLs.
    pub(crate) fn delete(&self, urls: &[String]) -> String {
        // -f: an error status sets the exit code. -g: brackets of an IPv6 address are not a pattern.
        let urls: Vec<String> = urls.iter().map(|url| shell(url)).collect();
        format!("curl -fgsS{} -X DELETE {}", self.options, urls.join(" "))
    }
}
