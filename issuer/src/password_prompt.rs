//! Taking a password from a person or from a pipe.

use std::{
    error::Error,
    io::{self, BufRead, IsTerminal},
};

use postern_issuer::SecretText;
use zeroize::Zeroizing;

/// Enough for the longest password and its line end; a longer line is too long anyway.
const LINE_LIMIT_BYTES: u64 = 1024 + 8;

/// The first line of standard input, or, on a terminal, what is typed twice without echo.
pub(crate) fn read_password() -> Result<SecretText, Box<dyn Error>> {
    if io::stdin().is_terminal() { prompt() } else { Ok(first_line(io::stdin().lock())?) }
}

fn prompt() -> Result<SecretText, Box<dyn Error>> {
    let password = SecretText::new(rpassword::prompt_password("Password: ")?);
    let again = SecretText::new(rpassword::prompt_password("Password again: ")?);
    if password == again { Ok(password) } else { Err("the passwords differ".into()) }
}

fn first_line(input: impl BufRead) -> io::Result<SecretText> {
    let mut line = Zeroizing::new(Vec::with_capacity(2048));
    input.take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(SecretText::new(text.to_owned())),
        Err(_) => Err(io::Error::other("the password is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Option<String> {
        first_line(input).ok().map(|line| line.expose().to_owned())
    }

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        assert_eq!(read(b"secret\nmore\n").as_deref(), Some("secret"));
        assert_eq!(read(b"secret\r\n").as_deref(), Some("secret"));
        assert_eq!(read(b" secret ").as_deref(), Some(" secret "));
        assert_eq!(read(b"").as_deref(), Some(""));
        assert_eq!(read(b"\xff\n"), None);
    }

    #[test]
    fn an_endless_line_is_cut_and_still_too_long() {
        assert_eq!(read(&[b'x'; 5000]).map(|line| line.len()), Some(1032));
    }
}
