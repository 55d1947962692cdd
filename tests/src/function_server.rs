//! A Lambda function in this process, called as through a local Lambda runtime: an event is posted,
//! its result is the answer.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Failure;

/// An HTTP/1.1 server in this process, until it is dropped.
#[derive(Debug)]
pub struct FunctionServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FunctionServer {
    /// Listens on a free port of the loopback interface. `function` gets each event; what it fails
    /// with is answered as Lambda does it.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start<F, R>(function: F) -> Result<Self, Failure>
    where
        F: Fn(Value) -> R + Clone + Send + 'static,
        R: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let failed = || Failure::while_doing("a function's server cannot listen");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        Ok(Self { address, task: tokio::spawn(serve(listener, function)) })
    }

    /// Where events are posted to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/2015-03-31/functions/rotation/invocations", self.address)
    }
}

impl Drop for FunctionServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<F, R>(listener: TcpListener, function: F)
where
    F: Fn(Value) -> R + Clone + Send + 'static,
    R: Future<Output = Result<Value, String>> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let function = function.clone();
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let function = function.clone();
            async move {
                // An error is a caller that has gone away.
                let body = request.into_body().collect().await.unwrap_or_default().to_bytes();
                let event = serde_json::from_slice(&body).unwrap_or_default();
                Ok::<_, Infallible>(answer(function(event).await))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

fn answer(result: Result<Value, String>) -> hyper::Response<Full<Bytes>> {
    let body = match &result {
        Ok(value) => value.clone(),
        Err(error) => json!({ "errorMessage": error }),
    };
    let mut answer = hyper::Response::new(Full::new(Bytes::from(body.to_string())));
    if result.is_err() {
        let kind = HeaderValue::from_static("Unhandled");
        answer.headers_mut().insert("x-amz-function-error", kind);
    }
    answer
}
