//! The browser example, at the real issuer.

use postern_tests::{Issuer, PageServer};
use tempfile::TempDir;

use crate::{
    node::{npm_package, run},
    shop::{DOMAIN, PASSWORD, USERNAME},
};

/// A domain whose tokens live for ten seconds.
const QUICK: &str = "quick";
/// A user who forgets passwords.
const FORGETFUL: &str = "bob";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_signs_in_verifies_refreshes_and_logs_out() {
    let folder = TempDir::new().unwrap();
    let pages = PageServer::start(&npm_package(), folder.path()).await.unwrap();
    let mut issuer = Issuer::new(folder.path()).unwrap();
    issuer.allow_origin(pages.origin());
    issuer.domain_create(DOMAIN, &[]).unwrap();
    issuer.domain_create(QUICK, &["--token-lifetime", "10"]).unwrap();
    for (domain, username) in [(DOMAIN, USERNAME), (DOMAIN, FORGETFUL), (QUICK, USERNAME)] {
        issuer.user_create(domain, username, PASSWORD).unwrap();
    }
    issuer.start().await.unwrap();
    run(
        "tests/browser/example.mjs",
        &[
            ("POSTERN_PAGES", pages.origin()),
            ("POSTERN_ISSUER", &issuer.url()),
            ("POSTERN_PASSWORD", PASSWORD),
        ],
    );
}
