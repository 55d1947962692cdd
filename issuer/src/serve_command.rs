//! `postern serve`.

use std::{fmt::Write, future::pending, io, sync::Arc};

use postern_issuer::{
    EdgePush, Issuer, IssuerUrl, Ports, metrics_router, router, serve, stop_signal,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    arguments::Serve,
    command::{Outcome, print},
};

/// Runs the service until it is told to stop.
pub(crate) async fn run(ports: Ports, settings: Serve) -> Outcome {
    let Serve { listen, issuer_url, token_header, allow_origin, metrics_listen } = settings;
    let listener = bind(&listen).await?;
    let address = listener.local_addr()?;
    let metrics = match metrics_listen {
        Some(listen) => Some(bind(&listen).await?),
        None => None,
    };
    let url = match issuer_url {
        Some(url) => url,
        None => format!("http://{address}").parse::<IssuerUrl>()?,
    };
    let issuer = Arc::new(Issuer::new(ports, url));
    let router = router(Arc::clone(&issuer), token_header, &allow_origin);
    // Who reads that line may send the signal at once.
    let stop = stop_signal()?;
    let mut started = format!("listening on http://{address}\n");
    let mut beside = JoinSet::new();
    if let Some(metrics) = metrics {
        let _ = writeln!(started, "metrics on http://{}/metrics", metrics.local_addr()?);
        beside.spawn(serve(metrics, metrics_router(Arc::clone(&issuer)), pending()));
    }
    print(&started)?;
    match EdgePush::new(issuer) {
        Ok(push) => {
            beside.spawn(async {
                push.run().await;
                Ok(())
            });
        }
        // Edges ask by themselves, too.
        Err(error) => tracing::warn!(%error, "edges are not told of changes"),
    }
    Ok(serve(listener, router, stop).await?)
}

async fn bind(listen: &str) -> Outcome<TcpListener> {
    let bound = TcpListener::bind(listen).await;
    Ok(bound.map_err(|error| format!("cannot listen on `{listen}`: {}", reason(&error)))?)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is taken".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
