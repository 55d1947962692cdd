//! Status lists, fetched by a page.

use postern_tests::PageServer;
use tempfile::TempDir;

use crate::{
    node::{npm_package, run},
    npm::tools,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_fetches_status_lists_as_it_does_keys() {
    let folder = TempDir::new().unwrap();
    let pages = PageServer::start(&npm_package(), folder.path()).await.unwrap();
    let tools = tools("POSTERN_NPM_TOOLS", "npm-package");
    let variables = [("POSTERN_PAGES", pages.origin()), ("POSTERN_NPM_TOOLS", &tools)];
    run("tests/browser/lists.mjs", &variables);
}
