//! The `postern` command as a user runs it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";

fn postern(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).env("POSTERN_DATA_DIR", data_dir);
    command.env_remove("POSTERN_LISTEN").env_remove("POSTERN_ISSUER_URL");
    command.env_remove("POSTERN_ALLOW_ORIGIN");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run_with_input(data_dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = postern(data_dir, arguments).spawn().unwrap();
    // A command that needs no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn succeed(data_dir: &Path, arguments: &[&str], input: &str) -> String {
    let output = run_with_input(data_dir, arguments, input);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fail(data_dir: &Path, arguments: &[&str], input: &str, message: &str) {
    let output = run_with_input(data_dir, arguments, input);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors), (Some(1), format!("error: {message}\n")));
    assert_eq!(output.stdout, b"");
}

fn data() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    (folder, data_dir)
}

fn columns(list: &str) -> Vec<Vec<&str>> {
    list.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// A running `postern serve`; killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data_dir: &Path, options: &[&str]) -> Self {
        Self::start_logging_to(data_dir, options, Stdio::piped())
    }

    fn start_logging_to(data_dir: &Path, options: &[&str], log: Stdio) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], options].concat();
        let mut child = postern(data_dir, &arguments).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Sends a request and returns the status and the body.
    fn send(&self, head: &str, body: &str) -> (u16, String) {
        let (head, body) = self.exchange(head, body);
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Sends a request and returns the head and the body of the answer.
    fn exchange(&self, head: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (format!("{head}\r\n"), body.to_owned())
    }

    fn login(&self) -> String {
        let body = json!({ "domain": "shop", "username": "ada", "password": PASSWORD });
        let (status, body) = self.send("POST /login?next=secret HTTP/1.1", &body.to_string());
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        body["token"].as_str().unwrap().to_owned()
    }

    /// The claims of the first status list.
    fn status_list(&self) -> Value {
        let (status, list) = self.send("GET /shop/status-lists/0 HTTP/1.1", "");
        assert_eq!(status, 200, "{list}");
        let claims = Base64UrlUnpadded::decode_vec(list.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&claims).unwrap()
    }

    fn with_token(&self, request: &str, token: &str) -> u16 {
        self.send(&format!("{request} HTTP/1.1\r\nAuthorization: Bearer {token}"), "").0
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end; the exit code and what it logged.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(15);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn domains_are_created_and_listed() {
    let (_folder, data) = data();
    assert_eq!(columns(&succeed(&data, &["domain", "list"], "")).len(), 1);
    let created = succeed(&data, &["domain", "create", "shop"], "");
    assert!(created.starts_with("created domain `shop`: signs ES256 with key `"), "{created}");
    let options = [
        "domain",
        "create",
        "blog",
        "--alg",
        "EdDSA",
        "--audience",
        "https://blog.example.com",
        "--token-lifetime",
        "60",
        "--session-lifetime",
        "3600",
        "--jwks-max-age",
        "10",
    ];
    succeed(&data, &options, "");
    let list = succeed(&data, &["domain", "list"], "");
    let list = columns(&list);
    let header = ["NAME", "ALG", "TOKEN", "SESSION", "JWKS-MAX-AGE", "CREATED", "AUDIENCE"];
    assert_eq!(list[0], header);
    assert_eq!(list[1][..5], ["blog", "EdDSA", "60", "3600", "10"]);
    assert_eq!(list[1][6], "https://blog.example.com");
    assert_eq!(list[2][..5], ["shop", "ES256", "300", "604800", "300"]);
    assert_eq!(list[2][6], "shop");
}

#[test]
fn a_refused_domain_changes_nothing() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    let keys = succeed(&data, &["keys", "list", "shop"], "");
    fail(
        &data,
        &["domain", "create", "shop", "--alg", "HS256"],
        "",
        "domain `shop` already exists",
    );
    assert_eq!(succeed(&data, &["keys", "list", "shop"], ""), keys);
    let message = "token lifetime of `9` seconds is not within 10 to 86400";
    fail(&data, &["domain", "create", "blog", "--token-lifetime", "9"], "", message);
    let message = "session lifetime of `299` seconds is not within 300 to 34560000";
    fail(&data, &["domain", "create", "blog", "--session-lifetime", "299"], "", message);
    let message = "JWKS max-age of `0` seconds is not within 1 to 86400";
    fail(&data, &["domain", "create", "blog", "--jwks-max-age", "0"], "", message);
    assert_eq!(columns(&succeed(&data, &["domain", "list"], "")).len(), 2);
    fail(&data, &["keys", "list", "blog"], "", "unknown domain `blog`");
}

#[test]
fn wrong_usage_is_code_two() {
    let (_folder, data) = data();
    for arguments in [
        &[][..],
        &["domain"],
        &["domain", "create", "Shop"],
        &["domain", "create", "login"],
        &["domain", "create", "shop", "--alg", "none"],
        &["user", "create", "shop", " ada"],
        &["serve", "--issuer-url", "ftp://example.com"],
        &["serve", "--issuer-url", "http://example.com?x"],
        &["serve", "--token-header", "not a header"],
        &["serve", "--allow-origin", "*"],
    ] {
        let output = run_with_input(&data, arguments, "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn an_origin_that_is_none_stops_the_start_and_is_named() {
    let (_folder, data) = data();
    for (origin, reason) in [
        ("*", "one by one"),
        ("null", "one by one"),
        ("app.example.com", "`http://` or `https://`"),
        ("https://app.example.com/", "no slash at its end"),
        ("https://app.example.com:443", "leave it out"),
        ("", "`http://` or `https://`"),
    ] {
        let arguments = ["serve", "--allow-origin", "https://a.example.com"];
        let output =
            run_with_input(&data, &[&arguments[..], &["--allow-origin", origin]].concat(), "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("--allow-origin") && error.contains(reason), "{error}");
    }
    let mut command = postern(&data, &["serve"]);
    command.env("POSTERN_ALLOW_ORIGIN", "https://a.example.com,https://b.example.com/");
    let error = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(
        error.contains("https://b.example.com/") && error.contains("--allow-origin"),
        "{error}"
    );
}

#[test]
fn pages_of_the_origins_that_the_operator_names_may_log_in() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    let options = ["--allow-origin", "https://a.example.com"];
    let more = ["--allow-origin", "http://localhost:3000"];
    let server = Server::start(&data, &[options, more].concat());
    for (origin, allowed) in
        [("https://a.example.com", true), ("http://localhost:3000", true), ("https://b.com", false)]
    {
        let head = server.exchange(&format!("OPTIONS /login HTTP/1.1\r\nOrigin: {origin}"), "").0;
        let line = format!("access-control-allow-origin: {origin}\r\n");
        assert_eq!(head.contains(&line), allowed, "{head}");
        assert_eq!(head.contains("access-control-"), allowed, "{head}");
        let head = server.exchange(&format!("GET /refresh HTTP/1.1\r\nOrigin: {origin}"), "").0;
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
        assert_eq!(head.contains(&line), allowed, "{head}");
        let keys = format!("GET /shop/.well-known/jwks.json HTTP/1.1\r\nOrigin: {origin}");
        assert!(server.exchange(&keys, "").0.contains("access-control-allow-origin: *\r\n"));
    }
}

#[test]
fn users_are_created_listed_and_disabled() {
    let (_folder, data) = data();
    fail(&data, &["user", "create", "shop", "ada"], PASSWORD, "unknown domain `shop`");
    succeed(&data, &["domain", "create", "shop"], "");
    let created = succeed(&data, &["user", "create", "shop", "ada"], "correct horse\nignored\n");
    assert_eq!(created, "created user `ada` in domain `shop`\n");
    succeed(&data, &["user", "create", "shop", "Bob B"], PASSWORD);
    let exists = "user `ada` already exists in domain `shop`";
    fail(&data, &["user", "create", "shop", "ada"], "another horse\n", exists);
    for password in ["", "short\n", &"x".repeat(1025)] {
        let message = "invalid password: use 8 to 1024 bytes";
        fail(&data, &["user", "create", "shop", "eve"], password, message);
    }
    let disabled = succeed(&data, &["user", "disable", "shop", "Bob B"], "");
    assert_eq!(disabled, "disabled user `Bob B` in domain `shop` and ended their sessions\n");
    let unknown = "unknown user `eve` in domain `shop`";
    fail(&data, &["user", "disable", "shop", "eve"], "", unknown);
    let list = succeed(&data, &["user", "list", "shop"], "");
    let list = columns(&list);
    assert_eq!(list[0], ["ID", "STATE", "CREATED", "USERNAME"]);
    assert_eq!((list[1][1], &list[1][3..]), ("disabled", &["Bob", "B"][..]));
    assert_eq!((list[2][1], &list[2][3..]), ("active", &["ada"][..]));
    assert!(!format!("{list:?}").contains("argon2"));
}

#[test]
fn keys_are_listed_and_rotated() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    let before = succeed(&data, &["keys", "list", "shop"], "");
    let before = columns(&before);
    assert_eq!(before[0], ["KID", "ALG", "STATE", "CREATED", "EXPIRES"]);
    assert_eq!((before[1][2], before[2][2]), ("next", "current"));
    let next = before[1][0];
    let rotated = succeed(&data, &["keys", "rotate", "shop"], "");
    let expected =
        format!("rotated the keys of domain `shop`: generation 2 signs with key `{next}`\n");
    assert_eq!(rotated, expected);
    let after = succeed(&data, &["keys", "list", "shop"], "");
    let after = columns(&after);
    let states: Vec<_> = after[1..].iter().map(|key| (key[2], key[4] == "-")).collect();
    assert_eq!(states, [("next", true), ("current", true), ("previous", false)]);
    assert_eq!((after[2][0], after[3][0]), (next, before[2][0]));

    let output = run_with_input(&data, &["keys", "rotate", "shop"], "");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.starts_with("error: the next key is not known everywhere yet: wait `"));
    succeed(&data, &["keys", "rotate", "shop", "--force"], "");
}

#[test]
fn compromised_keys_are_withdrawn() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    succeed(&data, &["keys", "rotate", "shop"], "");
    let before = succeed(&data, &["keys", "list", "shop"], "");
    let next = columns(&before)[1][0];
    let rotated = succeed(&data, &["keys", "rotate", "shop", "--compromised"], "");
    let expected = format!(
        "rotated the keys of domain `shop`: generation 3 signs with key `{next}`\n\
         withdrew all keys before it: the tokens that they signed stop passing here now, and at \
         edges when they refetch the keys, within `300` seconds; their users must log in again\n"
    );
    assert_eq!(rotated, expected);
    let after = succeed(&data, &["keys", "list", "shop"], "");
    let after = columns(&after);
    let states: Vec<_> = after[1..].iter().map(|key| (key[2], key[0] == next)).collect();
    assert_eq!(states, [("next", false), ("current", true)]);
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let (_folder, data) = data();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = format!("cannot listen on `{address}`: the port is taken");
    fail(&data, &["serve", "--listen", &address], "", &message);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let (folder, _) = data();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = run_with_input(&file, &["domain", "list"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr).unwrap().starts_with("error: cannot open the data in `")
    );
}

#[test]
fn a_folder_that_others_can_write_to_is_an_error() {
    let (folder, _) = data();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o775)).unwrap();
    let message = format!(
        "cannot open the data in `{}`: the folder can be written by its group or others \
         (mode `0775`): `chmod go-w` it",
        folder.path().display()
    );
    fail(folder.path(), &["domain", "list"], "", &message);
}

#[test]
fn serves_and_follows_what_other_processes_do() {
    let (_folder, data) = data();
    let server = Server::start(&data, &[]);
    succeed(&data, &["domain", "create", "shop", "--alg", "HS256"], "");
    succeed(&data, &["user", "create", "shop", "ada"], PASSWORD);
    let old = server.login();
    succeed(&data, &["keys", "rotate", "shop"], "");
    let new = server.login();
    assert_ne!(old.split('.').next(), new.split('.').next(), "another key signs now");
    for token in [&old, &new] {
        assert_eq!(server.with_token("GET /auth", token), 200);
    }
    succeed(&data, &["user", "disable", "shop", "ada"], "");
    for token in [&old, &new] {
        assert_eq!(server.with_token("GET /auth", token), 403);
        assert_eq!(server.with_token("GET /refresh", token), 401);
    }
}

#[test]
fn sessions_of_a_user_and_of_a_domain_are_ended_and_lists_say_so() {
    let (_folder, data) = data();
    let server = Server::start(&data, &["--issuer-url", "https://auth.example.com"]);
    succeed(&data, &["domain", "create", "shop", "--alg", "EdDSA"], "");
    succeed(&data, &["user", "create", "shop", "ada"], PASSWORD);
    for (arguments, told, member) in [
        (
            &["user", "end-sessions", "shop", "ada"][..],
            "ended all sessions of user `ada` in domain `shop`\n",
            "subjects",
        ),
        (&["domain", "end-sessions", "shop"], "ended all sessions of domain `shop`\n", "all"),
    ] {
        let token = server.login();
        let before = server.status_list();
        assert!(before["postern_not_before"][member].is_null());
        assert_eq!(succeed(&data, arguments, ""), told);
        assert_eq!(server.with_token("GET /auth", &token), 403);
        assert_eq!(server.with_token("GET /refresh", &token), 401);
        // Within the same second, perhaps.
        assert_eq!(server.with_token("GET /refresh", &server.login()), 200);
        std::thread::sleep(Duration::from_millis(300));
        let after = server.status_list();
        assert!(!after["postern_not_before"][member].is_null());
        assert_eq!(after["sub"], "https://auth.example.com/shop/status-lists/0");
    }
    fail(
        &data,
        &["user", "end-sessions", "shop", "eve"],
        "",
        "unknown user `eve` in domain `shop`",
    );
    fail(&data, &["domain", "end-sessions", "blog"], "", "unknown domain `blog`");
}

#[test]
fn sessions_survive_a_kill() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    succeed(&data, &["user", "create", "shop", "ada"], PASSWORD);
    let options = ["--issuer-url", "https://auth.example.com/"];
    let server = Server::start(&data, &options);
    let token = server.login();
    server.signal("KILL");
    assert_eq!(server.end().0, None);
    let server = Server::start(&data, &options);
    assert_eq!(server.with_token("GET /refresh", &token), 200);
}

/// More requests than a pipe and the waiting lines hold, each of which must be answered.
fn assert_answers(server: &Server, token: &str, requests: usize) {
    let path = "x".repeat(250);
    for _ in 0..requests {
        assert_eq!(server.with_token(&format!("GET /{path}"), token), 404);
    }
    assert_eq!(server.with_token("GET /refresh", token), 200);
}

#[test]
fn requests_are_answered_whatever_becomes_of_the_log() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    succeed(&data, &["user", "create", "shop", "ada"], PASSWORD);

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Server::start_logging_to(&data, &[], full.into());
    assert_answers(&server, &server.login(), 10);

    let mut server = Server::start(&data, &[]);
    let token = server.login();
    drop(server.child.stderr.take());
    assert_answers(&server, &token, 10);
    assert_answers(&server, &server.login(), 10);

    // Nobody reads: 64 KiB of pipe are full after some 200 lines.
    let server = Server::start(&data, &[]);
    assert_answers(&server, &server.login(), 2000);
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, Some(0));
    assert!(log.contains("status=404"));
}

#[test]
fn stops_in_order_and_logs_no_secret() {
    let (_folder, data) = data();
    succeed(&data, &["domain", "create", "shop"], "");
    succeed(&data, &["user", "create", "shop", "ada"], PASSWORD);
    for signal in ["TERM", "INT"] {
        let server = Server::start(&data, &[]);
        let token = server.login();
        assert_eq!(server.with_token("GET /auth?token=secret", &token), 200);
        assert_eq!(server.with_token("GET /refresh", "no.such.token"), 401);
        server.signal(signal);
        let (code, log) = server.end();
        assert_eq!(code, Some(0));
        let requests: Vec<_> = log.lines().filter(|line| line.contains("request")).collect();
        assert_eq!(requests.len(), 3, "{log}");
        assert!(requests[0].contains("method=POST path=\"/login\" status=200 ms="), "{log}");
        for secret in [PASSWORD, token.rsplit('.').next().unwrap(), "secret", "no.such.token"] {
            assert!(!log.contains(secret), "{log}");
        }
    }
}
