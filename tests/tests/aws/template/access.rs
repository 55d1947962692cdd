//! Who may do what: least privilege, held to the list of calls that each role makes.

use serde_json::{Value, json};

use super::document::{Resource, Template};
use super::{EXAMPLE, SERVICE, example, service, texts};

/// The calls that may name no resource, and why.
const WITHOUT_A_RESOURCE: [(&str, &str); 2] = [
    ("xray:PutTraceSegments", "X-Ray has no resource types for it"),
    ("xray:PutTelemetryRecords", "X-Ray has no resource types for it"),
];

/// What every function does besides.
const EVERY_FUNCTION: [&str; 4] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
];

/// What the functions ask of AWS, by their handler. A call that the code gains has to be added here.
const CALLS: [(&str, &[&str]); 3] = [
    (
        "api",
        &[
            "dynamodb:BatchGetItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "secretsmanager:GetSecretValue",
        ],
    ),
    ("authorizer", &[]),
    (
        "rotation",
        &[
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ],
    ),
];

const SECRETS: &str = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:\
                       postern/${Stage}/*";

fn statements<'t>(role: &Resource<'t>) -> Vec<&'t Value> {
    let policies = role.property("Policies").as_array().expect("a role has policies of its own");
    let documents = policies.iter().map(|policy| &policy["PolicyDocument"]["Statement"]);
    documents.flat_map(|statements| statements.as_array().expect("a list")).collect()
}

fn calls<'t>(role: &Resource<'t>) -> Vec<&'t str> {
    let mut calls: Vec<&str> =
        statements(role).iter().flat_map(|statement| texts(&statement["Action"])).collect();
    calls.sort_unstable();
    // Some are allowed on this and on that.
    calls.dedup();
    calls
}

/// Whatever in a value is, or begins or ends like, "any resource".
fn is_open(resource: &Value) -> bool {
    let text = resource.as_str().or_else(|| resource["Fn::Sub"].as_str());
    text.is_some_and(|text| text.split(':').next_back().unwrap().starts_with('*'))
}

fn role_of<'t>(template: &'t Template, function: &Resource<'_>) -> Resource<'t> {
    template.resource(&function.refers_to("Role"))
}

#[test]
fn only_calls_that_have_no_resources_may_name_any() {
    for template in [service(), example()] {
        for role in template.of_type("AWS::IAM::Role") {
            for statement in statements(&role) {
                let place = format!("{}: {}: {}", template.file, role.name, statement["Sid"]);
                assert_eq!(statement["Effect"], "Allow", "{place}");
                assert!(statement["NotAction"].is_null(), "{place}");
                assert!(statement["NotResource"].is_null(), "{place}");
                let resources = match &statement["Resource"] {
                    Value::Array(all) => all.clone(),
                    one => vec![one.clone()],
                };
                for call in texts(&statement["Action"]) {
                    assert!(!call.contains('*'), "{place}: {call}");
                    let allowed = WITHOUT_A_RESOURCE.iter().any(|(name, _)| *name == call);
                    let open = resources.iter().any(is_open);
                    assert!(allowed || !open, "{place}: {call} on {}", statement["Resource"]);
                }
            }
        }
    }
}

#[test]
fn nobody_has_rights_from_elsewhere() {
    for template in [service(), example()] {
        for role in template.of_type("AWS::IAM::Role") {
            let place = format!("{}: {}", template.file, role.name);
            assert!(role.property("ManagedPolicyArns").is_null(), "{place}");
            let trust = &role.property("AssumeRolePolicyDocument")["Statement"];
            let expected = json!([{
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": "sts:AssumeRole"
            }]);
            assert_eq!(trust, &expected, "{place}");
        }
        for function in template.functions() {
            let place = format!("{}: {}", template.file, function.name);
            assert!(function.property("Policies").is_null(), "{place}");
            assert!(function.property("Connectors").is_null(), "{place}");
        }
        let kinds = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];
        assert!(kinds.iter().all(|kind| template.of_type(kind).is_empty()), "{}", template.file);
    }
}

#[test]
fn each_function_may_make_its_own_calls_and_no_others() {
    let template = service();
    let functions = template.functions();
    assert_eq!(functions.len(), CALLS.len());
    for (handler, own) in CALLS {
        let function = functions.iter().find(|one| one.property("Handler") == handler);
        let function = function.unwrap_or_else(|| panic!("no function `{handler}`"));
        let mut expected = [own, &EVERY_FUNCTION].concat();
        expected.sort_unstable();
        assert_eq!(calls(&role_of(&template, function)), expected, "{handler}");
    }
}

#[test]
fn no_two_functions_share_a_role() {
    for template in [service(), example()] {
        let mut roles: Vec<String> =
            template.functions().iter().map(|function| function.refers_to("Role")).collect();
        let count = roles.len();
        roles.sort();
        roles.dedup();
        assert_eq!(roles.len(), count, "{}", template.file);
        assert_eq!(template.of_type("AWS::IAM::Role").len(), count, "{}", template.file);
    }
}

#[test]
fn calls_are_bound_to_the_table_the_secrets_of_this_stage_and_the_own_log() {
    for template in [service(), example()] {
        for function in template.functions() {
            let log = function.property("LoggingConfig")["LogGroup"]["Ref"].as_str().unwrap();
            for statement in statements(&role_of(&template, &function)) {
                let expected = match texts(&statement["Action"])[0].split_once(':').unwrap().0 {
                    "logs" => json!({ "Fn::GetAtt": [log, "Arn"] }),
                    "dynamodb" => json!({ "Fn::GetAtt": ["Table", "Arn"] }),
                    "secretsmanager" => json!({ "Fn::Sub": SECRETS }),
                    "xray" => json!("*"),
                    other => panic!("{other}"),
                };
                assert_eq!(statement["Resource"], expected, "{}", function.name);
            }
        }
    }
}

#[test]
fn rotation_reaches_domains_and_secrets_that_name_it_only() {
    let template = service();
    let role = template.resource("RotationRole");
    let find = |sid: &str| statements(&role).into_iter().find(|one| one["Sid"] == sid).unwrap();
    assert_eq!(
        find("Domains")["Condition"],
        json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": "domain#*" } })
    );
    let name = template.resource("RotationFunction").property("FunctionName");
    let arn = format!(
        "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{}",
        name["Fn::Sub"].as_str().unwrap()
    );
    assert_eq!(
        find("Keys")["Condition"],
        json!({ "StringEquals": { "secretsmanager:resource/AllowRotationLambdaArn": { "Fn::Sub": arn } } })
    );
}

/// Whoever takes the function over must not be able to bring a withdrawn key back, nor a session that
/// was revoked, nor to enrol an edge.
#[test]
fn the_issuer_writes_to_no_domain_and_to_no_edge() {
    let template = service();
    let role = template.resource("ApiRole");
    for statement in statements(&role) {
        let calls = texts(&statement["Action"]);
        if calls.iter().all(|call| !call.starts_with("dynamodb:") || call.ends_with("GetItem")) {
            continue;
        }
        let of_lists = statement["Sid"] == "Revocations";
        assert!(!(of_lists && calls.contains(&"dynamodb:DeleteItem")));
        assert!(of_lists || !calls.contains(&"dynamodb:Query"));
        let own = if of_lists {
            json!("status#*")
        } else {
            json!(["user#*", "failures#*", "contacts#*", "ready"])
        };
        let own = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": own } });
        assert_eq!(statement["Condition"], own);
    }
}

/// Else any account could have its Secrets Manager, or its API, call these functions.
#[test]
fn functions_are_called_by_services_of_this_account_only() {
    for template in [service(), example()] {
        let permissions = template.of_type("AWS::Lambda::Permission");
        assert!(!permissions.is_empty());
        for permission in permissions {
            let place = format!("{}: {}", template.file, permission.name);
            assert_eq!(permission.property("Action"), "lambda:InvokeFunction", "{place}");
            match permission.property("Principal").as_str().unwrap() {
                "secretsmanager.amazonaws.com" => assert_eq!(
                    permission.property("SourceAccount"),
                    &json!({ "Ref": "AWS::AccountId" }),
                    "{place}"
                ),
                "apigateway.amazonaws.com" => {
                    let source = permission.property("SourceArn")["Fn::Sub"].as_str().unwrap();
                    let prefix =
                        "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${";
                    assert!(source.starts_with(prefix), "{place}: {source}");
                }
                other => panic!("{place}: {other}"),
            }
        }
    }
    let rotation = service();
    let rotation = rotation.resource("RotationPermission");
    assert_eq!(rotation.refers_to("FunctionName"), "RotationFunction");
}

/// The checks above see what they are to see.
#[test]
fn open_resources_are_told_from_bound_ones() {
    let open = [json!("*"), json!("arn:aws:s3:::*"), json!({ "Fn::Sub": "arn:aws:lambda:r:a:*" })];
    let bound = [json!({ "Fn::Sub": SECRETS }), json!({ "Fn::GetAtt": ["Table", "Arn"] })];
    assert!(open.iter().all(is_open));
    assert!(!bound.iter().any(is_open));
    assert_ne!(SERVICE, EXAMPLE);
}
