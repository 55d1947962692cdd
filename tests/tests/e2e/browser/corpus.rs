//! The verdict corpus, run by the npm package in a page.

use postern_tests::PageServer;
use tempfile::TempDir;

use crate::node::{npm_package, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_has_its_verdict_in_a_page() {
    let folder = TempDir::new().unwrap();
    let pages = PageServer::start(&npm_package(), folder.path()).await.unwrap();
    run("tests/browser/corpus.mjs", &[("POSTERN_PAGES", pages.origin())]);
}
