//! The issuer, as a process of its own on an embedded database.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::process::Process;
use crate::{Client, Failure, Protocol, Request, Response, postern_program, wait_until};

const START_LIMIT: Duration = Duration::from_secs(20);

/// The issuer's data, and its server while that runs.
#[derive(Debug)]
pub struct Issuer {
    folder: PathBuf,
    port: u16,
    allowed_origin: Option<String>,
    /// The environment that leads to AWS, where its data is there.
    aws: Option<Vec<(&'static str, String)>>,
    server: Option<Process>,
}

impl Issuer {
    /// An issuer that keeps its data and its log in `folder` and does not serve yet.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        Ok(Self::on_port(folder, free_port()?))
    }

    /// The same, on a port that is given.
    #[must_use]
    pub fn on_port(folder: &Path, port: u16) -> Self {
        let folder = folder.to_owned();
        Self { folder, port, allowed_origin: None, aws: None, server: None }
    }

    /// One that keeps its data on AWS, where `variables` lead it; in `folder` is only its log.
    ///
    /// # Errors
    /// When no port is free.
    pub fn on_aws(folder: &Path, variables: Vec<(&'static str, String)>) -> Result<Self, Failure> {
        Ok(Self { aws: Some(variables), ..Self::new(folder)? })
    }

    /// The port that it serves, or will serve.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets pages of `origin` log in, from the next start on.
    pub fn allow_origin(&mut self, origin: &str) {
        self.allowed_origin = Some(origin.to_owned());
    }

    /// The URL that its domains' issuers begin with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A client of the server.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Protocol::Http1, SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    /// Starts the server, or starts it again on the same data, and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready within 20 s. The message holds the end of its log.
    pub async fn start(&mut self) -> Result<(), Failure> {
        let mut command = Command::new(postern_program()?);
        command.arg("serve").args(self.place()).envs(self.environment());
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--issuer-url", &self.url()]).env("RUST_LOG", "debug");
        if let Some(origin) = &self.allowed_origin {
            command.args(["--allow-origin", origin]);
        }
        let mut server = Process::start("the issuer", &mut command, &self.log_file())?;
        let client = self.client();
        let deadline = std::time::Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = server.ended() {
                return Err(server.failure(&format!("ended at its start with {status}")));
            }
            if client.send(Request::get("/readyz")).await.is_ok_and(|answer| answer.status == 200) {
                break;
            }
            if std::time::Instant::now() > deadline {
                return Err(server.failure("was not ready in 20 s"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.server = Some(server);
        Ok(())
    }

    /// Ends the server with SIGKILL: it has no chance to finish anything.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Ends the server with SIGTERM.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// How the server ended, when it has.
    pub fn ended(&mut self) -> Option<Failure> {
        let server = self.server.as_mut()?;
        server.ended().map(|status| server.failure(&format!("ended with {status}")))
    }

    /// All that the server has logged, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Creates a domain; `options` are more arguments of `postern domain create`.
    ///
    /// # Errors
    /// When the command fails.
    pub fn domain_create(&self, domain: &str, options: &[&str]) -> Result<String, Failure> {
        self.postern(&[&["domain", "create", domain], options].concat(), "")
    }

    /// Creates a user; the password goes through standard input.
    ///
    /// # Errors
    /// When the command fails.
    pub fn user_create(
        &self,
        domain: &str,
        username: &str,
        password: &str,
    ) -> Result<String, Failure> {
        self.postern(&["user", "create", domain, username], &format!("{password}\n"))
    }

    /// Rotates a domain's keys.
    ///
    /// # Errors
    /// When the command fails.
    pub fn keys_rotate(&self, domain: &str) -> Result<String, Failure> {
        self.postern(&["keys", "rotate", domain], "")
    }

    /// Runs `postern` on this issuer's data and returns what it prints.
    ///
    /// # Errors
    /// When the command fails.
    pub fn postern(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let place = self.place();
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        run_postern(&[arguments, &place].concat(), &self.environment(), input)
    }

    /// Runs a command that may wait for long, and ends it when `has_to_end` says so. Whether it came to
    /// its own end.
    ///
    /// # Errors
    /// When the command fails.
    pub fn postern_until(
        &self,
        arguments: &[&str],
        has_to_end: impl Fn() -> bool,
    ) -> Result<bool, Failure> {
        let mut command = Command::new(postern_program()?);
        command.args(arguments).args(self.place()).envs(self.environment());
        let name = arguments.join("-");
        let log = self.folder.join(format!("{name}.log"));
        let mut process = Process::start("postern", &mut command, &log)?;
        loop {
            match process.ended() {
                Some(status) if status.success() => return Ok(true),
                Some(_) => return Err(process.failure("failed")),
                None if has_to_end() => return Ok(false),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Logs a user in.
    ///
    /// # Errors
    /// When there is no answer; a refusal is an answer.
    pub async fn login(
        &self,
        domain: &str,
        username: &str,
        password: &str,
    ) -> Result<Response, Failure> {
        let body = json!({ "domain": domain, "username": username, "password": password });
        self.client().send(Request::post("/login", &body)).await
    }

    /// Logs a user in and returns the token.
    ///
    /// # Errors
    /// When the answer is not a token.
    pub async fn token(
        &self,
        domain: &str,
        username: &str,
        password: &str,
    ) -> Result<String, Failure> {
        token_of(&self.login(domain, username, password).await?)
    }

    /// Trades a token for its successor.
    ///
    /// # Errors
    /// When there is no answer; a refusal is an answer.
    pub async fn refresh(&self, token: &str) -> Result<Response, Failure> {
        self.client().send(Request::get("/refresh").bearer(token)).await
    }

    /// Waits until the public key set satisfies `check`.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub async fn wait_for_keys(
        &self,
        domain: &str,
        limit: Duration,
        check: impl Fn(&Response) -> bool,
    ) -> Result<(), Failure> {
        let target = format!("/{domain}/.well-known/jwks.json");
        wait_until("the key set", limit, || async {
            self.client().send(Request::get(&target)).await.is_ok_and(|keys| check(&keys))
        })
        .await
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("issuer.log")
    }

    /// The arguments that say where the data is.
    fn place(&self) -> Vec<String> {
        if self.aws.is_some() {
            return vec!["--aws".to_owned()];
        }
        let data = self.folder.join("data");
        vec!["--data-dir".to_owned(), data.to_string_lossy().into_owned()]
    }

    /// What leads its commands to AWS, where its data is there.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        self.aws.clone().unwrap_or_default()
    }
}

/// Runs `postern` to its end, with more variables in its environment, and returns what it prints.
pub(crate) fn run_postern(
    arguments: &[&str],
    variables: &[(&str, String)],
    input: &str,
) -> Result<String, Failure> {
    let failed = || Failure::while_doing("running postern");
    let mut child = Command::new(postern_program()?)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads no input may have ended already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`postern {}` failed: {text}{error}", arguments.join(" "))))
}

fn token_of(answer: &Response) -> Result<String, Failure> {
    let token = answer.text("token");
    if answer.status == 200 && !token.is_empty() {
        return Ok(token);
    }
    Err(Failure::new(format!("expected a token, got {}: {}", answer.status, answer.body)))
}

/// A port below the range from which the system serves "any port": between our look at it and
/// the server's start, nothing but another test of ours could take it.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let start = 20_000 + (std::process::id() % 1000) * 10;
    let candidates = (start..start + 10).chain(20_000..30_000);
    candidates
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| Failure::new("no port is free"))
}
