//! The service behind the gates: keeps the bytes of the last request that reached it. It reads them
//! itself, since a library would refuse some of what Envoy lets through.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::client::{read_head, split_fields};

/// A server of this process, until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    last: Arc<Mutex<Option<Vec<u8>>>>,
    task: JoinHandle<()>,
}

/// What has gone upstream.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) target: Vec<u8>,
    /// All header fields in their order.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let last = Arc::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&last)));
        Self { address, last, task }
    }

    /// The request that has come since this was last asked.
    pub(crate) fn take(&self) -> Option<Arrived> {
        let head = self.last.lock().unwrap().take()?;
        let (line, fields) = split_fields(&head);
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        Some(Arrived { target: words[1..words.len() - 1].join(&b' '), fields })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, last: Arc<Mutex<Option<Vec<u8>>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&last)));
    }
}

async fn serve(mut stream: TcpStream, last: Arc<Mutex<Option<Vec<u8>>>>) {
    while let Some(head) = read_head(&mut stream).await {
        *last.lock().unwrap() = Some(head);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            break;
        }
    }
}
