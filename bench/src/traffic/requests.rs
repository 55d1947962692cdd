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
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
