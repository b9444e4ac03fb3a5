//! The same policy in Rego, under regorus: its interpreter and its virtual machine.

use std::sync::Arc;

use fixture::Case;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Value};

use crate::SOURCES;

const RULES: &str = include_str!("gate.rego");
const ALLOW: &str = "data.gate.allow";

/// What a host hands over.
#[derive(Clone, Copy)]
pub enum Headers {
    /// The list as received. The policy finds the names without regard to case.
    List,
    /// A map, its names put in lower case by the host.
    Map,
}

impl Headers {
    fn rule(self) -> &'static str {
        match self {
            Self::List => {
                r#"present := [{"value": header.value, "bearer": source.bearer} |
                    some source in data.sources
                    some header in input.headers
                    lower(header.name) == source.name]"#
            }
            Self::Map => {
                r#"present := [{"value": found, "bearer": source.bearer} |
                    some source in data.sources
                    found := input.headers[source.name]]"#
            }
        }
    }
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let fields = fields.into_iter();
    Value::from(
        fields
            .map(|(name, value)| (name.into(), value))
            .collect::<std::collections::BTreeMap<_, _>>(),
    )
}

/// A request. The time that a host takes to make it is not measured.
#[must_use]
pub fn input(case: &Case, headers: Headers) -> Value {
    let pairs = case.headers.iter();
    let headers = match headers {
        Headers::List => Value::from(
            pairs
                .map(|(name, value)| object([("name", (*name).into()), ("value", (*value).into())]))
                .collect::<Vec<_>>(),
        ),
        Headers::Map => {
            let names: Vec<_> = pairs.clone().map(|(name, _)| name.to_lowercase()).collect();
            let values = pairs.map(|(_, value)| Value::from(*value));
            object(names.iter().map(String::as_str).zip(values))
        }
    };
    object([
        ("method", case.method.into()),
        ("target", case.target.into()),
        ("headers", headers),
    ])
}

fn engine(case: &Case, headers: Headers) -> Engine {
    let source =
        |(name, bearer): (&str, bool)| object([("name", name.into()), ("bearer", bearer.into())]);
    let strings = |list: &[&str]| Value::from(list.iter().map(|s| (*s).into()).collect::<Vec<_>>());
    let keys: Vec<_> = case.keys.iter().map(String::as_str).collect();
    let data = object([
        ("mode", case.mode.name().into()),
        ("exempt", strings(&["/healthz"])),
        ("sources", SOURCES.map(source).to_vec().into()),
        ("keys", strings(&keys)),
    ]);
    let mut engine = Engine::new();
    let rules = format!("{RULES}\n{}\n", headers.rule());
    engine
        .add_policy("gate.rego".into(), rules)
        .expect("sound rules");
    engine.add_data(data).expect("sound data");
    engine
}

pub struct Interpreter(Engine);

impl Interpreter {
    #[must_use]
    pub fn new(case: &Case, headers: Headers) -> Self {
        Self(engine(case, headers))
    }

    /// # Panics
    ///
    /// Never: the rule can be evaluated.
    pub fn allows(&mut self, input: &Value) -> bool {
        self.0.set_input(input.clone());
        let allow = self.0.eval_rule(ALLOW.into()).expect("a rule that works");
        allow == Value::from(true)
    }
}

pub struct Machine(RegoVM);

impl Machine {
    /// # Panics
    ///
    /// Never: the policy compiles.
    #[must_use]
    pub fn new(case: &Case, headers: Headers) -> Self {
        let mut engine = engine(case, headers);
        let data = engine.get_data();
        let compiled = engine.compile_with_entrypoint(&ALLOW.into());
        let compiled = compiled.expect("a rule of this name");
        let program = Compiler::compile_from_policy(&compiled, &[ALLOW]).expect("sound rules");
        let mut machine = RegoVM::new();
        machine.load_program(Arc::clone(&program));
        machine.set_data(data).expect("sound data");
        Self(machine)
    }

    /// # Panics
    ///
    /// Never: the rule can be evaluated.
    pub fn allows(&mut self, input: &Value) -> bool {
        self.0.set_input(input.clone());
        self.0.execute().expect("a rule that works") == Value::from(true)
    }
}
