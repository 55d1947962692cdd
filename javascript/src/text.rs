//! A request in one string.

use memchr::memchr_iter;
use postern_verify::Request;

/// How a host's strings hold the bytes of header values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldCoding {
    /// A character is a byte, as the Fetch standard and Node have it.
    Bytes,
    /// The bytes are read as UTF-8, as workerd does.
    Utf8,
}

/// A request that JavaScript handed over as lines with a line feed between them: method, target,
/// authority, scheme, and then the name and the value of each header field.
///
/// ```
/// use postern_javascript::{FieldCoding, RequestText};
///
/// let lines = "GET\n/a?b=c\napi.example.com\nhttps\naccept\ntext/html";
/// let text = RequestText::new(lines.to_owned(), 1, FieldCoding::Bytes).unwrap();
/// let request = text.request().unwrap();
/// assert_eq!(request.target, b"/a?b=c");
/// assert_eq!(request.headers, [("accept", &b"text/html"[..])]);
/// ```
pub struct RequestText {
    bytes: Vec<u8>,
    fields: usize,
}

const BEFORE_FIELDS: usize = 4;

impl RequestText {
    /// The text, and the number of header fields in it: what has more lines than these, because a
    /// value has a line feed in it, is refused and not misread. `None` where it holds characters
    /// that are no bytes.
    #[must_use]
    pub fn new(text: String, fields: usize, coding: FieldCoding) -> Option<Self> {
        let bytes = match coding {
            FieldCoding::Bytes if !text.is_ascii() => encode(&text)?,
            FieldCoding::Bytes | FieldCoding::Utf8 => text.into_bytes(),
        };
        Some(Self { bytes, fields })
    }

    /// The request; `None` where the lines are not as many as they are said to be, or a name is not
    /// text.
    #[must_use]
    pub fn request(&self) -> Option<Request<'_>> {
        let mut lines =
            Lines { bytes: &self.bytes, start: 0, ends: memchr_iter(b'\n', &self.bytes) };
        let method = text(lines.next()?)?;
        let target = lines.next()?;
        let authority = lines.next()?;
        let scheme = text(lines.next()?)?;
        // As much room as it says, but no more than there can be.
        let mut headers = Vec::with_capacity(self.fields.min(self.bytes.len()));
        for _ in 0..self.fields {
            headers.push((text(lines.next()?)?, lines.next()?));
        }
        if lines.next().is_some() {
            return None;
        }
        let mut request = Request::new(method, target, headers);
        (request.authority, request.scheme) = (authority, scheme);
        Some(request)
    }
}

/// The parts between line feeds; at least one.
struct Lines<'a> {
    bytes: &'a [u8],
    start: usize,
    ends: memchr::Memchr<'a>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.ends.next().unwrap_or(self.bytes.len());
        let line = self.bytes.get(self.start..end);
        self.start = end + 1;
        line
    }
}

fn text(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()
}

fn encode(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str, fields: usize) -> Option<String> {
        let text = RequestText::new(lines.to_owned(), fields, FieldCoding::Utf8)?;
        let request = text.request()?;
        let (authority, scheme) = (request.authority.escape_ascii(), request.scheme);
        let target = request.target.escape_ascii();
        let fields = request.headers.iter();
        let fields: Vec<String> =
            fields.map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
        Some(format!("{} {target} {authority} {scheme} {}", request.method, fields.join(" ")))
    }

    #[test]
    fn a_request_is_read_from_its_lines() {
        let lines = "POST\n/a?b\nhost:1\nhttp\nx\n1\nx\n\nhost\nother";
        let expected = "POST /a?b host:1 http x=1 x= host=other";
        assert_eq!(read(lines, 3).as_deref(), Some(expected));
        assert_eq!(read("GET\n\n\n", 0).as_deref(), Some("GET    "));
    }

    #[test]
    fn a_line_too_many_or_too_few_is_refused() {
        for lines in ["GET\n/\nh", "GET\n/\nh\nhttp\nx", "GET\n/\nh\nhttp\nx\n1\n2", ""] {
            assert_eq!(read(lines, 1), None, "{lines:?}");
        }
        assert_eq!(read("GET\n/\nh\nhttp\n", 0), None);
        assert_eq!(read("GET\n/\nh\nhttp\nx\n1", usize::MAX), None);
    }

    #[test]
    fn a_character_is_a_byte_or_utf_8_as_the_host_has_it() {
        let value = |value: &str, coding| {
            let lines = format!("GET\n/\nh\nhttp\nx\n{value}");
            let text = RequestText::new(lines, 1, coding)?;
            Some(text.request()?.headers.first()?.1.to_vec())
        };
        assert_eq!(value("\u{e9}", FieldCoding::Bytes), Some(vec![0xe9]));
        assert_eq!(value("\u{e9}", FieldCoding::Utf8), Some(vec![0xc3, 0xa9]));
        assert_eq!(value("\u{20ac}", FieldCoding::Bytes), None);
        let lines = "GET\n/\nh\nhttp\n\u{e9}\n1".to_owned();
        assert!(RequestText::new(lines, 1, FieldCoding::Bytes).unwrap().request().is_none());
    }
}
