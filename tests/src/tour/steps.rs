//! The steps of the tour, each with what it expects.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use hyper::Method;
use serde_json::{Value, json};

use super::Tour;
use super::stage::{DOMAIN, OTHER_DOMAIN, PASSWORD, USERNAME};
use crate::{Failure, Request, Seen, base64url, claims_of, workspace_root};

const API: &str = "/api/orders";

impl Tour {
    pub(super) async fn show(&mut self) -> Result<(), Failure> {
        self.without_token().await?;
        let why = "The issuer checks the password and starts a session.";
        self.transcript.heading(&format!("Log in at `{DOMAIN}`"), why);
        let token = self.login(DOMAIN).await?;
        self.through_the_gate(&token).await?;
        self.fake_identity(&token).await?;
        self.forged(&token).await?;
        self.everywhere(&token).await?;
        self.other_domain().await?;
        let token = self.refresh(&token).await?;
        self.rotation(&token).await?;
        self.logout(&token).await?;
        println!("\nThe tour is complete: every answer was the expected one.");
        Ok(())
    }

    async fn without_token(&mut self) -> Result<(), Failure> {
        let why = "The gate answers by itself; the upstream does not see the request.";
        self.transcript.heading("No token", why);
        let before = self.stage.upstream.requests();
        let answer = self.transcript.ask(self.stage.gate(), Request::get(API)).await?;
        self.transcript.denied(&answer, 401, "token_missing")?;
        let reached = self.stage.upstream.requests() - before;
        self.transcript.expect("requests that reached the upstream", &0, &reached)?;
        let answer = self.transcript.ask(self.stage.gate(), Request::get("/unlisted")).await?;
        self.transcript.denied(&answer, 403, "no_matching_rule")
    }

    async fn login(&mut self, domain: &str) -> Result<String, Failure> {
        let body = json!({ "domain": domain, "username": USERNAME, "password": PASSWORD });
        let answer =
            self.transcript.ask(self.stage.issuer.client(), Request::post("/login", &body)).await?;
        self.transcript.token(&answer)
    }

    async fn through_the_gate(&mut self, token: &str) -> Result<(), Failure> {
        let why = "The upstream gets the user's identity as headers, and no token.";
        self.transcript.heading("The token, through the gate", why);
        let request = Request::get(API).bearer(token);
        let seen = self.passes(request).await?;
        self.transcript.identity(&seen, token)?;
        self.transcript.expect("tokens at the upstream", &0, &seen.all("authorization").len())
    }

    async fn fake_identity(&mut self, token: &str) -> Result<(), Failure> {
        let why = "What a client claims to be is removed before the gate writes who it is.";
        self.transcript.heading("An identity header of the client's own making", why);
        let request = Request::get(API)
            .header("x-user-id", "admin")
            .header("x-user-name", "admin")
            .bearer(token);
        let seen = self.passes(request).await?;
        self.transcript.identity(&seen, token)
    }

    async fn forged(&mut self, token: &str) -> Result<(), Failure> {
        let why = "The same token with another user in its claims: the signature does not fit.";
        self.transcript.heading("A forged token", why);
        let forged = with_claim(token, "sub", "admin")?;
        let answer =
            self.transcript.ask(self.stage.gate(), Request::get(API).bearer(&forged)).await?;
        self.transcript.denied(&answer, 401, "signature_invalid")
    }

    async fn everywhere(&mut self, token: &str) -> Result<(), Failure> {
        let why = "The token passes all three, and the forged one is refused for the same reason.";
        self.transcript.heading("The same in the Worker and in Node", why);
        let request = Request::get(API).bearer(token);
        let answer = self.transcript.ask(self.stage.worker.client(), request).await?;
        self.transcript.expect("status", &200, &answer.status)?;
        self.transcript.identity(&Seen::read(&answer)?, token)?;
        let subject =
            claims_of(token).get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let issuer = format!("{}/{DOMAIN}", self.stage.issuer.url());
        self.transcript.expect("what Node says", &subject, &self.in_node(&issuer, token, true)?)?;
        let forged = with_claim(token, "sub", "admin")?;
        let request = Request::get(API).bearer(&forged);
        let answer = self.transcript.ask(self.stage.worker.client(), request).await?;
        self.transcript.denied(&answer, 401, "signature_invalid")?;
        let code = self.in_node(&issuer, &forged, false)?;
        self.transcript.expect("what Node says", &"signature_invalid".to_owned(), &code)
    }

    /// What the npm package makes of a token: its subject, or the code of its refusal.
    fn in_node(&self, issuer: &str, token: &str, is_shown: bool) -> Result<String, Failure> {
        if is_shown {
            self.transcript.command("echo $TOKEN | node --input-type=module --eval '");
            let (create, verify) = ONE_LINER;
            self.transcript.note(&format!("    {create}"));
            self.transcript.note(&format!("    {verify}'"));
        } else {
            self.transcript.command("echo $FORGED | node … # the same");
        }
        verify_in_node(issuer, token)
    }

    async fn other_domain(&mut self) -> Result<(), Failure> {
        let why = "It is genuine, and good at `blog`; this gate trusts `shop` only.";
        self.transcript.heading("The token of another domain", why);
        let token = self.login(OTHER_DOMAIN).await?;
        let answer =
            self.transcript.ask(self.stage.gate(), Request::get(API).bearer(&token)).await?;
        self.transcript.denied(&answer, 401, "issuer_unknown")
    }

    async fn refresh(&mut self, token: &str) -> Result<String, Failure> {
        let why = "A token buys its successor once; the session goes on.";
        self.transcript.heading("Refresh", why);
        let request = Request::get("/refresh").bearer(token);
        let answer = self.transcript.ask(self.stage.issuer.client(), request).await?;
        let fresh = self.transcript.token(&answer)?;
        if fresh == token {
            return Err(Failure::new("expected a new token, got the old one"));
        }
        let seen = self.passes(Request::get(API).bearer(&fresh)).await?;
        self.transcript.identity(&seen, &fresh)?;
        Ok(fresh)
    }

    async fn rotation(&mut self, old: &str) -> Result<(), Failure> {
        let why = "The next key was published before it signs: old and new tokens both pass.";
        self.transcript.heading("Rotate the domain's keys", why);
        self.transcript.command(&format!("postern keys rotate {DOMAIN}"));
        self.stage.issuer.keys_rotate(DOMAIN)?;
        let new = self.login(DOMAIN).await?;
        let (before, after) = (key_id(old), key_id(&new));
        if before == after {
            return Err(Failure::new(format!("expected another key than `{before}` to sign")));
        }
        self.transcript.seen(&format!("the key {before:.8}… signed before, {after:.8}… signs now"));
        for token in [old, &new] {
            let seen = self.passes(Request::get(API).bearer(token)).await?;
            self.transcript.identity(&seen, token)?;
        }
        Ok(())
    }

    async fn logout(&mut self, token: &str) -> Result<(), Failure> {
        let why = "The session has ended: its token cannot be refreshed.";
        self.transcript.heading("Log out", why);
        let request = Request::get("/logout").method(Method::POST).bearer(token);
        let answer = self.transcript.ask(self.stage.issuer.client(), request).await?;
        self.transcript.expect("status", &204, &answer.status)?;
        let request = Request::get("/refresh").bearer(token);
        let answer = self.transcript.ask(self.stage.issuer.client(), request).await?;
        self.transcript.expect("status", &401, &answer.status)
    }
}

/// What the steps are made of.
impl Tour {
    async fn passes(&self, request: Request) -> Result<Seen, Failure> {
        self.transcript.passes(self.stage.gate(), request).await
    }
}

/// What an application does with a token on its standard input.
const ONE_LINER: (&str, &str) = (
    "const verifier = await createVerifier({ issuer: process.env.ISSUER, audience: \"shop\" });",
    "console.log(await verifier.verify(token).then(({ claims }) => claims.sub, ({ code }) => code));",
);

fn verify_in_node(issuer: &str, token: &str) -> Result<String, Failure> {
    let package = std::env::var_os("POSTERN_NPM_PACKAGE")
        .map_or_else(|| workspace_root().join("dist/npm"), PathBuf::from);
    let import = json!(package.join("node.mjs").display().to_string());
    let read =
        "import { text } from \"node:stream/consumers\"; const token = await text(process.stdin);";
    let (create, verify) = ONE_LINER;
    let script = format!("import {{ createVerifier }} from {import}; {read}\n{create}\n{verify}");
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", &script]).env("ISSUER", issuer);
    let mut node = node
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::while_doing("node"))?;
    if let Some(mut stdin) = node.stdin.take() {
        stdin.write_all(token.as_bytes()).map_err(Failure::while_doing("node"))?;
    }
    let output = node.wait_with_output().map_err(Failure::while_doing("node"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The token with one claim changed and the signature of the original.
pub(super) fn with_claim(token: &str, claim: &str, value: &str) -> Result<String, Failure> {
    let mut claims = claims_of(token);
    if let Some(members) = claims.as_object_mut() {
        members.insert(claim.to_owned(), value.into());
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, _, signature] = parts.as_slice() else {
        return Err(Failure::new("the issuer's token has not three parts"));
    };
    Ok(format!("{header}.{}.{signature}", base64url(claims.to_string())))
}

pub(super) fn key_id(token: &str) -> String {
    let header = token.split('.').next().unwrap_or_default();
    // The header has the form of claims: JSON in base64url.
    let header = claims_of(&format!(".{header}"));
    header.get("kid").and_then(Value::as_str).unwrap_or_default().to_owned()
}
