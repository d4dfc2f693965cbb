//! `jwt.patch`: tokens that an issuer signed.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pushring_harness::{Layout, Mode};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use crate::curl::Outcome;
use crate::front::{Front, edit};

const KEYS: &str = r#"{"keys": []}"#;
const UNAUTHORIZED: Outcome = Outcome::Status(401);
/// In the year 2100.
const LATER: u64 = 4_102_444_800;

/// The key of an issuer.
pub(crate) struct Issuer(KeyPair);

impl Issuer {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate_for(&PKCS_ED25519).unwrap())
    }

    /// Returns its public keys (JWKS).
    pub(crate) fn keys(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.0.der_bytes());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}]}).to_string()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    }

    /// Returns the header with a valid token for a team.
    pub(crate) fn header(&self, team: &str) -> String {
        bearer(&self.sign(&json!({"alg": "EdDSA", "typ": "JWT"}), &claims(team)))
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn claims(team: &str) -> Value {
    json!({"iss": "https://issuer.example.org", "aud": "pushring", "exp": LATER, "team": team})
}

fn trust(issuer: &Issuer) -> impl FnOnce(&Layout) {
    let keys = issuer.keys();
    move |layout| edit(layout, "tokens.yaml", KEYS, &keys)
}

#[test]
fn only_valid_tokens_may_push() {
    for mode in Mode::ROUTED {
        let issuer = Issuer::new();
        let front = Front::with(mode, &["tls", "jwt"], trust(&issuer));
        front.assert_push("right", &["-H", &issuer.header("a")], &Outcome::Status(200));
        front.assert_push("absent", &[], &UNAUTHORIZED);
        front.assert_push("other-key", &["-H", &Issuer::new().header("a")], &UNAUTHORIZED);
        front.assert_push("basic", &["-u", "a:b"], &UNAUTHORIZED);
        let eddsa = json!({"alg": "EdDSA"});
        let changed = |field: &str, value: Value| {
            let mut claims = claims("a");
            claims[field] = value;
            bearer(&issuer.sign(&eddsa, &claims))
        };
        front.assert_push("expired", &["-H", &changed("exp", json!(1_000_000_000))], &UNAUTHORIZED);
        front.assert_push("no-exp", &["-H", &changed("exp", Value::Null)], &UNAUTHORIZED);
        front.assert_push(
            "issuer",
            &["-H", &changed("iss", json!("https://evil.example.org"))],
            &UNAUTHORIZED,
        );
        front.assert_push("audience", &["-H", &changed("aud", json!("another"))], &Outcome::Status(403));
        let unsigned = issuer.sign(&json!({"alg": "none"}), &claims("a"));
        let unsigned = unsigned.rsplit_once('.').unwrap().0;
        front.assert_push("none", &["-H", &bearer(&format!("{unsigned}."))], &UNAUTHORIZED);
        assert_eq!(front.send("GET", "/-/pushring", &[]), UNAUTHORIZED);
        assert_eq!(front.send("GET", "/-/ready", &[]), Outcome::Status(200));

        let requests = front.record(&["-H", &issuer.header("a")]);
        assert_eq!(front.send("PUT", "/metrics/job/a", &["-H", &issuer.header("a")]), Outcome::Status(200));
        let requests = requests.lock().unwrap();
        assert!(!requests[0].headers.contains_key("authorization"), "the gateway does not get the token");
    }
}

#[test]
fn replaced_keys_are_used_without_a_restart() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let front = Front::with(Mode::Cluster, &["tls", "jwt"], trust(&old));
    front.assert_push("old", &["-H", &old.header("a")], &Outcome::Status(200));
    front.edit("tokens.yaml", &old.keys(), &new.keys());
    front.wait_push(&["-H", &old.header("a")], &UNAUTHORIZED);
    front.assert_push("new", &["-H", &new.header("a")], &Outcome::Status(200));
}

/// The claim `team` allows the jobs of `jobs.yaml`; the spellings are those of the test with certificates.
#[test]
fn a_claim_allows_jobs() {
    let issuer = Issuer::new();
    let front = Front::with(Mode::Endpoint, &["tls", "jwt", "jobs"], trust(&issuer));
    let backup = issuer.header("backup");
    front.assert_push("backup", &["-H", &backup], &Outcome::Status(200));
    front.assert_push("other", &["-H", &backup], &Outcome::Status(403));
    front.assert_push("restore", &["-H", &issuer.header("another")], &Outcome::Status(403));
    front.assert_push("restore", &[], &UNAUTHORIZED);
}
