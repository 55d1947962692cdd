//! What a Wasm module wants from its host and what it offers to it, read from the module itself.

use crate::steps::Failure;

const MAGIC: &[u8] = b"\0asm\x01\0\0\0";
const IMPORT_SECTION: u8 = 2;
const EXPORT_SECTION: u8 = 7;

/// The imports of a module, as `module.name`.
pub(crate) fn imports(module: &[u8]) -> Result<Vec<String>, Failure> {
    read(module).ok_or_else(unreadable)
}

/// The names of the exports of a module.
pub(crate) fn exports(module: &[u8]) -> Result<Vec<String>, Failure> {
    let exports = || {
        let sections = sections(module)?;
        let section = sections.iter().find(|(id, _)| *id == EXPORT_SECTION);
        let exports = section.map_or(Some(Vec::new()), |(_, section)| export_section(section));
        Some(exports?.into_iter().map(|export| export.name).collect())
    };
    exports().ok_or_else(unreadable)
}

/// The module with those of its exports only whose names are kept.
pub(crate) fn with_exports(module: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>, Failure> {
    let changed = || {
        let mut bytes = MAGIC.to_vec();
        for (id, section) in sections(module)? {
            let kept =
                if id == EXPORT_SECTION { kept_exports(section, &keep)? } else { section.into() };
            bytes.push(id);
            put_number(&mut bytes, kept.len());
            bytes.extend_from_slice(&kept);
        }
        Some(bytes)
    };
    changed().ok_or_else(unreadable)
}

fn unreadable() -> Failure {
    Failure::new("this is not a Wasm module, or one that is too new")
}

fn read(module: &[u8]) -> Option<Vec<String>> {
    let sections = sections(module)?;
    let section = sections.iter().find(|(id, _)| *id == IMPORT_SECTION);
    section.map_or(Some(Vec::new()), |(_, section)| import_section(Reader(section)))
}

/// All sections, by their kind.
fn sections(module: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut module = Reader(module.strip_prefix(MAGIC)?);
    let mut sections = Vec::new();
    while let Some(id) = module.byte() {
        let length = module.number()?;
        sections.push((id, module.take(length)?));
    }
    Some(sections)
}

struct Export<'a> {
    name: String,
    /// As it stands in the section.
    bytes: &'a [u8],
}

fn export_section(section: &[u8]) -> Option<Vec<Export<'_>>> {
    let mut section = Reader(section);
    let mut exports = Vec::new();
    for _ in 0..section.number()? {
        let start = section.0;
        let name = section.name()?;
        section.byte()?;
        section.number()?;
        exports.push(Export { name, bytes: start.get(..start.len() - section.0.len())? });
    }
    Some(exports)
}

fn kept_exports(section: &[u8], keep: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let exports = export_section(section)?;
    let kept: Vec<&[u8]> =
        exports.iter().filter(|export| keep(&export.name)).map(|export| export.bytes).collect();
    let mut bytes = Vec::new();
    put_number(&mut bytes, kept.len());
    bytes.extend(kept.concat());
    Some(bytes)
}

/// LEB128, unsigned.
fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn import_section(mut section: Reader<'_>) -> Option<Vec<String>> {
    let mut imports = Vec::new();
    for _ in 0..section.number()? {
        imports.push(format!("{}.{}", section.name()?, section.name()?));
        match section.byte()? {
            0 => section.skip_numbers(1)?,
            1 => {
                section.byte()?;
                section.limits()?;
            }
            2 => section.limits()?,
            3 => {
                section.take(2)?;
            }
            4 => section.skip_numbers(2)?,
            _ => return None,
        }
    }
    Some(imports)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// LEB128, unsigned.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn skip_numbers(&mut self, count: usize) -> Option<()> {
        (0..count).try_for_each(|_| self.number().map(drop))
    }

    fn limits(&mut self) -> Option<()> {
        let has_maximum = self.byte()? & 1 == 1;
        self.skip_numbers(if has_maximum { 2 } else { 1 })
    }

    fn name(&mut self) -> Option<String> {
        let length = self.number()?;
        self.take(length).map(|name| String::from_utf8_lossy(name).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[&[u8]]) -> Vec<u8> {
        [MAGIC, &sections.concat()].concat()
    }

    #[test]
    fn a_module_without_imports_has_none() {
        assert_eq!(imports(&module(&[])).unwrap(), Vec::<String>::new());
        assert_eq!(imports(&module(&[&[1, 4, 1, 0x60, 0, 0]])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn imports_of_every_kind_are_named() {
        let section = [
            &[2, 37, 5][..],
            &[1, b'e', 1, b'f', 0, 0x80, 1], // a function of type 128
            &[1, b'e', 1, b't', 1, 0x70, 1, 1, 2], // a table of one or two
            &[1, b'e', 1, b'm', 2, 0, 1],    // a memory of one page or more
            &[1, b'e', 1, b'g', 3, 0x7f, 0], // a constant
            &[1, b'e', 0, 4, 0, 0],          // an exception, without a name
        ];
        let module = module(&[&[1, 1, 0], &section.concat()]);
        assert_eq!(imports(&module).unwrap(), ["e.f", "e.t", "e.m", "e.g", "e."]);
    }

    #[test]
    fn exports_are_named_and_can_be_left_out() {
        let types: &[u8] = &[1, 4, 1, 0x60, 0, 0];
        let both: &[u8] = &[7, 12, 2, 3, b'o', b'n', b'e', 0, 0x80, 1, 1, b'm', 2, 0];
        let one: &[u8] = &[7, 5, 1, 1, b'm', 2, 0];
        let (module, smaller) = (module(&[types, both]), module(&[types, one]));
        assert_eq!(exports(&module).unwrap(), ["one", "m"]);
        assert_eq!(with_exports(&module, |name| name == "m").unwrap(), smaller);
        assert_eq!(with_exports(&module, |_| true).unwrap(), module);
        assert!(with_exports(module.get(..module.len() - 1).unwrap(), |_| true).is_err());
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_an_error() {
        let whole = module(&[&[2, 8, 1, 1, b'e', 1, b'f', 0, 0, 0]]);
        assert!(imports(&whole).is_ok());
        for length in 0..whole.len() - 1 {
            let cut = whole.get(..length).unwrap();
            assert!(length == MAGIC.len() || imports(cut).is_err(), "{length}");
        }
        assert!(imports(&module(&[&[2, 7, 1, 1, b'e', 1, b'f', 9, 0]])).is_err());
    }
}
