//! Claims: times, audiences and issuers of every type, and JSON that not all read alike.

use crate::case::{Changes, Corpus, NOW, SKEW, claims, header};

const KINDS: [&str; 3] = ["HS256", "ES256", "EdDSA"];

pub(crate) fn fill(corpus: &mut Corpus) {
    for algorithm in KINDS {
        times(corpus, algorithm);
        names(corpus, algorithm);
        shapes(corpus, algorithm);
    }
}

fn with(corpus: &mut Corpus, class: &'static str, algorithm: &str, changes: Changes<'_>) {
    let claims = claims(changes);
    sign(corpus, class, algorithm, claims.as_bytes());
}

fn sign(corpus: &mut Corpus, class: &'static str, algorithm: &str, claims: &[u8]) {
    let token = corpus.signer.token(algorithm, header(algorithm, &[]), claims);
    let shown: String = String::from_utf8_lossy(claims).chars().take(200).collect();
    corpus.add(class, format!("{algorithm}, {shown}"), token);
}

fn times(corpus: &mut Corpus, algorithm: &str) {
    let seconds = [0, 1, SKEW - 1, SKEW, SKEW + 1, 1_000];
    for offset in seconds {
        for time in [NOW - offset, NOW + offset] {
            for spelled in [format!("{time}"), format!("{time}.0"), format!("{time}.5")] {
                with(corpus, "exp near now", algorithm, &[("exp", Some(&spelled))]);
                with(corpus, "nbf near now", algorithm, &[("nbf", Some(&spelled))]);
                let ahead = spelled.parse::<f64>().unwrap() > 1_800_000_030.0;
                let class = if ahead { "iat ahead of now" } else { "iat near now" };
                with(corpus, class, algorithm, &[("iat", Some(&spelled))]);
            }
        }
    }
    for (value, classes) in [
        ("18e8", ["exp in the past", "an early nbf", "an early iat"]),
        ("1.80000002e9", ["exp near now", "nbf near now", "iat near now"]),
        ("0", ["exp in the past", "an early nbf", "an early iat"]),
        ("1", ["exp in the past", "an early nbf", "an early iat"]),
        ("-0", ["exp in the past", "an early nbf", "an early iat"]),
        ("-1", ["exp is negative", "nbf is negative", "iat is negative"]),
        ("-1e300", ["exp is negative", "nbf is negative", "iat is negative"]),
        ("1e-300", ["exp in the past", "an early nbf", "an early iat"]),
        ("253402300800", ["exp far ahead", "nbf far ahead", "iat ahead of now"]),
        ("9007199254740993", ["exp far ahead", "nbf far ahead", "iat ahead of now"]),
        ("9223372036854775808", ["exp far ahead", "nbf far ahead", "iat ahead of now"]),
        ("18446744073709551616", ["exp far ahead", "nbf far ahead", "iat ahead of now"]),
        ("1e300", ["exp far ahead", "nbf far ahead", "iat ahead of now"]),
        ("1e400", ["exp beyond a double", "nbf beyond a double", "iat beyond a double"]),
        ("-1e400", ["exp beyond a double", "nbf beyond a double", "iat beyond a double"]),
        ("null", ["exp is null", "nbf is null", "iat is null"]),
        ("\"1800000300\"", ["exp is no number", "nbf is no number", "iat is no number"]),
        ("\"\"", ["exp is no number", "nbf is no number", "iat is no number"]),
        ("true", ["exp is no number", "nbf is no number", "iat is no number"]),
        ("[1800000300]", ["exp is no number", "nbf is no number", "iat is no number"]),
        ("{}", ["exp is no number", "nbf is no number", "iat is no number"]),
    ] {
        for (name, class) in ["exp", "nbf", "iat"].into_iter().zip(classes) {
            // The time of the decision has come, so this one is over.
            let class = if value == "18e8" && name == "exp" { "exp near now" } else { class };
            with(corpus, class, algorithm, &[(name, Some(value))]);
        }
    }
    with(corpus, "no exp", algorithm, &[("exp", None)]);
    with(corpus, "good", algorithm, &[("iat", None)]);
}

fn names(corpus: &mut Corpus, algorithm: &str) {
    for (class, name, values) in [
        ("good", "aud", &["[\"api\"]", "[\"x\",\"api\"]", "[\"api-2\",\"api\"]", "\"api-2\""][..]),
        ("another aud", "aud", &["\"\"", "\"API\"", "\"api \"", "\"ap\"", "\"api,x\"", "\"x\""]),
        ("another aud", "aud", &["[]", "[\"x\"]", "[[\"api\"]]", "{\"api\":1}", "null", "1"]),
        (
            "aud has the audience and no string",
            "aud",
            &["[\"api\",1]", "[null,\"api\"]", "[\"api\",[]]"],
        ),
        (
            "another iss",
            "iss",
            &["\"\"", "\"https://issuer.example/api/\"", "\"https://issuer.example\""],
        ),
        (
            "another iss",
            "iss",
            &["\"HTTPS://issuer.example/api\"", "\"https://issuer.example/api \""],
        ),
        ("another iss", "iss", &["[\"https://issuer.example/api\"]", "null", "1", "{}", "[]"]),
        (
            "good",
            "iss",
            &["\"https:\\/\\/issuer.example\\/api\"", "\"\\u0068ttps://issuer.example/api\""],
        ),
        ("sub is no string", "sub", &["1", "null", "[]", "{}", "true"]),
        ("good", "sub", &["\"\"", "\"\u{1f600}\"", "\"\\ud83d\\ude00\""]),
        ("jti is no string", "jti", &["1", "null", "[]"]),
        ("good", "jti", &["\"x\""]),
        ("cnf", "cnf", &["{}", "{\"jkt\":\"x\"}", "null"]),
        (
            "a lone surrogate",
            "name",
            &["\"\\ud800\"", "\"\\udfff\"", "\"\\ud800x\"", "[{\"a\":\"\\ud800\"}]"],
        ),
        ("NaN or Infinity", "x", &["NaN", "Infinity", "-Infinity"]),
        ("a number beyond a double", "x", &["1e400", "-1e400", "[1e999]"]),
        (
            "not JSON",
            "x",
            &["01", "+1", "1.", ".5", "0x10", "1_000", "undefined", "'x'", "\"\t\"", "\"\n\""],
        ),
        (
            "not JSON",
            "x",
            &["\"\\x41\"", "\"\\u12\"", "[1,]", "{\"a\":1,}", "{a:1}", "[1 2]", "\"", "tru"],
        ),
        (
            "good",
            "x",
            &["1e5", "-0.0", "123456789012345678901234567890", "\"\\u0000\"", "[]", "{}"],
        ),
        ("good", "__proto__", &["{\"exp\":1}"]),
        ("good", "constructor", &["1"]),
    ] {
        for value in values {
            with(corpus, class, algorithm, &[(name, Some(value))]);
        }
    }
    with(corpus, "no aud", algorithm, &[("aud", None)]);
    with(corpus, "no iss", algorithm, &[("iss", None)]);
    with(corpus, "good", algorithm, &[("sub", None)]);
    for (class, depth) in
        [("good", 100), ("nested deeper than 127", 200), ("nested deeper than 127", 900)]
    {
        let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        with(corpus, class, algorithm, &[("x", Some(&nested))]);
        let nested = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        with(corpus, class, algorithm, &[("x", Some(&nested))]);
    }
    let nested = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    with(corpus, "nested 5000 deep", algorithm, &[("x", Some(&nested))]);
    let long = format!("\"{}\"", "x".repeat(8_000));
    with(corpus, "good", algorithm, &[("x", Some(&long))]);
    let longer = format!("\"{}\"", "x".repeat(16_384));
    with(corpus, "a token over 16 KiB", algorithm, &[("x", Some(&longer))]);
}

fn shapes(corpus: &mut Corpus, algorithm: &str) {
    let plain = claims(&[]);
    let inner = plain.trim_start_matches('{').trim_end_matches('}').to_owned();
    for (class, claims) in [
        ("good", format!(" \n\t\r{plain}\n")),
        ("the claims are no object", "[]".into()),
        ("the claims are no object", "null".into()),
        ("the claims are no object", "true".into()),
        ("the claims are no object", "1".into()),
        ("the claims are no object", "\"x\"".into()),
        ("the claims are no object", format!("[{plain}]")),
        ("not JSON", String::new()),
        ("not JSON", format!("{plain}{plain}")),
        ("not JSON", format!("{plain}x")),
        ("not JSON", format!("{plain}\u{0}")),
        ("not JSON", format!("{plain},")),
        ("not JSON", format!("{{{inner}")),
        ("not JSON", format!("{{{inner},}}")),
        ("not JSON", format!("//\n{plain}")),
        ("not JSON", format!("{plain}/**/")),
        ("not JSON", format!("\u{a0}{plain}")),
        ("a byte order mark", format!("\u{feff}{plain}")),
        ("a byte order mark behind", format!("{plain}\u{feff}")),
        ("a member twice in the claims", format!("{{\"exp\":1,{inner}}}")),
        ("a member twice in the claims", format!("{{\"iss\":\"x\",{inner}}}")),
        ("a member twice in the claims", format!("{{\"aud\":[],{inner}}}")),
        ("a member twice in the claims", format!("{{{inner},\"sub\":\"admin\"}}")),
        ("a member twice in the claims", format!("{{{inner},\"s\\u0075b\":\"admin\"}}")),
        ("a member twice in the claims", format!("{{{inner},\"x\":{{\"a\":1,\"a\":2}}}}")),
        ("a member twice in the claims", format!("{{{inner},\"x\":[[{{\"a\":1,\"a\":1}}]]}}")),
        ("a wrong value last", format!("{{{inner},\"exp\":1}}")),
        ("a wrong value last", format!("{{{inner},\"e\\u0078p\":1}}")),
        ("a wrong value last", format!("{{{inner},\"iss\":\"x\"}}")),
    ] {
        sign(corpus, class, algorithm, claims.as_bytes());
    }
    for (class, bytes) in [
        ("not UTF-8", &b"\xff"[..]),
        ("not UTF-8", b"\xc0\xaf"),
        ("not UTF-8", b"\xed\xa0\x80"),
        ("not UTF-8", b"\xf4\x90\x80\x80"),
        ("not UTF-8", b"\xc3"),
    ] {
        let claims = [b"{\"x\":\"", bytes, b"\",", inner.as_bytes(), b"}"].concat();
        sign(corpus, class, algorithm, &claims);
    }
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    sign(corpus, "UTF-16", algorithm, &utf16);
    let utf32: Vec<u8> = plain.chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect();
    sign(corpus, "UTF-32", algorithm, &utf32);
}
