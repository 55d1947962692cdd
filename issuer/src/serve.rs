//! Running the router on a port.

mod connection;
mod stalled_write;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    pin, select,
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

/// How long to leave a listener alone that cannot accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a client may take of the server before it is cut off.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How many connections are open at once, which leaves room under the 1024 file descriptors
    /// that a process commonly has. Further ones wait in the listener's queue.
    connections: usize,
    /// How long a connection may take to send a head, and how long it may be idle before.
    head: Duration,
    /// How long it may not take any of an answer.
    write: Duration,
    /// How long open requests may take once the process is told to stop.
    shutdown: Duration,
}

impl Limits {
    const DEFAULT: Self = Self {
        connections: 512,
        head: Duration::from_secs(10),
        write: Duration::from_secs(30),
        shutdown: Duration::from_secs(10),
    };
}

/// Answers requests until `stop`, then finishes those that are open, for at most ten seconds.
///
/// At most 512 connections are open at once, and further ones wait. One that is idle, or does
/// not get its request's head across, is closed after 10 seconds; one that does not take its
/// answer, after 30. How long a request may take in all is the router's business.
///
/// # Errors
///
/// None at present: what fails is a connection's own, or passes.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_within(Limits::DEFAULT, listener, router, stop).await;
    Ok(())
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    pin!(stop);
    loop {
        let (stream, place) = select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        let connection = connection::answer(stream, router.clone(), limits, open.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    tracing::info!("stopping");
    if timeout(limits.shutdown, open.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off: they took too long to stop");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // Only a closed semaphore has no permit, and nothing closes this one.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
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

#[cfg(test)]
mod tests;
