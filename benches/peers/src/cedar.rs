//! The same policy in Cedar. It has neither lists to walk nor letter case to fold, so the host
//! hands over a record of lower-case names, and the configuration is written into the policies.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};
use fixture::Case;
use keygate::AuthMode;

use crate::SOURCES;

pub struct Gate {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
}

impl Gate {
    /// # Panics
    ///
    /// Never: the policies are sound.
    #[must_use]
    pub fn new(case: &Case) -> Self {
        Self {
            authorizer: Authorizer::new(),
            policies: policies(case).parse().expect("sound policies"),
            entities: Entities::empty(),
        }
    }

    #[must_use]
    pub fn allows(&self, request: &Request) -> bool {
        let response = self
            .authorizer
            .is_authorized(request, &self.policies, &self.entities);
        response.decision() == Decision::Allow
    }
}

fn policies(case: &Case) -> String {
    let mut text = r#"permit(principal, action == Action::"OPTIONS", resource);"#.to_owned();
    if case.mode == AuthMode::Off {
        text += "permit(principal, action, resource);";
    }
    if case.mode == AuthMode::AllExceptHealth {
        text += r#"permit(principal, action in [Action::"GET", Action::"HEAD"], resource == Path::"/healthz");"#;
    }
    let mut absent = String::new();
    for (source, bearer) in SOURCES {
        let prefixes = if bearer { &["", "Bearer "][..] } else { &[""] };
        let values = prefixes.iter().flat_map(|prefix| {
            case.keys
                .iter()
                .map(move |key| format!("\"{prefix}{key}\""))
        });
        let values = values.collect::<Vec<_>>().join(", ");
        text += &format!(
            r#"permit(principal, action, resource) when {{
                {absent} context has "{source}" && [{values}].contains(context["{source}"])
            }};"#
        );
        absent += &format!(r#"!(context has "{source}") && "#);
    }
    text
}

fn entity(kind: &str, id: &str) -> EntityUid {
    let kind = kind.parse().expect("a type's name");
    EntityUid::from_type_name_and_id(kind, id.parse().expect("any text is one"))
}

/// A request. The time that a host takes to make it is not measured.
///
/// # Panics
///
/// Never: the request needs no schema.
#[must_use]
pub fn request(case: &Case) -> Request {
    let path = case.target.split(['?', '#']).next().unwrap_or_default();
    let mut record = std::collections::BTreeMap::new();
    for (index, (name, value)) in case.headers.iter().enumerate() {
        // A record has each name once.
        let mut name = name.to_lowercase();
        if record.contains_key(&name) {
            name = format!("{name}-{index}");
        }
        record.insert(name, RestrictedExpression::new_string((*value).into()));
    }
    Request::new(
        entity("Client", "any"),
        entity("Action", case.method),
        entity("Path", path),
        Context::from_pairs(record).expect("each name once"),
        None,
    )
    .expect("a sound request")
}
