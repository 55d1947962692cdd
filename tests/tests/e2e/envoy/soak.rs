//! A minute of `cargo xtask soak`, with less load.

use postern_tests::soak::{self, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_verdict_is_wrong_while_keys_rotate_the_issuer_dies_and_sessions_end() {
    let report = soak::run(Options::short()).await.unwrap();
    println!("{report}");
    assert_eq!(report.faults(), Vec::<String>::new());
}
