//! The `to` of a rule: paths, methods and hosts.

use super::{
    super::{
        ImportError, check,
        members::{Members, Node},
    },
    authorization::{Action, Reader},
    condition::bracketed,
    pattern::Pattern,
    traffic::{HeaderMatch, Methods, Paths, Traffic, combine},
};

pub(super) const TOO_MANY: &str = "it is for too many combinations of paths, hosts and headers";

/// The requests of an operation, less those that it excepts.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) traffic: Vec<Traffic>,
    pub(super) except: Vec<Traffic>,
    /// Whether it says more than `traffic` does.
    pub(super) unsaid: bool,
}

impl Default for Operation {
    fn default() -> Self {
        Self { traffic: vec![Traffic::default()], except: Vec::new(), unsaid: false }
    }
}

impl Operation {
    pub(super) fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Result<Self, ImportError> {
        let mut outer = node.members()?;
        let mut operation = Self::default();
        if let Some(inner) = outer.take("operation") {
            let mut members = inner.members()?;
            operation.paths(&mut members, reader)?;
            operation.methods(&mut members, reader)?;
            operation.hosts(&mut members)?;
            operation.unsaid |= reader.unsaid(&members);
        }
        operation.unsaid |= reader.unsaid(&outer);
        Ok(operation)
    }

    /// The header of a condition on one.
    pub(super) fn header_of_key(key: &str) -> Option<String> {
        let names = bracketed(key.strip_prefix("request.headers")?)?;
        let [name] = names.as_slice() else { return None };
        Some(name.to_ascii_lowercase())
    }

    pub(super) fn header_values(
        header: &str,
        values: &Node<'_>,
    ) -> Result<Vec<Traffic>, ImportError> {
        let traffic = |value: &str| {
            let value = Pattern::parse(value);
            let header = HeaderMatch { name: header.to_owned(), value };
            Traffic { headers: [header].into(), ..Traffic::default() }
        };
        Ok(values.strings()?.into_iter().map(traffic).collect())
    }

    /// The same, with conditions on headers besides; none where that is too much to say.
    pub(super) fn with(&self, headers: &[Vec<Traffic>], except: &[Traffic]) -> Option<Self> {
        let mut traffic = self.traffic.clone();
        for alternatives in headers {
            traffic = combine(&traffic, alternatives)?;
        }
        let except = self.except.iter().chain(except).cloned().collect();
        Some(Self { traffic, except, unsaid: self.unsaid })
    }

    fn paths(
        &mut self,
        members: &mut Members<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<(), ImportError> {
        if let Some(values) = members.take("paths") {
            let mut traffic = Vec::new();
            for value in values.items()? {
                match path(&value, reader)? {
                    Said::Path(path) => traffic.push(path),
                    Said::Never => {}
                    Said::Unsaid if reader.action == Action::Allow => {}
                    // What it denies may be anywhere.
                    Said::Unsaid => traffic.push(Traffic::default()),
                }
            }
            self.traffic = traffic;
        }
        for value in members.take_items("not_paths")? {
            match path(&value, reader)? {
                Said::Path(path) => self.except.push(path),
                Said::Never => {}
                Said::Unsaid => self.unsaid = true,
            }
        }
        Ok(())
    }

    fn methods(
        &mut self,
        members: &mut Members<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<(), ImportError> {
        if let Some(values) = members.take("methods") {
            let names = values.strings()?;
            if !names.contains(&"*") {
                if names.iter().any(|name| name.contains('*')) {
                    reader.notes.left_out(&values.place, reader.action.without_a_part());
                    self.unsaid = true;
                } else {
                    let methods = method_names(&names);
                    self.traffic.retain(|_| !methods.is_empty());
                    for traffic in &mut self.traffic {
                        traffic.methods.clone_from(&methods);
                    }
                }
            }
        }
        if let Some(values) = members.take("not_methods") {
            let names = values.strings()?;
            if names.iter().any(|name| name.contains('*')) {
                reader.notes.left_out(&values.place, reader.action.without_a_part());
                self.unsaid = true;
            } else {
                let methods = method_names(&names);
                let except =
                    (!methods.is_empty()).then(|| Traffic { methods, ..Traffic::default() });
                self.except.extend(except);
            }
        }
        Ok(())
    }

    fn hosts(&mut self, members: &mut Members<'_>) -> Result<(), ImportError> {
        let hosts = |values: &Node<'_>| -> Result<Vec<Traffic>, ImportError> {
            let host = |value: &str| {
                let value = Pattern::parse(&value.to_ascii_lowercase());
                let header = HeaderMatch { name: ":authority".to_owned(), value };
                Traffic { headers: [header].into(), ..Traffic::default() }
            };
            Ok(values.strings()?.into_iter().map(host).collect())
        };
        if let Some(values) = members.take("hosts") {
            self.traffic = combine(&self.traffic, &hosts(&values)?)
                .ok_or_else(|| ImportError::new(&values.place, TOO_MANY))?;
        }
        if let Some(values) = members.take("not_hosts") {
            self.except.extend(hosts(&values)?);
        }
        Ok(())
    }
}

/// Methods that Postern lets in: others fit no rule, there as here.
fn method_names(names: &[&str]) -> Methods {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    let known = names.iter().filter(|name| !name.is_empty() && name.bytes().all(is_plain));
    known.map(|name| (*name).to_owned()).collect()
}

enum Said {
    Path(Traffic),
    /// No request that Postern lets in has such a path.
    Never,
    Unsaid,
}

fn path(value: &Node<'_>, reader: &mut Reader<'_>) -> Result<Said, ImportError> {
    let text = value.string()?;
    let path = match Pattern::parse(text) {
        Pattern::Present => Paths::All,
        _ if text.contains("{*}") || text.contains("{**}") => Paths::Template(text.to_owned()),
        pattern => Paths::Fit(pattern),
    };
    let traffic = Traffic { path, ..Traffic::default() };
    let Some(error) = check::matcher(&traffic.words()) else { return Ok(Said::Path(traffic)) };
    let plain = match &traffic.path {
        Paths::Fit(Pattern::Exact(_)) => true,
        Paths::Fit(Pattern::Affixes { suffix, .. }) => suffix.is_empty(),
        _ => false,
    };
    // A prefix that ends in the middle of `%41` is one of paths that requests do have.
    if plain && !text.contains('%') {
        let text = "left unsaid: Postern refuses every request with such a path";
        reader.notes.remark(&value.place, text);
        return Ok(Said::Never);
    }
    let text = format!("{} ({})", reader.action.without_a_part(), error.reason);
    reader.notes.left_out(&value.place, text);
    Ok(Said::Unsaid)
}
