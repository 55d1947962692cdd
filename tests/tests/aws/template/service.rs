//! The stack of the issuer: what it keeps, watches and calls itself.

use std::collections::BTreeSet;
use std::fs;

use postern_tests::workspace_root;
use serde_json::{Value, json};

use super::service;

#[test]
fn the_table_is_the_one_that_the_code_knows_and_can_be_restored() {
    let template = service();
    let table = template.resource("Table");
    let attributes = [("pk", "HASH"), ("sk", "RANGE")];
    let keys = attributes.map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind }));
    assert_eq!(table.property("KeySchema"), &json!(keys));
    let types = attributes.map(|(name, _)| json!({ "AttributeName": name, "AttributeType": "S" }));
    assert_eq!(table.property("AttributeDefinitions"), &json!(types));
    for (property, value) in [
        ("BillingMode", json!("PAY_PER_REQUEST")),
        ("DeletionProtectionEnabled", json!(true)),
        ("PointInTimeRecoverySpecification", json!({ "PointInTimeRecoveryEnabled": true })),
        ("SSESpecification", json!({ "SSEEnabled": true })),
        ("TimeToLiveSpecification", json!({ "AttributeName": "ttl", "Enabled": true })),
        ("GlobalSecondaryIndexes", Value::Null),
    ] {
        assert_eq!(table.property(property), &value, "{property}");
    }
}

#[test]
fn neither_table_nor_secret_goes_with_the_stack() {
    let template = service();
    for name in ["Table", "DomainSecret"] {
        let resource = template.resource(name);
        let kept = resource.attribute("DeletionPolicy").as_str().unwrap();
        assert!(["Retain", "RetainExceptOnCreate"].contains(&kept), "{name}: {kept}");
        assert_eq!(resource.attribute("UpdateReplacePolicy"), "Retain", "{name}");
    }
}

#[test]
fn the_first_domains_secret_rotates() {
    let template = service();
    let secret = template.resource("DomainSecret");
    let name = json!({ "Fn::Sub": "postern/${Stage}/${DomainName}" });
    assert_eq!(secret.property("Name"), &name);
    // Any other value would be taken for a key set.
    assert_eq!(secret.property("SecretString"), "{}");
    let schedule = template.resource("DomainRotation");
    assert_eq!(schedule.refers_to("SecretId"), "DomainSecret");
    assert_eq!(schedule.refers_to("RotationLambdaARN"), "RotationFunction");
    // Secrets Manager asks the function at once: it must be let.
    assert_eq!(schedule.attribute("DependsOn"), "RotationPermission");
    let rules = json!({ "AutomaticallyAfterDays": { "Ref": "RotationDays" } });
    assert_eq!(schedule.property("RotationRules"), &rules);
}

#[test]
fn functions_are_of_one_build() {
    let template = service();
    for function in template.functions() {
        let name = function.name;
        let code = json!({ "Fn::Sub": "../../dist/aws/${Architecture}/" });
        assert_eq!(function.property("CodeUri"), &code, "{name}");
        let metadata = json!({ "BuildMethod": "makefile", "ContextPath": "." });
        assert_eq!(function.attribute("Metadata"), &metadata, "{name}");
    }
    let globals = &template.section("Globals")["Function"];
    assert_eq!(globals["Runtime"], "provided.al2023");
    assert_eq!(globals["Architectures"], json!([{ "Ref": "Architecture" }]));
    let architectures = &template.section("Parameters")["Architecture"];
    assert_eq!(architectures["AllowedValues"], json!(["arm64", "x86_64"]));
}

#[test]
fn every_function_is_traced_and_logs_for_a_bounded_time() {
    for template in [service(), super::example()] {
        let globals = template.section("Globals")["Function"]["Tracing"].clone();
        let mut logs = BTreeSet::new();
        for function in template.functions() {
            let own = function.property("Tracing");
            let tracing = if own.is_null() { &globals } else { own };
            assert_eq!(tracing, "Active", "{}", function.name);
            let log = function.property("LoggingConfig")["LogGroup"]["Ref"].as_str().unwrap();
            assert!(logs.insert(log.to_owned()), "{log} is another function's");
        }
        for log in template.of_type("AWS::Logs::LogGroup") {
            let retention = json!({ "Ref": "LogRetentionDays" });
            assert_eq!(log.property("RetentionInDays"), &retention, "{}", log.name);
            logs.remove(log.name);
        }
        assert_eq!(logs, BTreeSet::new(), "{}: no such log groups", template.file);
    }
}

/// The issuer's name for itself, which every token holds, and where the authorizer asks for its keys.
#[test]
fn issuer_and_authorizer_agree_on_the_issuers_url() {
    let template = service();
    let api = template.resource("ApiFunction");
    let authorizer = template.resource("AuthorizerFunction");
    let output = &template.section("Outputs")["IssuerUrl"]["Value"];
    let url = &api.property("Environment")["Variables"]["POSTERN_ISSUER_URL"];
    assert_eq!(url, output);
    let none = json!({ "Ref": "AWS::NoValue" });
    let asked = &authorizer.property("Environment")["Variables"]["POSTERN_ISSUER_URL"];
    assert_eq!(asked, &json!({ "Fn::If": ["HasPolicy", none, url] }));
    let header = json!({ "Ref": "TokenHeader" });
    let issuers = &api.property("Environment")["Variables"]["POSTERN_TOKEN_HEADER"];
    let authorizers = &authorizer.property("Environment")["Variables"]["POSTERN_TOKEN_HEADER"];
    assert_eq!(issuers, &header);
    assert_eq!(authorizers, &json!({ "Fn::If": ["HasPolicy", none, header] }));
}

/// A stage in the path would make every route unknown.
#[test]
fn the_http_apis_stage_is_no_part_of_its_paths() {
    let template = service();
    assert_eq!(template.resource("HttpStage").property("StageName"), "$default");
    let integration = template.resource("HttpIntegration");
    assert_eq!(integration.property("PayloadFormatVersion"), "2.0");
    assert!(integration.property("RequestParameters").is_null());
}

/// The program answers every path, and has the one list of them.
#[test]
fn every_path_reaches_the_issuer() {
    let template = service();
    assert_eq!(template.resource("HttpDefaultRoute").property("RouteKey"), "$default");
    assert_eq!(template.resource("RestProxy").property("PathPart"), "{proxy+}");
    assert_eq!(template.resource("RestMethod").property("HttpMethod"), "ANY");
    for name in ["HttpDefaultRoute", "HttpLoginRoute"] {
        let target = json!({ "Fn::Sub": "integrations/${HttpIntegration}" });
        assert_eq!(template.resource(name).property("Target"), &target, "{name}");
    }
}

/// A log of requests is read by more people than tokens are for.
#[test]
fn the_access_log_has_neither_headers_nor_queries() {
    let template = service();
    let settings = template.resource("HttpStage").property("AccessLogSettings");
    let format = settings["Format"].as_str().unwrap();
    let entry: Value = serde_json::from_str(format).unwrap();
    assert!(entry.as_object().unwrap().len() > 5);
    for word in ["header", "query", "authorizer", "rawPath", "body"] {
        assert!(!format.to_lowercase().contains(&word.to_lowercase()), "{word}");
    }
}

#[test]
fn every_way_to_fail_has_an_alarm_and_every_alarm_can_be_heard() {
    let template = service();
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let mut watched = BTreeSet::new();
    for alarm in &alarms {
        let actions = &alarm.property("AlarmActions")["Fn::If"];
        assert_eq!(actions[0], "Alarms", "{}", alarm.name);
        assert_eq!(alarm.property("TreatMissingData"), "notBreaching", "{}", alarm.name);
        watched.insert(alarm.name);
    }
    let expected = [
        "ApiDuration",
        "ApiErrors",
        "ApiThrottles",
        "AuthorizerErrors",
        "AuthorizerThrottles",
        "HttpServerErrors",
        "RestServerErrors",
        "RotationErrors",
        "RotationThrottles",
        "TableSystemErrors",
        "TableThrottles",
    ];
    assert_eq!(watched, BTreeSet::from(expected));
    // Lambda counts every 401 as an error of the authorizer.
    let alarm = template.resource("AuthorizerErrors").property("MetricName");
    let filter = template.resource("AuthorizerFailures");
    assert_eq!(*alarm, filter.property("MetricTransformations")[0]["MetricName"]);
    let pattern = filter.property("FilterPattern").to_string();
    for line in ["cannot fetch keys", "keys_unavailable"] {
        assert!(pattern.contains(line), "{line}");
    }
    let table = template.resource("TableSystemErrors");
    let text = table.property("Metrics").to_string();
    for call in ["GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"] {
        assert!(text.contains(&format!("\"{call}\"")), "{call}");
    }
}

/// The README names every parameter and every output, so that a new one is told of.
#[test]
fn the_readme_tells_of_all_parameters_and_outputs() {
    let readme = fs::read_to_string(workspace_root().join("deploy/aws/README.md")).unwrap();
    let template = service();
    for section in ["Parameters", "Outputs"] {
        for name in template.section(section).as_object().unwrap().keys() {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
    }
}
