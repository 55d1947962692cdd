//! What ends otherwise in Envoy than expected, with the reasons.

/// Cases that end otherwise than expected.
pub(crate) struct Different {
    pub(crate) why: &'static str,
    /// How they end, as [`super::compare::Outcome::label`] says it.
    pub(crate) outcome: &'static str,
    pub(crate) cases: &'static [&'static str],
}

pub(crate) const DIFFERENT: &[Different] = &[
    Different {
        why: "not HTTP/1.1: Envoy refuses the request line before any filter sees it",
        outcome: "400 of Envoy",
        cases: &[
            "paths/method-ambiguous-unicode",
            "paths/method-ambiguous-empty",
            "paths/method-ambiguous-two",
            "paths/method-ambiguous-comma",
            "paths/method-ambiguous-long-s",
            "paths/control-raw-tab",
            "paths/plain-raw-unicode",
            "rules/prefix-encoded-raw",
            "paths/shut-empty",
            "rules/prefix-everything-not-empty",
            "paths/shut-query-only",
            "paths/shut-authority-form",
            "paths/shut-without-slash",
        ],
    },
    Different {
        why: "Envoy refuses a target with a fragment",
        outcome: "400 of Envoy",
        cases: &["paths/sign-hash"],
    },
    Different {
        why: "Envoy refuses control characters in a value (RFC 9110 §5.5)",
        outcome: "400 of Envoy",
        cases: &[
            "places/scheme-then-vertical-tab",
            "places/scheme-then-delete",
            "places/vertical-tab-before-scheme",
        ],
    },
    Different {
        why: "Envoy has no resource whose path does not begin with a slash",
        outcome: "404 of Envoy",
        cases: &[
            "paths/slashes-absolute",
            "paths/shut-asterisk",
            "rules/prefix-everything-not-asterisk",
        ],
    },
    Different {
        why: "Envoy takes no QUERY without a `Content-Type`",
        outcome: "400 of Envoy",
        cases: &["paths/method-QUERY"],
    },
    Different {
        why: "HTTP/1.1 cannot say it: a second space before the target is part of neither",
        outcome: "allow",
        cases: &["paths/method-ambiguous-space-behind"],
    },
    Different {
        why: "HTTP/1.1 cannot say it: white space behind a value is not part of it (RFC 9110 §5.5)",
        outcome: "allow",
        cases: &["structure/space-behind"],
    },
    Different {
        why: "Envoy joins `Authorization` fields, and leaves out the empty one: the filter and the \
              service see the other",
        outcome: "allow",
        cases: &["places/several-empty-last", "places/several-empty-first"],
    },
    Different {
        why: "Envoy makes every answer of its own to a request for `application/grpc` one of gRPC, \
              whatever the method",
        outcome: "200 of Envoy",
        cases: &["answers/grpc-get-is-no-call"],
    },
];

/// What is said of a case that is listed.
pub(crate) fn find(name: &str) -> Option<&'static Different> {
    DIFFERENT.iter().find(|different| different.cases.contains(&name))
}
