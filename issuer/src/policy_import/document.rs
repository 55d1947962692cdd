//! Reading the input: YAML or JSON, bounded in size, depth and in what aliases may grow to.

use serde_json::Value;

use super::ImportError;

/// Room for a configuration dump of a large Envoy.
pub(crate) const MAX_INPUT_BYTES: usize = 16 * 1024 * 1024;
/// Values in all documents, with aliases counted as often as they are used.
const MAX_NODES: usize = 500_000;
/// Bounds the recursion of everything that walks a document.
const MAX_DEPTH: usize = 64;

/// All documents of a YAML stream that are not empty; JSON is YAML.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, ImportError> {
    if text.len() > MAX_INPUT_BYTES {
        return Err(ImportError::new("", "the input is longer than 16 MiB"));
    }
    let budget = serde_saphyr::budget! {
        max_nodes: MAX_NODES,
        max_events: 2 * MAX_NODES,
        max_depth: MAX_DEPTH,
        flow_nesting_limit: MAX_DEPTH,
        max_total_scalar_bytes: MAX_INPUT_BYTES,
    };
    // A snippet of the input could hold a part of a key.
    let options = serde_saphyr::options! { budget: budget, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| ImportError::new("", format!("it is not YAML that can be read: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_documents_of_yaml_and_json() {
        let documents = parse("---\na: \"1\"\nb: 1\n---\n---\n{\"c\": [true, null]}\n").unwrap();
        assert_eq!(documents, [json!({"a": "1", "b": 1}), json!({"c": [true, null]})]);
        assert_eq!(parse("# nothing\n").unwrap(), Vec::<Value>::new());
        assert_eq!(
            parse("a: &x {b: 1}\nc: *x\n").unwrap(),
            [json!({"a": {"b": 1}, "c": {"b": 1}})]
        );
    }

    #[test]
    fn refuses_what_is_doubled_deep_or_explodes() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.extend([format!("a{level}: &a{level} [{aliases}]\n")]);
        }
        let deep = format!("{}1{}", "[".repeat(80), "]".repeat(80));
        let long = format!("a: {}", "x".repeat(MAX_INPUT_BYTES));
        let texts =
            [&bomb, &deep, &long, "a: 1\na: 2", "{\"a\": 1, \"a\": 2}", "a: [", "a: *b", "\0"];
        for text in texts {
            assert!(parse(text).is_err(), "{}", text.chars().take(40).collect::<String>());
        }
        assert!(parse(&format!("{}1{}", "[".repeat(60), "]".repeat(60))).is_ok());
    }

    #[test]
    fn an_error_shows_nothing_of_the_input() {
        let error = parse("jwks: |\n  {\"keys\": [{\"k\": \"secret\"}]}\n\"secret\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
