//! Rules and requirements as they are written.

use serde_json::Value;

use super::RawStringMatcher;
use crate::read::objects;

objects! {
    /// Which requests need what. Without `requires` and `requirement_name`, nothing: the rule opens its
    /// path.
    pub(in crate::policy) struct RawRule {
        /// 1 to 64 letters, digits, `-`, `_` and `.`, for logs and reports. Default: the rule's index.
        name: Option<String>,
        /// The requests that the rule is for.
        r#match: RawMatch as "match",
        /// What they need.
        requires: Option<RawRequirement>,
        /// What they need, as an entry of `requirement_map`.
        requirement_name: Option<String>,
        /// Scopes that a token has to have, all of them, in `scope` or `scp`.
        scopes: Option<Vec<String>>,
        /// What a token's claims have to be, all of it.
        claims: Option<Vec<RawClaimCondition>>,
        /// How denials are answered.
        deny_response: Option<RawDenyResponse>,
        /// Whether the rule is on trial: it tells what it would have done, and the next rule that matches
        /// decides. Without one, the request passes.
        report_only: bool = default,
        /// The header that tells the upstream. Default `x-postern-report-only`.
        report_only_header: Option<String>,
    }

    /// The requests that a rule is for: one of the first seven members, and all of the others. Paths are
    /// compared with the decoded path, without the query.
    pub(in crate::policy) struct RawMatch {
        /// What the path begins with.
        prefix: Option<String>,
        /// The path itself.
        path: Option<String>,
        /// A regular expression that all of the path has to match.
        safe_regex: Option<RawRegex>,
        /// What the path is, or begins with before a `/`.
        path_separated_prefix: Option<String>,
        /// `*` is a segment, `**` the rest, `{name}` a segment with a name.
        path_template: Option<String>,
        /// Envoy's way to say `path_template`.
        path_match_policy: Option<RawPathMatchPolicy>,
        /// The method `CONNECT`.
        connect_matcher: Option<RawEmpty>,
        /// Whether the case of a path counts; not for regular expressions. Default: it does.
        case_sensitive: Option<bool>,
        /// The methods. Default: all.
        methods: Option<Vec<String>>,
        /// Header fields.
        headers: Vec<RawHeaderMatcher> = default,
        /// Query parameters.
        query_parameters: Vec<RawQueryParameterMatcher> = default,
        /// gRPC calls only.
        grpc: Option<RawEmpty>,
    }

    /// A regular expression.
    pub(in crate::policy) struct RawRegex {
        /// The expression; all of the text has to match it.
        regex: String,
    }

    /// Envoy's way to say `path_template`.
    pub(in crate::policy) struct RawPathMatchPolicy {
        /// Has no effect.
        _name: Option<String> as "name",
        /// The template.
        typed_config: RawUriTemplate,
    }

    /// Envoy's `UriTemplateMatchConfig`.
    pub(in crate::policy) struct RawUriTemplate {
        /// The type's URL.
        type_url: String as "@type",
        /// As `path_template` of a match.
        path_template: String,
    }

    /// A header field. At most one thing may be asked of its value; without one, it has to be there. A
    /// missing field does not match, inverted or not.
    pub(in crate::policy) struct RawHeaderMatcher {
        /// Its name, or `:method`, `:path`, `:authority` or `:scheme`. Several values are joined by `,`.
        name: String,
        /// The value.
        exact_match: Option<String>,
        /// What it begins with.
        prefix_match: Option<String>,
        /// What it ends with.
        suffix_match: Option<String>,
        /// A part of it.
        contains_match: Option<String>,
        /// A regular expression that all of it has to match.
        safe_regex_match: Option<RawRegex>,
        /// A range of whole numbers.
        range_match: Option<RawRange>,
        /// Whether the field is there.
        present_match: Option<bool>,
        /// What it is.
        string_match: Option<RawStringMatcher>,
        /// Whether a value that does not match is asked for.
        invert_match: bool = default,
        /// Whether a missing field counts as an empty one.
        treat_missing_header_as_empty: bool = default,
    }

    /// Whole numbers.
    pub(in crate::policy) struct RawRange {
        /// The first.
        start: i64,
        /// The first behind them.
        end: i64,
    }

    /// A query parameter, decoded. A request that has it twice, or in a spelling that only some services
    /// read, is refused.
    pub(in crate::policy) struct RawQueryParameterMatcher {
        /// Its name.
        name: String,
        /// What its value is.
        string_match: Option<RawStringMatcher>,
        /// Whether it is there. Default: it is.
        present_match: Option<bool>,
    }

    /// A claim, by `name` or `path`, and one thing that is asked of it. For `exact`, `prefix` and `one_of`, an
    /// array fits where any of its elements does.
    pub(in crate::policy) struct RawClaimCondition {
        /// The claim; `a.b` reaches into objects.
        name: Option<String>,
        /// The claim, as a list of names, for names with dots.
        path: Option<Vec<String>>,
        /// The value: a string, a number or a boolean.
        exact: Option<Value>,
        /// What a string begins with; not empty.
        prefix: Option<String>,
        /// Values of which it is one.
        one_of: Option<Vec<Value>>,
        /// An element of an array, or a word of a space-separated string.
        contains: Option<Value>,
        /// A number that it exceeds.
        greater_than: Option<f64>,
        /// A number that it reaches.
        at_least: Option<f64>,
        /// A number that it does not reach.
        less_than: Option<f64>,
        /// A number that it does not exceed.
        at_most: Option<f64>,
        /// Whether it is there.
        present: Option<bool>,
    }

    /// How a rule's denials are answered where that is not by the book.
    pub(in crate::policy) struct RawDenyResponse {
        /// In place of 401 and 403: 400 to 599.
        status: Option<u16>,
        /// For browsers without a valid token.
        redirect: Option<RawRedirect>,
    }

    /// Where a browser is sent to that asks for `text/html` and has no valid token.
    pub(in crate::policy) struct RawRedirect {
        /// A URL or a path; `{original_url}` and `{original_path}` in it are replaced, percent-encoded.
        location: String,
        /// 302, 303 or 307. Default 302.
        status: Option<u16>,
    }

    /// What a request needs: exactly one of these.
    pub(in crate::policy) struct RawRequirement {
        /// A valid token of this provider.
        provider_name: Option<String>,
        /// A valid token of a provider, for other audiences than it says.
        provider_and_audiences: Option<RawProviderAndAudiences>,
        /// One of several.
        requires_any: Option<RawRequirementList>,
        /// Each of several.
        requires_all: Option<RawRequirementList>,
        /// No token, or a valid one.
        allow_missing: Option<RawEmpty>,
        /// Nothing: identity headers tell whether there was a valid token.
        allow_missing_or_failed: Option<RawEmpty>,
        /// Nothing: claims of a token go upstream that nobody has checked.
        extract_only_without_validation: Option<RawExtractOnly>,
    }

    /// A valid token of a provider, for other audiences than it says.
    pub(in crate::policy) struct RawProviderAndAudiences {
        /// The provider.
        provider_name: String,
        /// The audiences; `aud` has to name one of them.
        audiences: Vec<String>,
    }

    /// Several requirements.
    pub(in crate::policy) struct RawRequirementList {
        /// The requirements.
        requirements: Vec<RawRequirement>,
    }

    /// Claims that nobody has checked.
    pub(in crate::policy) struct RawExtractOnly {
        /// The header that tells so: `false`. Default `x-jwt-signature-verified`.
        verification_status_header: Option<String>,
    }

    /// An empty object.
    pub(in crate::policy) struct RawEmpty {}
}
