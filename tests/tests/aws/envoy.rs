//! Envoy in front of a service, with the keys of the issuer on AWS.

use postern_tests::Failure;
use postern_tests::tour::{Options, Tour};

#[tokio::test]
async fn the_tour_of_aws_has_no_surprises() -> Result<(), Failure> {
    let options = Options::parse(["--aws".to_owned()]).map_err(Failure::new)?;
    Tour::run(&options).await
}
