//! What a rule asks of a token beyond its validity: scopes and claims.

use serde_json::Value;

use super::{error::PolicyError, raw::RawClaimCondition};
use crate::{claims::Claims, denial::Denial};

/// All of it has to hold. The default asks for nothing.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    scopes: Vec<String>,
    claims: Vec<ClaimCondition>,
}

#[derive(Debug)]
struct ClaimCondition {
    path: Vec<String>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// The claim, or an element of it, is one of these scalars.
    OneOf(Vec<Value>),
    /// The claim, or an element of it, is a string that begins so.
    Prefix(String),
    /// The claim is an array with this element, or a string with this word.
    Contains(Value),
    Number(Comparison, f64),
    Present(bool),
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    GreaterThan,
    AtLeast,
    LessThan,
    AtMost,
}

impl Conditions {
    /// The members `scopes` and `claims` of the rule that `member` names.
    pub(super) fn new(
        scopes: Option<&[String]>,
        claims: Option<&[RawClaimCondition]>,
        member: &str,
    ) -> Result<Self, PolicyError> {
        let place = |field: &str| format!("{member}.{field}");
        let condition = |(index, raw): (usize, &RawClaimCondition)| {
            ClaimCondition::new(raw, &place(&format!("claims[{index}]")))
        };
        let empty = "it must not be empty; leave it out to ask for nothing";
        if scopes.is_some_and(<[_]>::is_empty) {
            return Err(PolicyError::new(place("scopes"), empty));
        }
        if claims.is_some_and(<[_]>::is_empty) {
            return Err(PolicyError::new(place("claims"), empty));
        }
        let scopes = scopes.unwrap_or_default();
        if let Some(index) = scopes.iter().position(|scope| !is_scope_token(scope)) {
            let reason = "a scope is visible ASCII without blanks, `\"` and `\\`";
            return Err(PolicyError::new(place(&format!("scopes[{index}]")), reason));
        }
        let claims = claims.unwrap_or_default().iter().enumerate();
        Ok(Self {
            scopes: scopes.to_vec(),
            claims: claims.map(condition).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.claims.is_empty()
    }

    /// # Errors
    ///
    /// [`Denial::InsufficientScope`], which names the scopes that are needed.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), Denial> {
        let has_scopes = self.scopes.iter().all(|scope| has_scope(claims, scope));
        if has_scopes && self.claims.iter().all(|condition| condition.holds(claims)) {
            return Ok(());
        }
        Err(Denial::InsufficientScope { scope: self.scopes.join(" ") })
    }
}

/// `scope` (RFC 8693 §4.2) and `scp`, which some issuers write instead; each a string of words or
/// an array of strings.
fn has_scope(claims: &Claims, scope: &str) -> bool {
    ["scope", "scp"].into_iter().filter_map(|name| claims.value(&[name])).any(|value| match value {
        Value::String(words) => words.split(' ').any(|word| word == scope),
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(scope)),
        _ => false,
    })
}

/// RFC 6749 §3.3: what can stand in the `scope` of a challenge, too.
fn is_scope_token(scope: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    !scope.is_empty() && scope.bytes().all(is_allowed)
}

impl ClaimCondition {
    fn new(raw: &RawClaimCondition, member: &str) -> Result<Self, PolicyError> {
        let members = ("name", "path");
        let path = claim_path(raw.name.as_deref(), raw.path.as_deref(), members, member)?;
        Ok(Self { path, test: Test::new(raw, member)? })
    }

    fn holds(&self, claims: &Claims) -> bool {
        self.test.holds(claims.value_at(&self.path))
    }
}

/// The member names of a claim within claims: of a dotted name, or of a list of names.
pub(super) fn claim_path(
    name: Option<&str>,
    path: Option<&[String]>,
    (name_member, path_member): (&str, &str),
    member: &str,
) -> Result<Vec<String>, PolicyError> {
    let error = |field: &str, reason: &str| PolicyError::new(format!("{member}.{field}"), reason);
    match (name, path) {
        (Some(name), None) => {
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            if path.iter().any(String::is_empty) {
                return Err(error(name_member, "it must name a claim, such as `sub` or `a.b`"));
            }
            if path.len() > 1 && name.contains(['/', ':']) {
                let reason = format!("its dots would reach into objects; use `{path_member}`");
                return Err(error(name_member, &reason));
            }
            Ok(path)
        }
        (None, Some(path)) if !path.is_empty() => Ok(path.to_vec()),
        (None, Some(_)) => Err(error(path_member, "it must not be empty")),
        _ => {
            let reason = format!("it needs one of `{name_member}` and `{path_member}`");
            Err(PolicyError::new(member, reason))
        }
    }
}

impl Test {
    fn new(raw: &RawClaimCondition, member: &str) -> Result<Self, PolicyError> {
        let mut named = Vec::new();
        if let Some(value) = &raw.exact {
            named.push(scalars(std::slice::from_ref(value), &format!("{member}.exact")));
        }
        if let Some(values) = &raw.one_of {
            named.push(scalars(values, &format!("{member}.one_of")));
        }
        if let Some(prefix) = &raw.prefix {
            let empty = PolicyError::new(format!("{member}.prefix"), "it must not be empty");
            named.push(if prefix.is_empty() {
                Err(empty)
            } else {
                Ok(Self::Prefix(prefix.clone()))
            });
        }
        if let Some(value) = &raw.contains {
            let checked = scalars(std::slice::from_ref(value), &format!("{member}.contains"));
            named.push(checked.map(|_| Self::Contains(value.clone())));
        }
        for (comparison, bound) in [
            (Comparison::GreaterThan, raw.greater_than),
            (Comparison::AtLeast, raw.at_least),
            (Comparison::LessThan, raw.less_than),
            (Comparison::AtMost, raw.at_most),
        ] {
            named.extend(bound.map(|bound| Ok(Self::Number(comparison, bound))));
        }
        named.extend(raw.present.map(|present| Ok(Self::Present(present))));
        match named.pop() {
            Some(test) if named.is_empty() => test,
            _ => {
                let reason = "it needs one of `exact`, `prefix`, `one_of`, `contains`, \
                              `greater_than`, `at_least`, `less_than`, `at_most` and `present`";
                Err(PolicyError::new(member, reason))
            }
        }
    }

    fn holds(&self, claim: Option<&Value>) -> bool {
        // A `null` says no more than a claim that is not there.
        let claim = claim.filter(|claim| !claim.is_null());
        if let Self::Present(present) = self {
            return claim.is_some() == *present;
        }
        let Some(claim) = claim else { return false };
        match self {
            Self::OneOf(values) => {
                any_element(claim, |element| values.iter().any(|value| equal(element, value)))
            }
            Self::Prefix(prefix) => any_element(claim, |element| {
                element.as_str().is_some_and(|text| text.starts_with(prefix.as_str()))
            }),
            Self::Contains(value) => contains(claim, value),
            Self::Number(comparison, bound) => {
                claim.as_f64().is_some_and(|number| comparison.holds(number, *bound))
            }
            Self::Present(_) => false,
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::GreaterThan => number > bound,
            Self::AtLeast => number >= bound,
            Self::LessThan => number < bound,
            Self::AtMost => number <= bound,
        }
    }
}

fn scalars(values: &[Value], member: &str) -> Result<Test, PolicyError> {
    let is_scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    if values.is_empty() || !values.iter().all(is_scalar) {
        return Err(PolicyError::new(member, "it must be a string, a number or a boolean"));
    }
    Ok(Test::OneOf(values.to_vec()))
}

/// An array claim fits where any of its elements does.
fn any_element(claim: &Value, fits: impl Fn(&Value) -> bool) -> bool {
    match claim {
        Value::Array(items) => items.iter().any(fits),
        other => fits(other),
    }
}

/// Words, not parts of words: `admin` is not in `badminton`.
fn contains(claim: &Value, value: &Value) -> bool {
    match claim {
        Value::Array(items) => items.iter().any(|item| equal(item, value)),
        Value::String(words) => {
            value.as_str().is_some_and(|word| words.split(' ').any(|found| found == word))
        }
        _ => false,
    }
}

/// Numbers are equal by value: `1` and `1.0` are one number (RFC 8259 §6).
fn equal(claim: &Value, value: &Value) -> bool {
    match (claim, value) {
        (Value::Number(claim), Value::Number(value)) => {
            claim == value || (claim.is_f64() || value.is_f64()) && claim.as_f64() == value.as_f64()
        }
        _ => claim == value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::read::FromValue;

    fn holds(condition: Value, claim: &Value) -> bool {
        let mut condition = condition;
        condition["path"] = json!(["a.b", "c"]);
        let raw: RawClaimCondition = FromValue::from_value(&condition).unwrap();
        let conditions = Conditions::new(None, Some(&[raw]), "rule").unwrap();
        let claims = match claim {
            Value::Null => json!({}),
            claim => json!({"a.b": {"c": claim}}),
        };
        conditions.check(&Claims::new(claims.as_object().unwrap().clone())).is_ok()
    }

    #[test]
    fn conditions_hold_as_they_say() {
        for (condition, fits, misfits) in [
            (
                json!({"exact": "x"}),
                vec![json!("x"), json!(["y", "x"])],
                vec![json!("X"), json!(["xy"]), json!({"x": 1})],
            ),
            (
                json!({"exact": 1}),
                vec![json!(1), json!(1.0)],
                vec![json!("1"), json!(2), json!(true)],
            ),
            (
                json!({"exact": true}),
                vec![json!(true)],
                vec![json!("true"), json!(1), json!(false)],
            ),
            (
                json!({"one_of": ["x", 2]}),
                vec![json!("x"), json!(2), json!([2])],
                vec![json!("2"), json!([])],
            ),
            (
                json!({"prefix": "x"}),
                vec![json!("x"), json!("xy"), json!(["a", "xa"])],
                vec![json!("ax"), json!(1)],
            ),
            (
                json!({"contains": "x"}),
                vec![json!(["x"]), json!("a x b"), json!("x")],
                vec![json!("ax b"), json!(["ax"]), json!({"x": 1})],
            ),
            (json!({"contains": 1}), vec![json!([1])], vec![json!("1"), json!(["1"]), json!(1)]),
            (json!({"greater_than": 1}), vec![json!(1.5)], vec![json!(1), json!("2"), json!([2])]),
            (json!({"at_least": 1}), vec![json!(1)], vec![json!(0.9)]),
            (json!({"less_than": 1}), vec![json!(0)], vec![json!(1)]),
            (json!({"at_most": 1}), vec![json!(1), json!(-5)], vec![json!(1.1)]),
            (json!({"present": true}), vec![json!(0), json!("")], vec![]),
        ] {
            for claim in fits {
                assert!(holds(condition.clone(), &claim), "{condition} {claim}");
            }
            for claim in misfits {
                assert!(!holds(condition.clone(), &claim), "{condition} {claim}");
            }
            assert!(!holds(condition.clone(), &Value::Null), "{condition} without the claim");
        }
        assert!(holds(json!({"present": false}), &Value::Null));
        assert!(!holds(json!({"present": false}), &json!(1)));
        let null = Claims::new(json!({"a": null}).as_object().unwrap().clone());
        let present = |present: bool| {
            let raw = json!([{"name": "a", "present": present}]);
            let raw: Vec<RawClaimCondition> = FromValue::from_value(&raw).unwrap();
            Conditions::new(None, Some(&raw), "rule").unwrap().check(&null).is_ok()
        };
        assert!(present(false) && !present(true), "`null` says nothing");
    }

    #[test]
    fn scopes_are_read_from_both_claims_and_both_forms() {
        let has = |claims: Value, scopes: &[&str]| {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let conditions = Conditions::new(Some(&scopes), None, "rule").unwrap();
            conditions.check(&Claims::new(claims.as_object().unwrap().clone())).is_ok()
        };
        assert!(has(json!({"scope": "a b"}), &["a", "b"]));
        assert!(has(json!({"scp": ["a", "b"]}), &["b"]));
        assert!(has(json!({"scope": ["a"], "scp": "b c"}), &["a", "c"]));
        assert!(!has(json!({"scope": "a bc"}), &["b"]));
        assert!(!has(json!({"scope": "a"}), &["a", "b"]));
        assert!(!has(json!({"scope": "A"}), &["a"]));
        assert!(!has(json!({"scope": {"a": true}, "scopes": "a"}), &["a"]));
        assert!(!has(json!({}), &["a"]));
    }

    #[test]
    fn an_error_names_the_member() {
        let error = |claims: Value| {
            let raw: Vec<RawClaimCondition> = FromValue::from_value(&claims).unwrap();
            Conditions::new(None, Some(&raw), "rules[0]").unwrap_err().to_string()
        };
        for (claims, expected) in [
            (json!([]), "rules[0].claims: it must not be empty"),
            (json!([{"exact": 1}]), "rules[0].claims[0]: it needs one of `name` and `path`"),
            (json!([{"name": "a", "path": ["a"], "exact": 1}]), "rules[0].claims[0]: it needs one"),
            (json!([{"name": "a..b", "exact": 1}]), "rules[0].claims[0].name: it must name a"),
            (
                json!([{"name": "https://example.com/banned", "present": false}]),
                "rules[0].claims[0].name: its dots would reach into objects; use `path`",
            ),
            (json!([{"path": [], "exact": 1}]), "rules[0].claims[0].path: it must not be"),
            (json!([{"name": "a"}]), "rules[0].claims[0]: it needs one of `exact`"),
            (json!([{"name": "a", "exact": 1, "at_most": 1}]), "rules[0].claims[0]: it needs one"),
            (json!([{"name": "a", "exact": [1]}]), "rules[0].claims[0].exact: it must be a"),
            (json!([{"name": "a", "one_of": []}]), "rules[0].claims[0].one_of: it must be a"),
            (json!([{"name": "a", "prefix": ""}]), "rules[0].claims[0].prefix: it must not be"),
        ] {
            let message = error(claims.clone());
            assert!(message.starts_with(expected), "{claims}: {message}");
        }
        for scope in ["", "a b", "a\"b", "é"] {
            let message = Conditions::new(Some(&[scope.to_owned()]), None, "rules[0]");
            let message = message.unwrap_err().to_string();
            assert!(message.starts_with("rules[0].scopes[0]: a scope is visible"), "{message}");
        }
    }
}
