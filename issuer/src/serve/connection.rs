//! One connection: HTTP/1.1, within its limits.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::Watcher,
    service::TowerToHyperService,
};
use tokio::net::TcpStream;

use super::{Limits, stalled_write::StalledWrite};

/// Bounds the head of a request. The filter that stands in front may pass on 60 KiB of headers.
const BUFFER_BYTES: usize = 64 * 1024;

/// Answers the requests of a connection until it ends, by either side.
pub(super) async fn answer(stream: TcpStream, router: Router, limits: Limits, watcher: Watcher) {
    // Answers are small and written at once: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(StalledWrite::new(stream, limits.write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(stream, TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}
