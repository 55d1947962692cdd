//! A server of a key set that answers when it is told to: slowness that no issuer shows by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Failure;

/// An HTTP/1.1 server in this process, until it is dropped. It begins by keeping everyone waiting.
#[derive(Debug)]
pub struct KeyServer {
    address: SocketAddr,
    answering: watch::Sender<bool>,
    requests: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl KeyServer {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(key_set: &Value) -> Result<Self, Failure> {
        let failed = || Failure::while_doing("the key server cannot listen");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let (answering, told) = watch::channel(false);
        let requests = Arc::default();
        let key_set = Bytes::from(key_set.to_string());
        let task = tokio::spawn(serve(listener, key_set, told, Arc::clone(&requests)));
        Ok(Self { address, answering, requests, task })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Answers everyone who waits, and from now on at once.
    pub fn answer(&self) {
        self.answering.send_replace(true);
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    key_set: Bytes,
    told: watch::Receiver<bool>,
    requests: Arc<AtomicU64>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (key_set, told, requests) = (key_set.clone(), told.clone(), Arc::clone(&requests));
        let answer = service_fn(move |_| {
            requests.fetch_add(1, Ordering::SeqCst);
            let (key_set, mut told) = (key_set.clone(), told.clone());
            async move {
                // An error means that the test is over.
                let _ = told.wait_for(|answering| *answering).await;
                Ok::<_, Infallible>(hyper::Response::new(Full::new(key_set)))
            }
        });
        let server = http1::Builder::new();
        tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
    }
}
