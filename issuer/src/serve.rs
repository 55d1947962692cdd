//! Running the router on a port.

use std::{
    future::{IntoFuture, pending},
    io,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::TcpListener,
    select,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::sleep,
};

/// How long open requests may take once the process is told to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// Answers requests until `stop`, then finishes those that are open, for at most ten seconds.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        tracing::info!("stopping");
        let _ = stopping.send(());
    };
    let limit = async {
        match stopped.await {
            Ok(()) => sleep(SHUTDOWN_LIMIT).await,
            Err(_) => pending().await,
        }
    };
    select! {
        ended = axum::serve(listener, router).with_graceful_shutdown(stop).into_future() => ended,
        () = limit => Ok(()),
    }
}

/// Ends with the first SIGTERM or SIGINT after this call.
///
/// # Errors
///
/// When signals cannot be received.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
