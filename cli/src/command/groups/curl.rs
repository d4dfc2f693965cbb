//! The command that a person runs to delete a group: curl, because only a path can say bytes that are not UTF-8.

use std::path::Path;

use crate::gateway::pool::GatewayArgs;

/// curl with what the gateways ask for.
#[derive(Clone, Debug)]
pub(crate) struct Curl {
    options: String,
}

impl Curl {
    /// With the flags that this command was given. Secrets are not repeated: curl asks for the password, and the shell
    /// is to know the token.
    pub(crate) fn new(args: &GatewayArgs) -> Self {
        let mut options = String::new();
        if let Some(user) = &args.gateway_user {
            options += &format!(" -u {}", quoted(user));
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
                options += &format!(" {option} {}", quoted(file));
            }
        }
        Self { options }
    }

    /// The command that deletes what is at these URLs.
    pub(crate) fn delete(&self, urls: &[String]) -> String {
        // -f: a refusal is an exit code. -g: brackets of an IPv6 address are no pattern.
        let urls: Vec<String> = urls.iter().map(|url| quoted(url)).collect();
        format!("curl -fgsS{} -X DELETE {}", self.options, urls.join(" "))
    }
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
