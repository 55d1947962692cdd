//! Rules and requirements as they are written.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::RawStringMatcher;

/// Which requests need what. Without `requires` and `requirement_name`, nothing: the rule opens its
/// path.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRule {
    /// 1 to 64 letters, digits, `-`, `_` and `.`, for logs and reports. Default: the rule's index.
    pub(in crate::policy) name: Option<String>,
    /// The requests that the rule is for.
    pub(in crate::policy) r#match: RawMatch,
    /// What they need.
    pub(in crate::policy) requires: Option<RawRequirement>,
    /// What they need, as an entry of `requirement_map`.
    pub(in crate::policy) requirement_name: Option<String>,
    /// Scopes that a token has to have, all of them, in `scope` or `scp`.
    pub(in crate::policy) scopes: Option<Vec<String>>,
    /// What a token's claims have to be, all of it.
    pub(in crate::policy) claims: Option<Vec<RawClaimCondition>>,
    /// How denials are answered.
    pub(in crate::policy) deny_response: Option<RawDenyResponse>,
    /// Whether the rule is on trial: it tells what it would have done, and the next rule that matches
    /// decides. Without one, the request passes.
    #[serde(default)]
    pub(in crate::policy) report_only: bool,
    /// The header that tells the upstream. Default `x-postern-report-only`.
    pub(in crate::policy) report_only_header: Option<String>,
}

/// The requests that a rule is for: one of the first seven members, and all of the others. Paths are
/// compared with the decoded path, without the query.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawMatch {
    /// What the path begins with.
    pub(in crate::policy) prefix: Option<String>,
    /// The path itself.
    pub(in crate::policy) path: Option<String>,
    /// A regular expression that all of the path has to match.
    pub(in crate::policy) safe_regex: Option<RawRegex>,
    /// What the path is, or begins with before a `/`.
    pub(in crate::policy) path_separated_prefix: Option<String>,
    /// `*` is a segment, `**` the rest, `{name}` a segment with a name.
    pub(in crate::policy) path_template: Option<String>,
    /// Envoy's way to say `path_template`.
    pub(in crate::policy) path_match_policy: Option<RawPathMatchPolicy>,
    /// The method `CONNECT`.
    pub(in crate::policy) connect_matcher: Option<RawEmpty>,
    /// Whether the case of a path counts; not for regular expressions. Default: it does.
    pub(in crate::policy) case_sensitive: Option<bool>,
    /// The methods. Default: all.
    pub(in crate::policy) methods: Option<Vec<String>>,
    /// Header fields.
    #[serde(default)]
    pub(in crate::policy) headers: Vec<RawHeaderMatcher>,
    /// Query parameters.
    #[serde(default)]
    pub(in crate::policy) query_parameters: Vec<RawQueryParameterMatcher>,
    /// gRPC calls only.
    pub(in crate::policy) grpc: Option<RawEmpty>,
}

/// A regular expression.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRegex {
    /// The expression; all of the text has to match it.
    pub(in crate::policy) regex: String,
}

/// Envoy's way to say `path_template`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawPathMatchPolicy {
    /// Has no effect.
    #[serde(rename = "name")]
    pub(in crate::policy) _name: Option<String>,
    /// The template.
    pub(in crate::policy) typed_config: RawUriTemplate,
}

/// Envoy's `UriTemplateMatchConfig`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawUriTemplate {
    /// The type's URL.
    #[serde(rename = "@type")]
    pub(in crate::policy) type_url: String,
    /// As `path_template` of a match.
    pub(in crate::policy) path_template: String,
}

/// A header field. At most one thing may be asked of its value; without one, it has to be there. A
/// missing field does not match, inverted or not.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawHeaderMatcher {
    /// Its name, or `:method`, `:path`, `:authority` or `:scheme`. Several values are joined by `,`.
    pub(in crate::policy) name: String,
    /// The value.
    pub(in crate::policy) exact_match: Option<String>,
    /// What it begins with.
    pub(in crate::policy) prefix_match: Option<String>,
    /// What it ends with.
    pub(in crate::policy) suffix_match: Option<String>,
    /// A part of it.
    pub(in crate::policy) contains_match: Option<String>,
    /// A regular expression that all of it has to match.
    pub(in crate::policy) safe_regex_match: Option<RawRegex>,
    /// A range of whole numbers.
    pub(in crate::policy) range_match: Option<RawRange>,
    /// Whether the field is there.
    pub(in crate::policy) present_match: Option<bool>,
    /// What it is.
    pub(in crate::policy) string_match: Option<RawStringMatcher>,
    /// Whether a value that does not match is asked for.
    #[serde(default)]
    pub(in crate::policy) invert_match: bool,
    /// Whether a missing field counts as an empty one.
    #[serde(default)]
    pub(in crate::policy) treat_missing_header_as_empty: bool,
}

/// Whole numbers.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRange {
    /// The first.
    pub(in crate::policy) start: i64,
    /// The first behind them.
    pub(in crate::policy) end: i64,
}

/// A query parameter, decoded. A request that has it twice, or in a spelling that only some services
/// read, is refused.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawQueryParameterMatcher {
    /// Its name.
    pub(in crate::policy) name: String,
    /// What its value is.
    pub(in crate::policy) string_match: Option<RawStringMatcher>,
    /// Whether it is there. Default: it is.
    pub(in crate::policy) present_match: Option<bool>,
}

/// A claim, by `name` or `path`, and one thing that is asked of it. For `exact`, `prefix` and `one_of`, an
/// array fits where any of its elements does.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawClaimCondition {
    /// The claim; `a.b` reaches into objects.
    pub(in crate::policy) name: Option<String>,
    /// The claim, as a list of names, for names with dots.
    pub(in crate::policy) path: Option<Vec<String>>,
    /// The value: a string, a number or a boolean.
    pub(in crate::policy) exact: Option<Value>,
    /// What a string begins with; not empty.
    pub(in crate::policy) prefix: Option<String>,
    /// Values of which it is one.
    pub(in crate::policy) one_of: Option<Vec<Value>>,
    /// An element of an array, or a word of a space-separated string.
    pub(in crate::policy) contains: Option<Value>,
    /// A number that it exceeds.
    pub(in crate::policy) greater_than: Option<f64>,
    /// A number that it reaches.
    pub(in crate::policy) at_least: Option<f64>,
    /// A number that it does not reach.
    pub(in crate::policy) less_than: Option<f64>,
    /// A number that it does not exceed.
    pub(in crate::policy) at_most: Option<f64>,
    /// Whether it is there.
    pub(in crate::policy) present: Option<bool>,
}

/// How a rule's denials are answered where that is not by the book.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawDenyResponse {
    /// In place of 401 and 403: 400 to 599.
    pub(in crate::policy) status: Option<u16>,
    /// For browsers without a valid token.
    pub(in crate::policy) redirect: Option<RawRedirect>,
}

/// Where a browser is sent to that asks for `text/html` and has no valid token.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRedirect {
    /// A URL or a path; `{original_url}` and `{original_path}` in it are replaced, percent-encoded.
    pub(in crate::policy) location: String,
    /// 302, 303 or 307. Default 302.
    pub(in crate::policy) status: Option<u16>,
}

/// What a request needs: exactly one of these.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRequirement {
    /// A valid token of this provider.
    pub(in crate::policy) provider_name: Option<String>,
    /// A valid token of a provider, for other audiences than it says.
    pub(in crate::policy) provider_and_audiences: Option<RawProviderAndAudiences>,
    /// One of several.
    pub(in crate::policy) requires_any: Option<RawRequirementList>,
    /// Each of several.
    pub(in crate::policy) requires_all: Option<RawRequirementList>,
    /// No token, or a valid one.
    pub(in crate::policy) allow_missing: Option<RawEmpty>,
    /// Nothing: identity headers tell whether there was a valid token.
    pub(in crate::policy) allow_missing_or_failed: Option<RawEmpty>,
    /// Nothing: claims of a token go upstream that nobody has checked.
    pub(in crate::policy) extract_only_without_validation: Option<RawExtractOnly>,
}

/// A valid token of a provider, for other audiences than it says.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawProviderAndAudiences {
    /// The provider.
    pub(in crate::policy) provider_name: String,
    /// The audiences; `aud` has to name one of them.
    pub(in crate::policy) audiences: Vec<String>,
}

/// Several requirements.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawRequirementList {
    /// The requirements.
    pub(in crate::policy) requirements: Vec<RawRequirement>,
}

/// Claims that nobody has checked.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawExtractOnly {
    /// The header that tells so: `false`. Default `x-jwt-signature-verified`.
    pub(in crate::policy) verification_status_header: Option<String>,
}

/// An empty object.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(in crate::policy) struct RawEmpty {}
