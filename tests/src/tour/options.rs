//! The tour's command line.

use std::net::TcpListener;

use crate::Failure;

/// How to run the tour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// End after the tour instead of staying up.
    pub once: bool,
    /// Show the issuer on AWS, emulated, on free ports, and end.
    pub aws: bool,
    /// Envoy's port.
    pub gate: u16,
    /// The issuer's port.
    pub issuer: u16,
    /// The upstream's port.
    pub upstream: u16,
    /// The port of Envoy's admin interface.
    pub admin: u16,
    /// The Worker's port.
    pub worker: u16,
}

impl Options {
    /// Reads the command line; without options, the ports are those of `envoy.yaml`.
    ///
    /// # Errors
    /// On an unknown option, a port that is none, or one port for two.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            once: false,
            aws: false,
            gate: 10000,
            issuer: 8080,
            upstream: 8081,
            admin: 9901,
            worker: 8787,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--once" {
                options.once = true;
                continue;
            }
            if word == "--aws" {
                options.aws = true;
                continue;
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let port = options.port(&name).ok_or_else(|| format!("unknown option `{name}`"))?;
            let value = value.or_else(|| words.next()).unwrap_or_default();
            *port =
                value.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                    format!("`{name}` wants a port from 1 to 65535, not `{value}`")
                })?;
        }
        options.distinct()?;
        Ok(options)
    }

    /// Whether every port can be listened on.
    ///
    /// # Errors
    /// Names the first that is taken, and the option that chooses another.
    pub fn check_ports(&self) -> Result<(), Failure> {
        for (name, port) in self.named() {
            if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
                return Err(Failure::new(format!(
                    "port {port} cannot be used ({error}); choose another with `{name} N`"
                )));
            }
        }
        Ok(())
    }

    fn port(&mut self, name: &str) -> Option<&mut u16> {
        match name {
            "--port-gate" => Some(&mut self.gate),
            "--port-issuer" => Some(&mut self.issuer),
            "--port-upstream" => Some(&mut self.upstream),
            "--port-admin" => Some(&mut self.admin),
            "--port-worker" => Some(&mut self.worker),
            _ => None,
        }
    }

    fn named(&self) -> [(&'static str, u16); 5] {
        [
            ("--port-gate", self.gate),
            ("--port-issuer", self.issuer),
            ("--port-upstream", self.upstream),
            ("--port-admin", self.admin),
            ("--port-worker", self.worker),
        ]
    }

    fn distinct(&self) -> Result<(), String> {
        let mut earlier: Vec<(&str, u16)> = Vec::new();
        for (name, port) in self.named() {
            if let Some((other, _)) = earlier.iter().find(|(_, taken)| *taken == port) {
                return Err(format!("`{other}` and `{name}` both want port {port}"));
            }
            earlier.push((name, port));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn ports_can_be_chosen() {
        let options = parse("--port-gate 1000 --once --port-admin=1001").unwrap();
        assert_eq!((options.once, options.gate, options.admin), (true, 1000, 1001));
        assert_eq!((options.issuer, options.upstream), (8080, 8081));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse("--port 1").unwrap_err(), "unknown option `--port`");
        assert!(parse("--port-gate").unwrap_err().contains("wants a port"));
        assert!(parse("--port-gate 70000").unwrap_err().contains("`70000`"));
        assert!(parse("--port-gate 8080").unwrap_err().contains("both want port 8080"));
    }

    #[test]
    fn a_taken_port_is_named_with_its_option() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = parse(&format!("--port-issuer {port}")).unwrap();
        let options = Options { gate: port, ..message };
        let failure = options.check_ports().unwrap_err().to_string();
        assert!(failure.contains(&port.to_string()) && failure.contains("--port-gate"));
    }
}
