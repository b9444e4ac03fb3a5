//! The vectors, through every way of asking the core.

mod model;

use std::collections::HashSet;

use keygate::{Decision, Policy};
use model::{Outcome, Prefix, Request};
use serde_json::Value;

const FILES: [&str; 22] = [
    "mode",
    "preflight",
    "health",
    "priority",
    "bearer",
    "duplicates",
    "whitespace",
    "unusable",
    "keys",
    "sources",
    "exempt",
    "match",
    "scheme",
    "cors",
    "forwarding",
    "explanation",
    "search",
    "lint",
    "seed",
    "attacks",
    "config_errors",
    "input_errors",
];

struct Vector {
    name: String,
    input: Value,
    output: Value,
}

fn read(file: &str) -> Vec<Vector> {
    let path = format!("{}/tests/vectors/{file}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let vector = |line: &str| {
        let mut line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{path}: {error}"));
        Vector {
            name: line["name"].as_str().expect("a name").to_owned(),
            input: line["input"].take(),
            output: line["output"].take(),
        }
    };
    let vectors: Vec<_> = text.lines().map(vector).collect();
    assert!(!vectors.is_empty(), "{path} is empty");
    vectors
}

fn bytes(text: &Value) -> Option<Vec<u8>> {
    text.as_str()?
        .chars()
        .map(|c| u8::try_from(c).ok())
        .collect()
}

fn request(input: &Value) -> Option<Request> {
    let fields = input.as_object()?;
    if fields.len() != 4 {
        return None;
    }
    let header = |pair: &Value| match pair.as_array()?.as_slice() {
        [name, value] => Some((bytes(name)?, bytes(value)?)),
        _ => None,
    };
    Some(Request {
        method: bytes(fields.get("method")?)?,
        target: bytes(fields.get("target")?)?,
        headers: fields
            .get("headers")?
            .as_array()?
            .iter()
            .map(header)
            .collect::<Option<_>>()?,
    })
}

fn policy(input: &Value) -> Option<Policy> {
    Policy::parse_object(input.get("config")?.to_string()).ok()
}

/// The output, but for the findings.
fn output(policy: &Policy, decision: Decision) -> Value {
    serde_json::json!({
        "verdict": decision.verdict().name(),
        "reason": decision.reason().name(),
        "effective_mode": decision.effective_mode().name(),
        "source": decision.source_index().and_then(|index| policy.source_name(index)),
        "header_index": decision.header_index(),
        "key_index": decision.key_index(),
    })
}

fn push_all(policy: &Policy, request: &Request) -> Decision {
    let mut evaluation = policy.evaluate(&request.method, &request.target);
    for (name, value) in &request.headers {
        // On purpose without a stop: what cannot matter must not.
        evaluation.push(name, value);
    }
    evaluation.finish()
}

/// Only the headers that the policy names, with the index set right again.
fn wanted_only(policy: &Policy, request: &Request) -> (Decision, Option<usize>) {
    let wanted = |name: &[u8]| {
        policy
            .wanted_names()
            .any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
    };
    let indexes: Vec<_> = (0..request.headers.len())
        .filter(|index| wanted(&request.headers[*index].0))
        .collect();
    let headers = indexes.iter().map(|index| &request.headers[*index]);
    let headers = headers.map(|(name, value)| (name, value));
    let decision = policy.decide(&request.method, &request.target, headers);
    (
        decision,
        decision.header_index().map(|index| indexes[index]),
    )
}

/// The same configuration for the model.
fn model_config(config: &Value) -> model::Config {
    let each = |field: &str| config[field].as_array().cloned();
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let key = |value: &Value| bytes(value).filter(|key| !key.is_empty());
    let source = |source: &Value| {
        let prefix = match source.get("scheme") {
            Some(scheme) => Prefix::Scheme(text(scheme)),
            None => (source["bearer"] == true).into(),
        };
        (text(&source["name"]), prefix)
    };
    let default = model::Config::default();
    let chosen = |field: &str, default: String| config.get(field).map_or(default, text);
    model::Config {
        auth_mode: text(&config["auth_mode"]),
        allow_lan_access: config["allow_lan_access"] == true,
        keys: match each("keys") {
            Some(keys) => keys
                .iter()
                .map(|entry| key(&entry["key"]).expect("a key"))
                .collect(),
            None => key(&config["api_key"]).into_iter().collect(),
        },
        sources: match each("sources") {
            Some(sources) => sources.iter().map(source).collect(),
            None => default.sources,
        },
        exempt: match each("exempt") {
            Some(exempt) => exempt
                .iter()
                .map(|path| bytes(path).expect("a path"))
                .collect(),
            None => default.exempt,
        },
        match_mode: chosen("match", default.match_mode),
        preflight: chosen("preflight", default.preflight),
        strip: chosen("strip", default.strip),
        identity_header: config.get("identity_header").map(text),
    }
}

fn check(vector: &Vector) {
    let Vector {
        name,
        input,
        output: expected,
    } = vector;
    let parts = request(input).zip(policy(input));
    let Some((request, policy)) = parts else {
        assert_eq!(
            *expected,
            serde_json::json!({"error": true}),
            "{name}: refused"
        );
        return;
    };
    let mut expected = expected.clone();
    let mut taken = |field| expected.as_object_mut().and_then(|all| all.remove(field));
    let (findings, drop, lint) = (taken("findings"), taken("drop"), taken("lint"));
    let Request {
        method,
        target,
        headers,
    } = &request;
    let pairs = || headers.iter().map(|(name, value)| (name, value));

    let decision = policy.decide(method, target, pairs());
    assert_eq!(output(&policy, decision), expected, "{name}: decide");
    assert_eq!(
        push_all(&policy, &request),
        decision,
        "{name}: push by push"
    );
    let (wanted, header_index) = wanted_only(&policy, &request);
    let mut out = output(&policy, wanted);
    out["header_index"] = header_index.into();
    assert_eq!(out, expected, "{name}: wanted headers only");

    let explanation = policy.explain(method, target, pairs());
    assert_eq!(explanation.decision(), decision, "{name}: explain");
    let found: Vec<_> = explanation
        .findings()
        .iter()
        .map(keygate::Finding::name)
        .collect();
    assert_eq!(
        Some(Value::from(found.clone())),
        findings,
        "{name}: findings"
    );

    let config = model_config(&input["config"]);
    assert_eq!(
        model::decision::decide(&config, &request),
        Outcome::from(decision),
        "{name}: model"
    );
    assert_eq!(
        model::findings::find(&config, &request),
        found,
        "{name}: model's findings"
    );

    let dropped = |drops: &dyn Fn(&[u8], &[u8]) -> bool| -> Value {
        let all = headers.iter().enumerate();
        let dropped = all.filter(|(_, (name, value))| drops(name, value));
        let indices = dropped.map(|(index, _)| index);
        decision
            .is_allow()
            .then(|| indices.collect::<Vec<_>>())
            .into()
    };
    let by_core = dropped(&|name, value| policy.drops(&decision, name, value));
    let by_model = dropped(&|name, value| model::decision::drops(&config, &request, name, value));
    assert_eq!(by_core, by_model, "{name}: model's drops");
    assert_eq!(drop.unwrap_or(by_core.clone()), by_core, "{name}: drops");
    let lints: Value = policy.lints().iter().map(keygate::Lint::name).collect();
    assert_eq!(
        Value::from(model::lints::find(&config)),
        lints,
        "{name}: model's lints"
    );
    assert_eq!(lint.unwrap_or(lints.clone()), lints, "{name}: lints");

    let borrowed = config.policy().expect("the same policy");
    assert_eq!(
        borrowed.decide(method, target, pairs()),
        decision,
        "{name}: borrowed config"
    );
    for text in [
        input["config"].to_string(),
        format!(
            "\u{feff}{{\"port\":8045,\"proxy\":{}}}\r\n",
            input["config"]
        ),
    ] {
        let parsed = Policy::parse(&text, None).expect("what the exact form takes");
        assert_eq!(
            parsed.decide(method, target, pairs()),
            decision,
            "{name}: parsed"
        );
    }
}

#[test]
fn every_vector_holds() {
    let mut names = HashSet::new();
    for file in FILES {
        let vectors = read(file);
        for vector in &vectors {
            assert!(
                vector.name.starts_with(&format!("{file}/")),
                "{}: in {file}",
                vector.name
            );
            assert!(names.insert(vector.name.clone()), "{}: twice", vector.name);
            check(vector);
        }
        println!("{file}: {} vectors", vectors.len());
    }
    println!("{} vectors in {} files", names.len(), FILES.len());
}

#[test]
fn every_file_is_read() {
    let folder = format!("{}/tests/vectors", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(
            matches!(name, "README" | "table") || FILES.contains(&name),
            "{name}: not in FILES"
        );
    }
}

/// Each reason, each finding and each error shows in some vector.
#[test]
fn nothing_is_left_out() {
    let outputs: Vec<_> = FILES
        .iter()
        .flat_map(|file| read(file))
        .map(|vector| vector.output)
        .collect();
    for reason in keygate::Reason::ALL.iter().copied() {
        let seen = outputs
            .iter()
            .any(|output| output["reason"] == reason.name());
        assert_eq!(
            seen,
            reason != keygate::Reason::InvalidCall,
            "{}",
            reason.name()
        );
    }
    for finding in keygate::Finding::ALL.iter().copied() {
        let found = |output: &Value| {
            output["findings"]
                .as_array()
                .is_some_and(|list| list.contains(&finding.name().into()))
        };
        assert!(outputs.iter().any(found), "{finding}");
    }
}
