//! After the tour: everything stays up, with lines to copy.

use std::time::Duration;

use super::stage::{DOMAIN, PASSWORD, Stage, USERNAME};
use super::{Options, Tour};
use crate::Failure;

impl Tour {
    /// Watches over the programs until one of them ends: never, when all is well.
    pub(super) async fn stay(&mut self, options: &Options) -> Result<(), Failure> {
        print!("{}", hints(options));
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            self.still_running()?;
        }
    }

    fn still_running(&mut self) -> Result<(), Failure> {
        let Stage { envoy, issuer, worker, .. } = &mut self.stage;
        let ended = envoy.ended().or_else(|| issuer.ended()).or_else(|| worker.ended());
        ended.map_or(Ok(()), Err)
    }
}

fn hints(options: &Options) -> String {
    let Options { gate, issuer, upstream, admin, worker, .. } = options;
    format!(
        r#"
Everything stays up until Ctrl-C.

   gate      http://127.0.0.1:{gate}/api/orders
   Worker    http://127.0.0.1:{worker}/api/orders
   issuer    http://127.0.0.1:{issuer}/{DOMAIN}/.well-known/jwks.json
   upstream  http://127.0.0.1:{upstream}
   admin     http://127.0.0.1:{admin}

Copy and paste:

   # log in
   TOKEN=$(curl -s http://127.0.0.1:{issuer}/login -H 'content-type: application/json' \
     -d '{{"domain":"{DOMAIN}","username":"{USERNAME}","password":"{PASSWORD}"}}' \
     | python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])')

   # through the gate, without and with the token
   curl -i http://127.0.0.1:{gate}/api/orders
   curl -i http://127.0.0.1:{gate}/api/orders -H "Authorization: Bearer $TOKEN"
   curl -i http://127.0.0.1:{worker}/api/orders -H "Authorization: Bearer $TOKEN"

   # refresh
   TOKEN=$(curl -s http://127.0.0.1:{issuer}/refresh -H "Authorization: Bearer $TOKEN" \
     | python3 -c 'import json,sys; print(json.load(sys.stdin)["token"])')

   # log out
   curl -i -X POST http://127.0.0.1:{issuer}/logout -H "Authorization: Bearer $TOKEN"
"#
    )
}
