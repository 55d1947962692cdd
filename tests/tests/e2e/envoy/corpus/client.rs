//! A client that sends what a case says, byte for byte, over HTTP/1.1.

use std::{future::Future, io::ErrorKind, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::case::Request;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// A request that has been sent.
pub(crate) struct Asked {
    stream: TcpStream,
    method: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) body: String,
}

/// Sends a request on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: &Request) -> Asked {
    let mut stream = connect(address).await;
    stream.write_all(&spell(request)).await.unwrap();
    Asked { stream, method: request.method.clone() }
}

impl Asked {
    /// The answer; `None` where the connection was closed without one.
    pub(crate) async fn answer(mut self) -> Option<Answer> {
        let head = in_time("an answer", read_head(&mut self.stream)).await?;
        let (status, fields) = split_head(&head);
        let mut answer = Answer { status, fields, body: String::new() };
        if has_body(&self.method, status) {
            let length = answer.field("content-length").and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or_default()];
            in_time("a body", self.stream.read_exact(&mut body)).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        Some(answer)
    }

    /// Whether nothing has come back yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl Answer {
    /// The only value of a field, if it is text.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|field| field.0 == name);
        let value = std::str::from_utf8(&values.next()?.1).ok();
        value.filter(|_| values.next().is_none())
    }

    /// The stable code of a denial, where the answer says it.
    pub(crate) fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let of_grpc = || Some(self.field("grpc-message")?.split_once(':')?.0.to_owned());
        body["code"].as_str().map(str::to_owned).or_else(of_grpc)
    }
}

/// Everything up to the empty line, which it takes off; `None` where the other side closes first.
pub(crate) async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    head.truncate(head.len() - 4);
    Some(head)
}

/// The first line's words behind the first, and the fields of a head, in their order.
pub(crate) fn split_fields(head: &[u8]) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let text: Vec<&[u8]> = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
    let fields = text[1..].iter().map(|line| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
        (name, line[colon + 1..].trim_ascii().to_vec())
    });
    (text[0].to_vec(), fields.collect())
}

fn split_head(head: &[u8]) -> (u16, Vec<(String, Vec<u8>)>) {
    let (line, fields) = split_fields(head);
    let line = String::from_utf8(line).unwrap();
    (line.split(' ').nth(1).unwrap().parse().unwrap(), fields)
}

fn spell(request: &Request) -> Vec<u8> {
    let Request { method, target, authority, .. } = request;
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    for (name, value) in &request.fields {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

fn has_body(method: &str, status: u16) -> bool {
    let is_tunnel = method == "CONNECT" && status == 200;
    method != "HEAD" && !is_tunnel && ![204, 304].contains(&status)
}

/// Envoy says that a listener is there shortly before it listens.
async fn connect(address: SocketAddr) -> TcpStream {
    let stream = in_time("a connection", async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    let stream = stream.await;
    stream.set_nodelay(true).unwrap();
    stream
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(LIMIT, future).await;
    outcome.unwrap_or_else(|_| panic!("{what}: not within {} s", LIMIT.as_secs()))
}
