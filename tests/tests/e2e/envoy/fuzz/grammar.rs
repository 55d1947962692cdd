//! Requests, from what a good client sends to what nobody would.

use super::tokens::{Token, Tokens};
use crate::envoy::traffic::paths::PIECES;
use crate::random::Random;

const METHODS: [&str; 9] =
    ["GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"];
const ODD_METHODS: [&str; 4] = ["get", "PROPFIND", "TRACE", "Post"];
const PLACES: [&str; 9] =
    ["/open", "/open/a", "/api/a", "/scoped/a", "/places/a", "/remote/a", "/api/b/c", "/none", "/"];
const NAMES: [&[u8]; 14] = [
    b"authorization",
    b"authorization",
    b"Authorization",
    b"AUTHORIZATION",
    b"x-token",
    b"X-Token",
    b"cookie",
    b"Cookie",
    b"cookie",
    b"proxy-authorization",
    b"x-authorization",
    b"authorization.",
    b"authorization ",
    b"x_token",
];
const SCHEMES: [&[u8]; 10] = [
    b"Bearer ",
    b"Bearer ",
    b"bearer ",
    b"Bearer  ",
    b"Bearer\t",
    b"Token ",
    b"Basic ",
    b"",
    b"Bearer \"",
    b"Bearer,",
];
const COOKIES: [&[u8]; 7] = [
    b"session=",
    b"a=b; session=",
    b"session=\"",
    b"Session=",
    b"session =",
    b"session=x; session=",
    b"=",
];
const PARAMETERS: [&str; 6] =
    ["token=", "a=1&token=", "tok%65n=", "TOKEN=", "access_token=", "token=x&token="];
const BEHIND: [&[u8]; 7] = [b" ", b"\t", b",", b", Bearer ", b";", b"\"", b"; a=b"];
const JUNK: [(&[u8], &[u8]); 16] = [
    (b"x-user-id", b"root"),
    (b"X-User-Id", b"root"),
    (b"x.user.id", b"root"),
    (b"x_user_id", b"root"),
    (b"x-name", b"caf\xe9 \xff\xfe"),
    (b"accept", b"text/html"),
    (b"content-type", b"application/grpc"),
    (b"x-envoy-original-path", b"/open"),
    (b"x-original-url", b"/open"),
    (b"origin", b"https://app.example"),
    (b"te", b"trailers"),
    (b"x-http-method-override", b"OPTIONS"),
    (b"x-forwarded-host", b"open"),
    (b"x-empty", b""),
    (b"x-control", b"a\x01b"),
    (b"x-null", b"a\0b"),
];

/// A request, as its bytes say it.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) method: &'static str,
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Nothing about it is wrong: it has to pass.
    pub(super) clean: bool,
}

impl Made {
    /// As HTTP/1.1 has it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        bytes.extend_from_slice(b"host: gate\r\n");
        for (name, value) in &self.headers {
            bytes.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        let body = if matches!(self.method, "POST" | "PUT" | "PATCH") { "hello" } else { "" };
        if !body.is_empty() {
            bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }
}

/// Makes up the next request.
pub(super) fn make(tokens: &Tokens, random: &mut Random) -> Made {
    match random.below(10) {
        0 => clean(b"/open/a".to_vec(), vec![], random),
        1..=3 => good(tokens, random),
        _ => wild(tokens, random),
    }
}

fn clean(target: Vec<u8>, headers: Vec<(Vec<u8>, Vec<u8>)>, random: &mut Random) -> Made {
    Made { method: random.pick::<&str>(&METHODS), target, headers, clean: true }
}

fn good(tokens: &Tokens, random: &mut Random) -> Made {
    let field = |name: &str, before: &str, token: &Token| {
        vec![(name.as_bytes().to_vec(), format!("{before}{}", token.text).into_bytes())]
    };
    let local = random.pick(&tokens.local);
    let (target, headers) = match random.below(6) {
        0 => ("/api/a".to_owned(), field("authorization", "Bearer ", local)),
        1 => {
            let token = random.pick(&tokens.remote);
            ("/remote/a?x=1".to_owned(), field("Authorization", "bearer ", token))
        }
        2 => {
            let scoped: Vec<&Token> = tokens.local.iter().filter(|token| token.scoped).collect();
            (
                "/scoped/a".to_owned(),
                field("authorization", "Bearer ", random.pick::<&Token>(&scoped)),
            )
        }
        3 => ("/places/a".to_owned(), field("x-token", "Token ", local)),
        4 => ("/places/a".to_owned(), field("cookie", "theme=dark; session=", local)),
        _ => (format!("/places/a?x=1&token={}", local.text), vec![]),
    };
    clean(target.into_bytes(), headers, random)
}

fn wild(tokens: &Tokens, random: &mut Random) -> Made {
    let mut target = path(random);
    if random.once_in(4) {
        target.push(b'?');
        target.extend_from_slice(random.pick(&PARAMETERS).as_bytes());
        let token = some_token(tokens, random);
        target.extend(token.into_iter().filter(|byte| *byte != b' '));
    }
    let mut headers = Vec::new();
    for _ in 0..random.below(4) {
        headers.push(junk(random));
    }
    for _ in 0..random.below(3) {
        let at = random.below(headers.len() + 1);
        headers.insert(at, placed(tokens, random));
    }
    let odd = random.once_in(20);
    let method = if odd { *random.pick(&ODD_METHODS) } else { *random.pick(&METHODS) };
    Made { method, target, headers, clean: false }
}

fn path(random: &mut Random) -> Vec<u8> {
    let mut path = random.pick(&PLACES).as_bytes().to_vec();
    if random.once_in(3) {
        for _ in 0..random.below(6) {
            path.extend_from_slice(random.pick(&PIECES).as_bytes());
        }
    }
    if random.once_in(200) {
        path.extend(std::iter::repeat_n(b'a', random.below(10_000)));
    }
    path
}

fn junk(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    if random.once_in(10) {
        let value = vec![b'v'; random.below(8000)];
        return (format!("x-{}", random.below(50)).into_bytes(), value);
    }
    let (name, value) = random.pick(&JUNK);
    (name.to_vec(), value.to_vec())
}

fn placed(tokens: &Tokens, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let name = random.pick(&NAMES).to_vec();
    let cookie = name.eq_ignore_ascii_case(b"cookie");
    let before = if cookie { *random.pick(&COOKIES) } else { *random.pick(&SCHEMES) };
    let mut value = [before, &some_token(tokens, random)].concat();
    if random.once_in(6) {
        let behind = *random.pick(&BEHIND);
        value.extend_from_slice(behind);
        if random.once_in(2) {
            value.extend(some_token(tokens, random));
        }
    }
    (name, value)
}

fn some_token(tokens: &Tokens, random: &mut Random) -> Vec<u8> {
    if random.once_in(3) { tokens.any(random).as_bytes().to_vec() } else { tokens.mutated(random) }
}
