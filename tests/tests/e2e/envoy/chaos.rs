//! Half a minute of `cargo xtask chaos`, with the issuer on SQLite.

use postern_tests::chaos::{self, Options, Storage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_edge_errs_and_revocations_arrive_while_everything_around_them_fails() {
    let reports = chaos::run(&Options::short(Storage::Sqlite)).await.unwrap();
    for report in reports {
        println!("{report}");
        assert_eq!(report.faults(), Vec::<String>::new());
    }
}
