//! The rules of all `AuthorizationPolicy` documents, into a plan.

use super::{
    super::{
        ImportError, Notes,
        members::{Members, Node},
    },
    condition::{Condition, Subject, all_of},
    need::Need,
    operation::{Operation, TOO_MANY},
    plan::{Clause, Plan},
    provider::Provider,
    resource::Resource,
    traffic::Traffic,
};

/// What a rule does to the requests that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Deny,
    /// Somebody else decides, whom a policy cannot ask.
    Custom,
    Audit,
}

impl Action {
    fn parse(node: Option<&Node<'_>>) -> Result<Self, ImportError> {
        let Some(node) = node else { return Ok(Self::Allow) };
        match node.string()? {
            "ALLOW" => Ok(Self::Allow),
            "DENY" => Ok(Self::Deny),
            "CUSTOM" => Ok(Self::Custom),
            "AUDIT" => Ok(Self::Audit),
            _ => Err(node.not("`ALLOW`, `DENY`, `CUSTOM` or `AUDIT`")),
        }
    }

    /// What becomes of a rule one part of which cannot be said.
    pub(super) fn without_a_part(self) -> &'static str {
        match self {
            Self::Allow => "a policy cannot say it, so what it would allow is not allowed",
            _ => "a policy cannot say it, so the rule denies without regard to it",
        }
    }
}

/// Lays all rules into the plan: first those that allow, then those that restrict.
pub(super) fn read_all(
    resources: &[Resource<'_>],
    providers: &[Provider],
    plan: &mut Plan,
    notes: &mut Notes,
) -> Result<(), ImportError> {
    let mut policies = Vec::new();
    for resource in resources.iter().filter(|resource| resource.kind == "AuthorizationPolicy") {
        policies.push(read_policy(resource, notes)?);
    }
    if !policies.iter().any(|(action, _)| *action == Action::Allow) {
        notes.remark("", "no `AuthorizationPolicy` allows, so what none denies is let in with a valid token or none");
        let everything = Clause {
            traffic: &Traffic::default(),
            except: &[],
            need: &Need::Open,
            place: "everything",
        };
        plan.allow(&everything, notes)?;
    }
    for wanted in [Action::Allow, Action::Deny, Action::Custom] {
        for (_, rules) in policies.iter().filter(|(action, _)| *action == wanted) {
            for node in rules {
                Reader { action: wanted, providers, notes }.rule(node, plan)?;
            }
        }
    }
    Ok(())
}

fn read_policy<'a>(
    resource: &Resource<'a>,
    notes: &mut Notes,
) -> Result<(Action, Vec<Node<'a>>), ImportError> {
    let Some(spec) = &resource.spec else { return Ok((Action::Allow, Vec::new())) };
    let mut members = spec.members()?;
    for name in ["selector", "target_ref", "target_refs"] {
        if let Some(node) = members.take(name) {
            notes.remark(node.place, "the policy is for the gate of these workloads only");
        }
    }
    let action = Action::parse(members.take("action").as_ref())?;
    members.take("provider");
    let rules = members.take_items("rules")?;
    match action {
        Action::Audit => notes.left_out(&resource.place, "`AUDIT` only records, a policy does not"),
        Action::Custom => {
            let text =
                "a policy cannot ask another authorizer, so what it would ask about is denied";
            notes.left_out(&resource.place, text);
        }
        Action::Allow | Action::Deny => {}
    }
    match members.rest().first() {
        Some(place) => Err(ImportError::new(place, "Postern does not know what this member means")),
        None => Ok((action, rules)),
    }
}

pub(super) struct Reader<'a> {
    pub(super) action: Action,
    pub(super) providers: &'a [Provider],
    pub(super) notes: &'a mut Notes,
}

/// Conditions on the token, and whether that is all there is to say.
#[derive(Debug, Default)]
struct Source {
    conditions: Vec<Condition>,
    unsaid: bool,
}

/// The `when` of a rule.
#[derive(Debug, Default)]
struct When {
    token: Source,
    /// Conditions on headers: one of each list.
    headers: Vec<Vec<Traffic>>,
    except: Vec<Traffic>,
}

impl Reader<'_> {
    fn rule(&mut self, node: &Node<'_>, plan: &mut Plan) -> Result<(), ImportError> {
        let mut members = node.members()?;
        let sources = self.sources(&mut members)?;
        let operations = self.operations(&mut members)?;
        let when = self.when(&mut members)?;
        let unknown = self.unsaid(&members) || when.token.unsaid;
        for source in &sources {
            for operation in &operations {
                let unsaid = unknown || source.unsaid || operation.unsaid;
                if unsaid && self.action == Action::Allow {
                    continue;
                }
                let conditions: Vec<_> =
                    source.conditions.iter().chain(&when.token.conditions).collect();
                let operation = operation.with(&when.headers, &when.except);
                let operation = operation.ok_or_else(|| ImportError::new(&node.place, TOO_MANY))?;
                self.lay(node, &conditions, &operation, plan)?;
            }
        }
        Ok(())
    }

    /// Tells all that has not been taken; whether there is any.
    pub(super) fn unsaid(&mut self, members: &Members<'_>) -> bool {
        let rest = members.rest();
        for place in &rest {
            self.notes.left_out(place, self.action.without_a_part());
        }
        !rest.is_empty()
    }

    fn lay(
        &mut self,
        node: &Node<'_>,
        conditions: &[&Condition],
        operation: &Operation,
        plan: &mut Plan,
    ) -> Result<(), ImportError> {
        let needs = match self.action {
            Action::Allow => self.allowed(conditions)?,
            _ => vec![self.required(node, conditions)],
        };
        let except = &operation.except;
        for traffic in &operation.traffic {
            for need in &needs {
                let clause = Clause { traffic, except, need, place: &node.place };
                match self.action {
                    Action::Allow => plan.allow(&clause, self.notes)?,
                    _ => plan.restrict(&clause, self.notes)?,
                }
            }
        }
        Ok(())
    }

    /// The ways in which a token meets what is allowed. What it must not be, no rule can say.
    fn allowed(&mut self, conditions: &[&Condition]) -> Result<Vec<Need>, ImportError> {
        let negated: Vec<_> = conditions.iter().filter(|condition| condition.negated).collect();
        for condition in &negated {
            self.notes.left_out(&condition.place, self.action.without_a_part());
        }
        if negated.is_empty() { all_of(conditions) } else { Ok(Vec::new()) }
    }

    /// What a request needs so as not to be denied. A rule that denies all that is not so, lets
    /// in what is; a rule that denies what is so, closes.
    fn required(&mut self, node: &Node<'_>, conditions: &[&Condition]) -> Need {
        if self.action == Action::Custom {
            return Need::Closed;
        }
        let mut required: Option<Need> = None;
        let mut exact = true;
        for condition in conditions {
            if !condition.negated {
                exact = false;
                continue;
            }
            // Meeting any of the conditions that are negated is enough.
            for need in &condition.alternatives {
                match required.as_ref().map(|other| other.or(need)) {
                    None => required = Some(need.clone()),
                    Some(Some(either)) => required = Some(either),
                    Some(None) => exact = false,
                }
            }
        }
        if !exact {
            let text = "a rule cannot say what a token must not be, or all that would do instead: \
                        it denies more than it did";
            self.notes.left_out(&node.place, text);
        }
        required.unwrap_or(Need::Closed)
    }

    /// Any source will do where none is named.
    fn sources(&mut self, members: &mut Members<'_>) -> Result<Vec<Source>, ImportError> {
        let Some(from) = members.take("from") else { return Ok(vec![Source::default()]) };
        let mut sources = Vec::new();
        for node in from.items()? {
            let mut outer = node.members()?;
            let mut source = Source::default();
            if let Some(inner) = outer.take("source") {
                let mut members = inner.members()?;
                for (name, negated) in
                    [("request_principals", false), ("not_request_principals", true)]
                {
                    if let Some(values) = members.take(name) {
                        let condition = Subject::Principal.condition(
                            &values,
                            negated,
                            self.providers,
                            self.notes,
                        )?;
                        source.conditions.push(condition);
                    }
                }
                source.unsaid = self.unsaid(&members);
            }
            source.unsaid |= self.unsaid(&outer);
            sources.push(source);
        }
        Ok(if sources.is_empty() { vec![Source::default()] } else { sources })
    }

    fn operations(&mut self, members: &mut Members<'_>) -> Result<Vec<Operation>, ImportError> {
        let Some(to) = members.take("to") else { return Ok(vec![Operation::default()]) };
        let items = to.items()?;
        if items.is_empty() {
            return Ok(vec![Operation::default()]);
        }
        items.iter().map(|node| Operation::read(node, self)).collect()
    }

    fn when(&mut self, members: &mut Members<'_>) -> Result<When, ImportError> {
        let mut when = When::default();
        for node in members.take_items("when")? {
            let mut members = node.members()?;
            let key = members.take_string("key")?.unwrap_or_default();
            if let Some(subject) = Subject::of_key(key) {
                for (name, negated) in [("values", false), ("not_values", true)] {
                    if let Some(values) = members.take(name) {
                        let condition =
                            subject.condition(&values, negated, self.providers, self.notes)?;
                        when.token.conditions.push(condition);
                    }
                }
            } else if let Some(header) = Operation::header_of_key(key) {
                if let Some(values) = members.take("values") {
                    when.headers.push(Operation::header_values(&header, &values)?);
                }
                if let Some(values) = members.take("not_values") {
                    when.except.extend(Operation::header_values(&header, &values)?);
                }
            } else {
                members.take("values");
                members.take("not_values");
                self.notes
                    .left_out(&node.place, format!("`{key}`: {}", self.action.without_a_part()));
                when.token.unsaid = true;
            }
            when.token.unsaid |= self.unsaid(&members);
        }
        Ok(when)
    }
}
