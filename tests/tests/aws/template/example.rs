//! The example of an API behind the authorizer: what API Gateway remembers, and for whom.

use serde_json::json;

use super::example;

/// An answer is remembered for the token and nothing besides: by anything less, one client would be let in by
/// another's token.
#[test]
fn answers_are_remembered_by_the_header_of_the_token() {
    let template = example();
    let http = template.resource("HttpAuthorizer");
    let header = json!([{ "Fn::Sub": "$request.header.${TokenHeader}" }]);
    assert_eq!(http.property("IdentitySource"), &header);
    let rest = template.of_type("AWS::ApiGateway::Authorizer");
    let kinds = ["RestTokenAuthorizer", "RestRequestAuthorizer"];
    let kinds = kinds.map(|name| template.resource(name).property("Type"));
    assert_eq!(kinds, ["TOKEN", "REQUEST"]);
    assert_eq!(rest.len(), kinds.len());
    for authorizer in &rest {
        let header = json!({ "Fn::Sub": "method.request.header.${TokenHeader}" });
        assert_eq!(authorizer.property("IdentitySource"), &header, "{}", authorizer.name);
    }
    for authorizer in rest.iter().chain([&http]) {
        let ttl = authorizer.property("AuthorizerResultTtlInSeconds");
        assert_eq!(ttl, &json!({ "Ref": "ResultTtlSeconds" }), "{}", authorizer.name);
    }
}

/// What has expired or was withdrawn is let in for so long at most: the gates' own tolerance of clocks, by
/// default no more.
#[test]
fn answers_are_remembered_for_a_short_time() {
    let template = example();
    let ttl = &template.section("Parameters")["ResultTtlSeconds"];
    let number = |name: &str| ttl[name].as_u64().unwrap();
    assert_eq!(number("MinValue"), 0);
    assert!(number("Default") <= 60 && number("MaxValue") <= 300);
}

#[test]
fn the_http_api_speaks_as_the_authorizer_does() {
    let template = example();
    let authorizer = template.resource("HttpAuthorizer");
    assert_eq!(authorizer.property("AuthorizerType"), "REQUEST");
    assert_eq!(authorizer.property("AuthorizerPayloadFormatVersion"), "2.0");
    assert_eq!(authorizer.property("EnableSimpleResponses"), true);
}

#[test]
fn no_route_is_open() {
    let template = example();
    let routes = template.of_type("AWS::ApiGatewayV2::Route");
    let methods = template.of_type("AWS::ApiGateway::Method");
    assert_eq!((routes.len(), methods.len()), (1, 2));
    assert_eq!(routes[0].property("RouteKey"), "$default");
    for route in routes.iter().chain(&methods) {
        assert_eq!(route.property("AuthorizationType"), "CUSTOM", "{}", route.name);
        assert!(route.refers_to("AuthorizerId").ends_with("Authorizer"), "{}", route.name);
    }
}

/// Each authorizer of each API may call the function, and nothing else may.
#[test]
fn the_authorizer_is_called_by_these_apis_authorizers() {
    let template = example();
    let permissions = template.of_type("AWS::Lambda::Permission");
    let sources = permissions.iter().filter_map(|permission| {
        let foreign = permission.property("FunctionName")["Ref"] == "AuthorizerArn";
        foreign.then(|| permission.property("SourceArn")["Fn::Sub"].as_str().unwrap())
    });
    let mut ends: Vec<&str> = sources.map(|arn| arn.rsplit(':').next().unwrap()).collect();
    ends.sort_unstable();
    assert_eq!(
        ends,
        [
            "${HttpApi}/authorizers/${HttpAuthorizer}",
            "${RestApi}/authorizers/${RestRequestAuthorizer}",
            "${RestApi}/authorizers/${RestTokenAuthorizer}",
        ]
    );
}
