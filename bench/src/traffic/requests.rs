//! The requests, and in which order they and the servers come.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;

use super::tokens::Signer;

/// Fresh tokens, in requests as a browser would send them.
///
/// # Errors
/// When a token could not be signed.
pub fn requests(signer: &Signer, count: u64) -> Result<Vec<Vec<u8>>> {
    let path = signer.algorithm.provider();
    let request = |token: String| {
        format!(
            "GET /{path}/orders/17?page=2 HTTP/1.1\r\n\
             host: api.example.com\r\n\
             user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
             accept: application/json\r\n\
             accept-language: en-GB,en;q=0.7,de;q=0.3\r\n\
             accept-encoding: gzip, deflate, br, zstd\r\n\
             referer: https://shop.example.com/orders\r\n\
             x-request-id: 2f6f1c1e-5b1a-4f0c-9d4e-0b7f2a7c9f55\r\n\
             authorization: Bearer {token}\r\n\r\n"
        )
        .into_bytes()
    };
    Ok(signer.tokens(count)?.into_iter().map(request).collect())
}

/// All of them, again and again.
pub fn forever(pool: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> + Send {
    std::iter::repeat(pool).flatten().map(Vec::as_slice)
}

/// Each of them once.
pub fn in_order(
    pool: &[Vec<u8>],
) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator + Send {
    pool.iter().map(Vec::as_slice)
}

/// The token with another signature.
#[must_use]
pub fn forged(token: &str) -> String {
    // Not at its end, whose bits may mean nothing.
    let (text, signature) = token.rsplit_once('.').unwrap_or_default();
    let signature: String = signature.chars().rev().collect();
    format!("{text}.{signature}")
}

/// The order in which so many are measured; another one in each round.
#[must_use]
pub fn in_turn(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left(round.checked_rem(count).unwrap_or_default());
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// One request on a connection of its own, with more header lines; the answer as it came.
///
/// # Errors
/// When there is no answer.
pub fn get(server: SocketAddr, path: &str, headers: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut bytes = [0; 4096];
    // workerd closes the connection seconds later.
    while !is_complete(&answer) {
        match stream.read(&mut bytes)? {
            0 => break,
            count => answer.extend(bytes.iter().take(count)),
        }
    }
    Ok(String::from_utf8(answer)?)
}

/// Whether the head and all of the body are there.
pub(super) fn is_complete(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if value("transfer-encoding:") == Some("chunked") {
        return answer.ends_with(b"\r\n0\r\n\r\n");
    }
    let length = value("content-length:").and_then(|length| length.parse::<usize>().ok());
    answer.len() >= end + 4 + length.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_body() {
        let by_length = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        let in_chunks =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
        for answer in [by_length.as_slice(), in_chunks] {
            assert!(is_complete(answer));
            assert!((1..answer.len()).all(|length| !is_complete(&answer[..length])));
        }
    }

    #[test]
    fn each_round_has_an_order_of_its_own() {
        assert_eq!(in_turn(3, 0), [0, 1, 2]);
        assert_eq!(in_turn(3, 1), [0, 2, 1]);
        assert_eq!(in_turn(3, 2), [2, 0, 1]);
    }
}
