//! HTTP/1.1 by hand: bytes as they are, many requests on one connection, some of them at once.

use std::net::SocketAddr;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::http::{connect, within_limit};
use crate::{Failure, Response};

/// A connection on which nothing is checked, and nothing is sent that the caller did not write.
#[derive(Debug)]
pub struct RawConnection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = BufReader::new(connect(address).await?);
        Ok(Self { address, stream })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let sent = self.stream.get_mut().write_all(bytes).await;
        sent.map_err(Failure::while_doing("sending bytes"))
    }

    /// Reads the next answer; none where the server has closed the connection before one. `bodiless`
    /// says that it is the answer to a HEAD.
    ///
    /// # Errors
    /// When the answer is not HTTP, or ends too early, or does not come within 20 s.
    pub async fn read(&mut self, bodiless: bool) -> Result<Option<Response>, Failure> {
        let address = self.address;
        within_limit(address, self.read_answer(bodiless)).await
    }

    /// Reads this many bytes.
    ///
    /// # Errors
    /// When there are fewer, or they do not come within 20 s.
    pub async fn read_bytes(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        let address = self.address;
        within_limit(address, self.exactly(count)).await
    }

    async fn read_answer(&mut self, bodiless: bool) -> Result<Option<Response>, Failure> {
        let Some(status_line) = self.line().await? else { return Ok(None) };
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| Failure::new(format!("no HTTP: {status_line}")))?;
        let headers = self.fields().await?;
        let bodiless = bodiless || status < 200 || status == 204 || status == 304;
        let body = if bodiless { Vec::new() } else { self.body(&headers).await? };
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some(Response { status, headers, body, trailers: HeaderMap::new() }))
    }

    async fn fields(&mut self) -> Result<HeaderMap, Failure> {
        let mut fields = HeaderMap::new();
        while let Some(line) = self.line().await?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
            let name: HeaderName = name.parse().map_err(Failure::while_doing("a header's name"))?;
            let value = HeaderValue::from_str(value);
            fields.append(name, value.map_err(Failure::while_doing("a header's value"))?);
        }
        Ok(fields)
    }

    async fn body(&mut self, headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
        let length = headers.get("content-length").and_then(|length| length.to_str().ok());
        if let Some(length) = length.and_then(|length| length.parse().ok()) {
            return self.exactly(length).await;
        }
        let mut body = Vec::new();
        loop {
            let size = self.line().await?.unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16);
            let size = size.map_err(Failure::while_doing("the size of a chunk"))?;
            body.extend(self.exactly(size).await?);
            self.line().await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; count];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map_err(Failure::while_doing("reading an answer"))?;
        Ok(bytes)
    }

    /// A line without its end; none at the end of the stream.
    async fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line).await {
            // A server that closes while there is something to read from us resets the connection.
            Err(_) | Ok(0) => Ok(None),
            Ok(_) => Ok(Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())),
        }
    }
}
