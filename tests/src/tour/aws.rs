//! The tour of the issuer on AWS: API Gateway, Lambda, DynamoDB and Secrets Manager, emulated, and a
//! real Envoy that takes its keys from there.

use std::time::Duration;

use serde_json::json;

use super::stage::{DOMAIN, PASSWORD, USERNAME};
use super::steps::{key_id, with_claim};
use super::transcript::Transcript;
use crate::{
    Cloud, Envoy, EnvoyConfig, Failure, Protocol, Request, Upstream, claims_of, wait_until,
};

const API: &str = "/api/orders";
/// What the service behind API Gateway and the authorizer has.
const ORDERS: &str = "/orders";
/// How long Envoy may take to notice that a key was withdrawn: the lifetime of its key set, and a
/// fetch.
const WITHDRAWAL_LIMIT: Duration = Duration::from_secs(20);
const JWKS_MAX_AGE: &str = "5";
/// So many refusals in a row come from all of its threads.
const SENT_IN_A_ROW: usize = 20;

/// Shows the tour once.
///
/// # Errors
/// At the first surprise.
pub(super) async fn show(transcript: Transcript) -> Result<(), Failure> {
    let mut tour = AwsTour::open(transcript).await?;
    let token = tour.login().await?;
    tour.authorizer(&token).await?;
    tour.gate(&token).await?;
    let token = tour.refresh(&token).await?;
    let token = tour.rotation(&token).await?;
    tour.too_soon().await?;
    tour.withdrawal(&token).await?;
    println!("\nThe tour is complete: every answer was the expected one.");
    Ok(())
}

struct AwsTour {
    envoy: Envoy,
    cloud: Cloud,
    // The service behind both gates.
    _upstream: Upstream,
    transcript: Transcript,
}

impl AwsTour {
    async fn open(mut transcript: Transcript) -> Result<Self, Failure> {
        transcript.heading("Set-up", "One program in three roles: issuer, authorizer, rotation.");
        let upstream = Upstream::start(0).await?;
        let cloud = Cloud::start(upstream.port(), DOMAIN).await?;
        let domain = ["domain", "create", DOMAIN, "--jwks-max-age", JWKS_MAX_AGE];
        let user = ["user", "create", DOMAIN, USERNAME];
        transcript.command("postern --aws table create");
        for (command, input) in [(domain.as_slice(), ""), (&user, PASSWORD)] {
            transcript.command(&format!("postern --aws {}", command.join(" ")));
            cloud.postern(command, &format!("{input}\n"))?;
        }
        transcript.note(&format!("API Gateway  {}", cloud.api.url()));
        let envoy = Envoy::start(&config(&cloud, upstream.port())?).await?;
        transcript.note(&format!("Envoy        http://{}", envoy.gate()));
        Ok(Self { envoy, cloud, _upstream: upstream, transcript })
    }

    async fn login(&mut self) -> Result<String, Failure> {
        let why = "Through API Gateway to the function; the session is a row in DynamoDB.";
        self.transcript.heading("Log in", why);
        self.logged_in().await
    }

    async fn authorizer(&mut self, token: &str) -> Result<(), Failure> {
        let why = "API Gateway asks the authorizer; the service needs no code for it.";
        self.transcript.heading("A service behind the Lambda authorizer", why);
        let answer = self.ask(Request::get(ORDERS)).await?;
        self.transcript.expect("status", &401, &answer.status)?;
        let answer = self.ask(Request::get(ORDERS).bearer(token)).await?;
        self.transcript.expect("status", &200, &answer.status)?;
        // AWS makes a 401 of what the authorizer says to it; the emulator makes a 500.
        let forged = with_claim(token, "sub", "admin")?;
        let answer = self.ask(Request::get(ORDERS).bearer(&forged)).await?;
        let refused = matches!(answer.status, 401 | 500);
        self.transcript.expect("a forged token is refused", &true, &refused)
    }

    async fn gate(&mut self, token: &str) -> Result<(), Failure> {
        let why = "The same token at Envoy, which fetched the keys through API Gateway.";
        self.transcript.heading("A service behind Envoy", why);
        self.passes(token).await?;
        let forged = with_claim(token, "sub", "admin")?;
        let request = Request::get(API).bearer(&forged);
        let answer = self.transcript.ask(self.envoy.client(Protocol::Http1), request).await?;
        self.transcript.denied(&answer, 401, "signature_invalid")
    }

    async fn refresh(&mut self, token: &str) -> Result<String, Failure> {
        let why = "One conditional write decides who gets the next token.";
        self.transcript.heading("Refresh", why);
        let answer = self.ask(Request::get("/refresh").bearer(token)).await?;
        let fresh = self.transcript.token(&answer)?;
        self.passes(&fresh).await?;
        Ok(fresh)
    }

    async fn rotation(&mut self, old: &str) -> Result<String, Failure> {
        let why = "createSecret, setSecret, testSecret, finishSecret: no request notices.";
        self.transcript.heading("Secrets Manager rotates the keys", why);
        self.transcript.command(&format!(
            "aws secretsmanager rotate-secret --secret-id postern/prod/{DOMAIN}"
        ));
        self.cloud.rotate(DOMAIN).await?;
        let new = self.logged_in().await?;
        let (before, after) = (key_id(old), key_id(&new));
        if before == after {
            return Err(Failure::new(format!("expected another key than `{before}` to sign")));
        }
        self.transcript.seen(&format!("the key {before:.8}… signed before, {after:.8}… signs now"));
        self.passes(old).await?;
        self.passes(&new).await?;
        Ok(new)
    }

    async fn too_soon(&mut self) -> Result<(), Failure> {
        let why = "Some cache may not have the key yet that would sign next: testSecret refuses.";
        self.transcript.heading("Another rotation, at once", why);
        match self.cloud.rotate(DOMAIN).await {
            Ok(()) => Err(Failure::new("expected the rotation to be refused")),
            Err(refusal) if refusal.to_string().contains("known everywhere") => {
                self.transcript.seen("refused until every cache can know the next key");
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    async fn withdrawal(&mut self, token: &str) -> Result<(), Failure> {
        let why = "At the issuer at once, at Envoy when it looks for keys again.";
        self.transcript.heading("A key was stolen: withdraw it", why);
        let command = ["keys", "rotate", DOMAIN, "--compromised"];
        self.transcript.command(&format!("postern --aws {}", command.join(" ")));
        self.cloud.postern(&command, "")?;
        let answer = self.ask(Request::get("/auth").bearer(token)).await?;
        self.transcript.expect("status", &403, &answer.status)?;
        let gate = self.envoy.client(Protocol::Http1);
        let request = Request::get(API).bearer(token);
        // Each of Envoy's threads finds out for itself.
        wait_until("the withdrawal at Envoy", WITHDRAWAL_LIMIT, || async {
            for _ in 0..SENT_IN_A_ROW {
                if gate.send(request.clone()).await.is_ok_and(|answer| answer.status != 401) {
                    return false;
                }
            }
            true
        })
        .await?;
        let answer = self.transcript.ask(gate, request).await?;
        self.transcript.denied(&answer, 401, "key_unknown")?;
        let fresh = self.logged_in().await?;
        self.passes(&fresh).await
    }

    /// A token that Envoy lets through, with the identity that it gives the upstream.
    async fn passes(&self, token: &str) -> Result<(), Failure> {
        let gate = self.envoy.client(Protocol::Http1);
        let seen = self.transcript.passes(gate, Request::get(API).bearer(token)).await?;
        self.transcript.identity(&seen, token)
    }

    async fn logged_in(&self) -> Result<String, Failure> {
        let body = json!({ "domain": DOMAIN, "username": USERNAME, "password": PASSWORD });
        let answer = self.ask(Request::post("/login", &body)).await?;
        let token = self.transcript.token(&answer)?;
        let issuer = claims_of(&token).get("iss").cloned().unwrap_or_default();
        let expected = format!("{}/{DOMAIN}", self.cloud.api.url());
        self.transcript.expect("iss", &json!(expected), &issuer)?;
        Ok(token)
    }

    async fn ask(&self, request: Request) -> Result<crate::Response, Failure> {
        let response = self.cloud.api.send(request.clone()).await?;
        self.transcript.exchange(&request, &response);
        Ok(response)
    }
}

/// `envoy.yaml`, with the issuer behind API Gateway.
fn config(cloud: &Cloud, upstream: u16) -> Result<EnvoyConfig, Failure> {
    let config = EnvoyConfig::for_test(cloud.port(), upstream)?;
    let here = format!("http://127.0.0.1:{}/", cloud.port());
    config.replace(&here, &format!("{}/", cloud.api.url()))
}
