//! The ARN of the method that is asked for.

use std::fmt;

const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

/// `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH`, or `…/STAGE/$connect` of a WebSocket API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MethodArn<'e> {
    text: &'e str,
    /// All up to and with the slash behind the stage.
    stage: &'e str,
    /// Behind it.
    rest: &'e str,
}

/// What a request asks for, by its ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'e> {
    /// A method, and a path that begins with a slash.
    Http { method: &'e str, path: &'e str },
    /// To open a WebSocket.
    Connect,
}

impl<'e> MethodArn<'e> {
    /// Takes no ARN that is not wholly one.
    pub(super) fn parse(text: &'e str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let mut segments = resource.splitn(3, '/');
        let (api, stage, rest) = (segments.next()?, segments.next()?, segments.next()?);
        let is_good = arn == "arn"
            && PARTITIONS.contains(&partition)
            && service == "execute-api"
            && is_word(region, |byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
            })
            && account.len() == 12
            && is_word(account, |byte| byte.is_ascii_digit())
            && is_word(api, |byte| byte.is_ascii_alphanumeric())
            && (stage == "$default"
                || is_word(stage, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)))
            && !rest.is_empty();
        let stage = text.strip_suffix(rest)?;
        is_good.then_some(Self { text, stage, rest })
    }

    /// What it asks for.
    pub(super) fn place(self) -> Option<Place<'e>> {
        if self.rest == "$connect" {
            return Some(Place::Connect);
        }
        let (method, _) = self.rest.split_once('/')?;
        let path = self.rest.strip_prefix(method)?;
        Some(Place::Http { method, path })
    }

    /// The resource of everything in the stage.
    pub(super) fn whole_stage(self) -> String {
        format!("{}*", self.stage)
    }

    /// The resource of this and nothing else; `None` where it would be a pattern.
    pub(super) fn alone(self) -> Option<&'e str> {
        (!self.rest.contains(['*', '?']) && !self.rest.contains("${")).then_some(self.text)
    }
}

impl fmt::Display for MethodArn<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text)
    }
}

fn is_word(text: &str, is_of_it: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(is_of_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_taken_apart() {
        let text = "arn:aws-cn:execute-api:cn-north-1:123456789012:a1b2c3/prod/GET/orders/7:x";
        let arn = MethodArn::parse(text).unwrap();
        assert_eq!(arn.place(), Some(Place::Http { method: "GET", path: "/orders/7:x" }));
        assert_eq!(
            arn.whole_stage(),
            "arn:aws-cn:execute-api:cn-north-1:123456789012:a1b2c3/prod/*"
        );
        assert_eq!(arn.alone(), Some(text));
        let connect = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/prod/$connect";
        assert_eq!(MethodArn::parse(connect).unwrap().place(), Some(Place::Connect));
        assert_eq!(MethodArn::parse(connect).unwrap().alone(), Some(connect));
        let root = "arn:aws-us-gov:execute-api:us-gov-west-1:123456789012:a1b2c3/$default/GET/";
        let place = MethodArn::parse(root).unwrap().place();
        assert_eq!(place, Some(Place::Http { method: "GET", path: "/" }));
    }

    #[test]
    fn what_is_not_wholly_an_arn_is_none() {
        for text in [
            "",
            "arn",
            "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3",
            "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/prod",
            "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/prod/",
            "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*/GET/x",
            "arn:aws:execute-api:eu-central-1:123456789012:*/prod/GET/x",
            "arn:aws:execute-api:eu-central-1:12345678901:a1b2c3/prod/GET/x",
            "arn:aws:execute-api:*:123456789012:a1b2c3/prod/GET/x",
            "arn:aws:lambda:eu-central-1:123456789012:a1b2c3/prod/GET/x",
            "arn:aws-iso:execute-api:eu-central-1:123456789012:a1b2c3/prod/GET/x",
            "ARN:aws:execute-api:eu-central-1:123456789012:a1b2c3/prod/GET/x",
        ] {
            assert_eq!(MethodArn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_that_would_be_a_pattern_stands_for_nothing_alone() {
        for path in ["*", "a*b", "a?", "${aws:username}"] {
            let text = format!("arn:aws:execute-api:eu-central-1:123456789012:a1/prod/GET/{path}");
            assert_eq!(MethodArn::parse(&text).unwrap().alone(), None, "{path}");
        }
    }
}
