//! The built module, with one function that traps.

const MAGIC: &[u8] = b"\0asm\x01\0\0\0";
const IMPORT_SECTION: u8 = 2;
const EXPORT_SECTION: u8 = 7;
const CODE_SECTION: u8 = 10;
const FUNCTION: u8 = 0;

const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

/// The module, where the exported function `export` does nothing but trap.
pub(super) fn trapping_at(module: &[u8], export: &str) -> Vec<u8> {
    let imported = imported_functions(section(module, IMPORT_SECTION));
    let index = exported_function(section(module, EXPORT_SECTION), export);
    let mut code = section(module, CODE_SECTION);
    let count = code.number();
    assert!((imported..imported + count).contains(&index), "`{export}` is not the module's own");
    for _ in imported..index {
        let length = code.number();
        code.take(length);
    }
    let length = code.number();
    let body = code.at..code.at + length;
    let mut patched = module.to_vec();
    patched[body].copy_from_slice(&trap(length));
    patched
}

/// A function body of this many bytes: no locals, a trap, and what fills it up.
fn trap(length: usize) -> Vec<u8> {
    assert!(length >= 3, "no room for a trap");
    let mut body = vec![NOP; length];
    body[0] = 0;
    body[1] = UNREACHABLE;
    body[length - 1] = END;
    body
}

fn section(module: &[u8], wanted: u8) -> Reader<'_> {
    let mut reader = Reader { bytes: module, at: 0 };
    assert_eq!(reader.take(MAGIC.len()), MAGIC);
    loop {
        let id = reader.byte();
        let length = reader.number();
        if id == wanted {
            return reader;
        }
        reader.take(length);
    }
}

fn imported_functions(mut section: Reader<'_>) -> usize {
    let count = section.number();
    for _ in 0..count {
        section.name();
        section.name();
        assert_eq!(section.byte(), FUNCTION, "the filter imports functions only");
        section.number();
    }
    count
}

fn exported_function(mut section: Reader<'_>, wanted: &str) -> usize {
    let count = section.number();
    let mut exports = (0..count).map(|_| (section.name(), section.byte(), section.number()));
    let found = exports.find(|(name, kind, _)| *name == wanted.as_bytes() && *kind == FUNCTION);
    found.unwrap_or_else(|| panic!("no export `{wanted}`")).2
}

/// Reads on, and panics where a module ends too early.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        taken
    }

    /// LEB128, unsigned.
    fn number(&mut self) -> usize {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    fn name(&mut self) -> &'a [u8] {
        let length = self.number();
        self.take(length)
    }
}
