//! Pages in a real Chromium. Each test starts what its pages talk to, and then a test file of Node's own
//! runner, which drives the browser.

mod corpus;
mod example;
mod lists;
