//! Asking other servers over HTTP, by connections that stay open.

use std::io;

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// What asks. It follows no redirect.
pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector>, Body>;

/// One that trusts the certificates that the system trusts.
///
/// # Errors
///
/// When the system has none.
pub(crate) fn http_client() -> io::Result<HttpClient> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
