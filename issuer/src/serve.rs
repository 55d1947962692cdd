//! Running the router on a port.

use std::{future::IntoFuture, io, time::Duration};

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

/// Answers requests until SIGTERM or SIGINT, then finishes those that are open, for at most
/// ten seconds.
///
/// # Errors
///
/// When signals cannot be received or the listener fails.
pub async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        let _ = stopping.send(());
    };
    let limit = async {
        match stopped.await {
            Ok(()) => sleep(SHUTDOWN_LIMIT).await,
            Err(_) => std::future::pending().await,
        }
    };
    select! {
        result = axum::serve(listener, router).with_graceful_shutdown(stop).into_future() => result,
        () = limit => Ok(()),
    }
}
