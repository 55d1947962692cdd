//! `envoy.yaml` of the workspace, with other ports and another policy where a test wants them.
//!
//! Every change is a replacement in the text, and one that finds nothing is an error: a test
//! never runs on a file that differs from the published one by more than it asked for.

use std::path::Path;

use serde_json::Value;

use crate::{Failure, filter_module, workspace_root};

const FILTER: &str = "dist/filter.wasm";
const POLICY_MARK: &str = "value: |\n";
const LISTENER_MARK: &str = "static_resources:\n  listeners:\n  - ";
const LISTENER_TYPE: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// A configuration that is derived from `envoy.yaml`.
#[derive(Clone, Debug)]
pub struct EnvoyConfig {
    text: String,
}

impl EnvoyConfig {
    /// `envoy.yaml` with the filter that was built.
    ///
    /// # Errors
    /// When the file or the filter is missing.
    pub fn published() -> Result<Self, Failure> {
        let path = workspace_root().join("envoy.yaml");
        let text = std::fs::read_to_string(path).map_err(Failure::while_doing("envoy.yaml"))?;
        let filter = filter_module()?;
        let config = Self { text };
        if filter == workspace_root().join(FILTER) {
            return Ok(config);
        }
        config.replace(FILTER, &filter.display().to_string())
    }

    /// `envoy.yaml` on ports that are free: Envoy picks its own, so that tests do not clash.
    ///
    /// # Errors
    /// As [`EnvoyConfig::published`], or when a port is not where it is expected.
    pub fn for_test(issuer: u16, upstream: u16) -> Result<Self, Failure> {
        Self::published()?.ports(0, issuer, upstream, 0)
    }

    /// Other ports for the gate, the issuer, the upstream and Envoy's admin interface.
    ///
    /// # Errors
    /// When a port is not where it is expected.
    pub fn ports(self, gate: u16, issuer: u16, upstream: u16, admin: u16) -> Result<Self, Failure> {
        let port = |number: u16| format!("port_value: {number} }}");
        // In two steps: one new port may be another's old one.
        self.replace(&port(10000), "<gate>")?
            .replace(&port(8080), "<issuer>")?
            .replace(&port(8081), "<upstream>")?
            .replace(&port(9901), "<admin>")?
            .replace("127.0.0.1:8080/", "<issuer-url>")?
            .replace("<gate>", &port(gate))?
            .replace("<issuer>", &port(issuer))?
            .replace("<upstream>", &port(upstream))?
            .replace("<admin>", &port(admin))?
            .replace("<issuer-url>", &format!("127.0.0.1:{issuer}/"))
    }

    /// Another policy.
    ///
    /// # Errors
    /// When the policy is not where it is expected.
    pub fn policy(self, policy: &Value) -> Result<Self, Failure> {
        let lost = || Failure::new(format!("envoy.yaml has no `{}`", POLICY_MARK.trim_end()));
        let (before, block) = self.text.split_once(POLICY_MARK).ok_or_else(lost)?;
        let indent = block.len() - block.trim_start_matches(' ').len();
        let inside = |line: &str| line.len() - line.trim_start_matches(' ').len() >= indent;
        let after: String = block.split_inclusive('\n').skip_while(|line| inside(line)).collect();
        let policy = format!("{:indent$}{policy}\n", "");
        Ok(Self { text: format!("{before}{POLICY_MARK}{policy}{after}") })
    }

    /// Another module of the filter.
    ///
    /// # Errors
    /// When the filter is not where it is expected.
    pub fn module(self, module: &Path) -> Result<Self, Failure> {
        let old = self.text.split_once("filename: ").and_then(|(_, rest)| rest.split_once(" }"));
        let lost = || Failure::new("envoy.yaml names no module");
        let old = format!("filename: {}", old.ok_or_else(lost)?.0);
        self.replace(&old, &format!("filename: {}", module.display()))
    }

    /// The policy of this configuration.
    ///
    /// # Errors
    /// When the policy is not where it is expected, or is not JSON.
    pub fn read_policy(&self) -> Result<Value, Failure> {
        let (_, block) = self.text.split_once(POLICY_MARK).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(block).into_iter();
        let first = values.next().and_then(Result::ok);
        first.ok_or_else(|| Failure::new("envoy.yaml holds no JSON policy"))
    }

    /// Replaces all that reads `from`.
    ///
    /// # Errors
    /// When nothing does.
    pub fn replace(self, from: &str, to: &str) -> Result<Self, Failure> {
        if !self.text.contains(from) {
            return Err(Failure::new(format!("envoy.yaml has no `{from}` any more")));
        }
        Ok(Self { text: self.text.replace(from, to) })
    }

    /// The same, where the listener stands in a file of its own that Envoy watches. What it returns
    /// besides is what that file has to hold; a new one is put in its place by a rename.
    ///
    /// # Errors
    /// When the listener is not where it is expected.
    pub fn with_listener_in(self, file: &Path) -> Result<(Self, String), Failure> {
        let lost = || Failure::new("envoy.yaml has no list of one listener before its clusters");
        let (before, rest) = self.text.split_once(LISTENER_MARK).ok_or_else(lost)?;
        let (listener, after) = rest.split_once("\n  clusters:").ok_or_else(lost)?;
        let listener = format!("resources:\n  - \"@type\": {LISTENER_TYPE}\n    {listener}\n");
        let file = file.display();
        let source = format!("lds_config: {{ path_config_source: {{ path: \"{file}\" }} }}");
        let dynamic = format!(
            "node: {{ id: gate, cluster: gate }}\ndynamic_resources:\n  {source}\n\
             static_resources:\n  clusters:"
        );
        Ok((Self { text: format!("{before}{dynamic}{after}") }, listener))
    }

    /// The YAML.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> EnvoyConfig {
        EnvoyConfig { text: "a: 1\n  value: |\n    {\n      \"b\": 2\n    }\n  next: 3\n".into() }
    }

    #[test]
    fn a_policy_replaces_the_whole_block_and_nothing_else() {
        assert_eq!(sample().read_policy().unwrap(), json!({"b": 2}));
        let changed = sample().policy(&json!({"c": 3})).unwrap();
        assert_eq!(changed.text(), "a: 1\n  value: |\n    {\"c\":3}\n  next: 3\n");
        assert_eq!(changed.read_policy().unwrap(), json!({"c": 3}));
    }

    #[test]
    fn a_replacement_that_finds_nothing_is_an_error() {
        assert!(sample().replace("a: 1", "a: 2").is_ok());
        assert!(sample().replace("a: 9", "a: 2").is_err());
        assert!(EnvoyConfig { text: String::new() }.policy(&json!({})).is_err());
    }
}
