//! How the tour reads: HTTP as it went over the wire, at most 100 columns wide.

use std::io::IsTerminal;

use hyper::StatusCode;
use serde_json::Value;

use crate::{Client, Failure, Request, Response, Seen, claims_of};

const WIDTH: usize = 92;

/// Response headers that say something about the gate or the issuer.
const SHOWN: [&str; 3] = ["www-authenticate", "retry-after", "etag"];

/// Prints the tour.
pub(super) struct Transcript {
    colour: bool,
    steps: u32,
}

impl Transcript {
    /// Coloured when people read it in a terminal, unless they asked for none.
    pub(super) fn to_stdout() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, steps: 0 }
    }

    /// Begins a step.
    pub(super) fn heading(&mut self, title: &str, why: &str) {
        let number = if self.steps == 0 { String::new() } else { format!("{}. ", self.steps) };
        self.steps += 1;
        println!("\n{}", self.paint("1", &format!("{number}{title}")));
        println!("   {why}\n");
    }

    /// A command that was run.
    pub(super) fn command(&self, line: &str) {
        println!("   {}", self.paint("36", &format!("$ {line}")));
    }

    /// Something worth knowing.
    pub(super) fn note(&self, text: &str) {
        println!("   {}", self.paint("2", text));
    }

    /// What a step has shown.
    pub(super) fn seen(&self, text: &str) {
        println!("   {} {text}", self.paint("32", "ok"));
    }

    /// A request and its answer.
    pub(super) fn exchange(&self, request: &Request, response: &Response) {
        let mut asked = vec![format!("{} {} HTTP/1.1", request.method, request.target)];
        for (name, value) in &request.headers {
            asked.push(format!("{name}: {}", String::from_utf8_lossy(value)));
        }
        if !request.body.is_empty() {
            asked.push(request.body.clone());
        }
        self.lines(">", "36", &asked);
        let status = StatusCode::from_u16(response.status).ok();
        let reason = status.and_then(|status| status.canonical_reason()).unwrap_or_default();
        let mut answered = vec![format!("HTTP/1.1 {} {reason}", response.status)];
        for name in SHOWN {
            let value = response.header(name);
            if !value.is_empty() {
                answered.push(format!("{name}: {value}"));
            }
        }
        let seen = Seen::read(response);
        if seen.is_err() && !response.body.is_empty() {
            answered.push(response.body.clone());
        }
        let colour = if response.status < 400 { "32" } else { "33" };
        self.lines("<", colour, &answered);
        if let Ok(seen) = seen {
            self.upstream(&seen);
        }
    }

    /// Sends a request, and shows it with its answer.
    pub(super) async fn ask(&self, client: Client, request: Request) -> Result<Response, Failure> {
        let response = client.send(request.clone()).await?;
        self.exchange(&request, &response);
        Ok(response)
    }

    /// The same, for a request that reaches the upstream.
    pub(super) async fn passes(&self, client: Client, request: Request) -> Result<Seen, Failure> {
        let answer = self.ask(client, request).await?;
        self.expect("status", &200, &answer.status)?;
        Seen::read(&answer)
    }

    /// Holds an answer of a gate to its status and code.
    pub(super) fn denied(&self, answer: &Response, status: u16, code: &str) -> Result<(), Failure> {
        let came = format!("{} {}", answer.status, answer.code());
        self.expect("answer", &format!("{status} {code}"), &came)
    }

    /// The token of an answer of the issuer.
    pub(super) fn token(&self, answer: &Response) -> Result<String, Failure> {
        self.expect("status", &200, &answer.status)?;
        let token = answer.text("token");
        if token.is_empty() {
            return Err(Failure::new(format!("expected a `token`, got {}", answer.body)));
        }
        Ok(token)
    }

    /// Holds the identity headers at the upstream to the claims of the token.
    pub(super) fn identity(&self, seen: &Seen, token: &str) -> Result<(), Failure> {
        let claims = claims_of(token);
        for (header, claim) in [("x-user-id", "sub"), ("x-user-name", "username")] {
            let value = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
            let what = format!("{header} at the upstream");
            self.expect(&what, &value.to_owned(), &seen.all(header).join(", "))?;
        }
        Ok(())
    }

    /// Tells what came, which has to be what was expected.
    pub(super) fn expect<T: PartialEq + std::fmt::Display>(
        &self,
        what: &str,
        expected: &T,
        came: &T,
    ) -> Result<(), Failure> {
        if expected != came {
            let message = format!("{what}: expected `{expected}`, got `{came}`");
            return Err(Failure::new(message));
        }
        self.seen(&format!("{what}: {came}"));
        Ok(())
    }

    /// The upstream answers with what reached it; shown apart from the answer's own headers.
    fn upstream(&self, seen: &Seen) {
        let mut lines = vec![format!("what the upstream saw: {}", seen.target)];
        lines.extend(seen.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        self.lines("|", "35", &lines);
    }

    fn lines(&self, mark: &str, colour: &str, lines: &[String]) {
        for line in lines {
            for part in wrapped(&shortened(line)) {
                println!("   {}", self.paint(colour, &format!("{mark} {}", part.trim_end())));
            }
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The text with each token cut down to its beginning and its size.
pub(super) fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.find("eyJ").and_then(|at| rest.split_at_checked(at)) {
        let in_token = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let end = from.find(|letter| !in_token(letter)).unwrap_or(from.len());
        let (token, after) = from.split_at_checked(end).unwrap_or((from, ""));
        short.push_str(before);
        match token.get(..10) {
            Some(start) if token.matches('.').count() == 2 => {
                short.extend([start, "…(", &token.len().to_string(), " bytes)"]);
            }
            _ => short.push_str(token),
        }
        rest = after;
    }
    short + rest
}

/// Lines of at most [`WIDTH`] letters, the later ones indented.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for letter in text.chars() {
        line.push(letter);
        let room = WIDTH.saturating_sub(line.chars().count());
        if room == 0 || (room < 16 && (letter == ' ' || letter == ',')) {
            lines.push(std::mem::replace(&mut line, "    ".to_owned()));
        }
    }
    if !line.trim().is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shortened_and_nothing_else() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
        let line = format!("{{\"token\":\"{token}\",\"token_type\":\"Bearer\"}}");
        let short = shortened(&line);
        assert_eq!(short, "{\"token\":\"eyJhbGciOi…(41 bytes)\",\"token_type\":\"Bearer\"}");
        assert_eq!(shortened("authorization: none, eyJ"), "authorization: none, eyJ");
        assert_eq!(shortened("…eyé"), "…eyé");
    }

    #[test]
    fn no_line_is_too_long_and_none_is_lost() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(lines.concat().matches("word").count(), 60);
        assert_eq!(wrapped(""), [""]);
    }
}
