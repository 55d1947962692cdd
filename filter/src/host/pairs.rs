//! Lists of names and values as the host wants them: the number of pairs, the lengths of each, and
//! then each name and value with a zero byte behind it; numbers of 32 bits, little-endian.

/// The pairs in these bytes, and their number; `None` where they are something else.
pub(crate) fn read(bytes: &[u8]) -> Option<(usize, impl Iterator<Item = Option<Pair<'_>>>)> {
    if bytes.is_empty() {
        return Some((0, Pairs { lengths: &[], texts: &[] }));
    }
    let (count, rest) = number(bytes)?;
    let (lengths, texts) = rest.split_at_checked(count.checked_mul(8)?)?;
    Some((count, Pairs { lengths, texts }))
}

/// A name and a value.
pub(crate) type Pair<'a> = (&'a str, &'a [u8]);

struct Pairs<'a> {
    lengths: &'a [u8],
    texts: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Option<Pair<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.lengths.is_empty() {
            return None;
        }
        Some(self.pair())
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Option<Pair<'a>> {
        let (name_length, rest) = number(self.lengths)?;
        let (value_length, rest) = number(rest)?;
        self.lengths = rest;
        let (name, value) = (self.text(name_length)?, self.text(value_length)?);
        Some((std::str::from_utf8(name).ok()?, value))
    }

    fn text(&mut self, length: usize) -> Option<&'a [u8]> {
        let (text, rest) = self.texts.split_at_checked(length)?;
        self.texts = rest.get(1..)?;
        Some(text)
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

/// The bytes of these pairs.
pub(crate) fn write(pairs: &[(&str, &[u8])]) -> Vec<u8> {
    let texts: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut bytes = Vec::with_capacity(4 + 8 * pairs.len() + texts);
    let mut put = |number: usize| {
        bytes.extend_from_slice(&u32::try_from(number).unwrap_or_default().to_le_bytes());
    };
    put(pairs.len());
    for (name, value) in pairs {
        put(name.len());
        put(value.len());
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}
