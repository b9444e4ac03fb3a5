//! The core, as Python asks it. A key that is read here never becomes an object of Python's, which
//! could neither be wiped nor kept out of a traceback.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use keygate::{Denial, Finding, Findings, Key, KeyFile, Language, Reason};
use pyo3::create_exception;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use zeroize::Zeroizing;

create_exception!(keygate_asgi, ConfigError, PyValueError);

const MAX: u64 = 16 << 20;

/// What a file holds. `what` is what an error calls it.
fn read(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let problem = |error: std::io::Error| format!("{what} cannot be read: {error}");
    // To open a FIFO would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(problem)?;
    if !metadata.is_file() {
        return Err(format!("{what} is not a regular file"));
    }
    // All of it at once: a buffer that grows leaves its bytes behind.
    let mut text = Zeroizing::new(Vec::new());
    let size = metadata.len().min(MAX);
    text.reserve_exact(usize::try_from(size).unwrap_or_default() + 64);
    let file = File::open(path).map_err(problem)?;
    file.take(MAX + 1).read_to_end(&mut text).map_err(problem)?;
    if text.len() as u64 > MAX {
        return Err(format!("{what} is longer than {MAX} bytes"));
    }
    Ok(text)
}

fn parse(text: &[u8], keys: Option<&[u8]>) -> Result<keygate::Policy, String> {
    let mut listed = Vec::new();
    if let Some(keys) = keys {
        let mut file = KeyFile::new(keys);
        listed.extend(file.by_ref());
        file.end()
            .map_err(|error| format!("the key file: {error}"))?;
    }
    let listed: Option<&[Key<'_>]> = keys.is_some().then_some(&listed);
    keygate::Policy::parse(text, listed).map_err(|error| error.to_string())
}

/// What was configured. It never changes, and threads may have it in common.
#[pyclass(frozen, module = "keygate_asgi._core")]
struct Policy {
    policy: Box<keygate::Policy>,
    name_lengths: u64,
}

impl Policy {
    fn of(parsed: Result<keygate::Policy, String>) -> PyResult<Self> {
        let policy = Box::new(parsed.map_err(ConfigError::new_err)?);
        let name_lengths = policy.name_lengths();
        Ok(Self {
            policy,
            name_lengths,
        })
    }

    fn drops(&self, decision: &keygate::Decision, name: &[u8], value: &[u8]) -> bool {
        let asks = !decision.is_allow() || self.name_lengths >> (name.len() % 64) & 1 == 1;
        asks && self.policy.drops(decision, name, value)
    }
}

#[pymethods]
impl Policy {
    /// Of a configuration in JSON. `keys`: the text of a key file, where the JSON has no keys.
    #[new]
    #[pyo3(signature = (config, keys = None))]
    fn new(config: &Bound<'_, PyAny>, keys: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let keys = keys.map(text).transpose()?;
        Self::of(parse(&text(config)?, keys.as_deref()))
    }

    /// Of a configuration in a file. `keys`: a key file; `variable`: names a variable of the
    /// environment that holds one key.
    #[staticmethod]
    #[pyo3(signature = (config, keys = None, variable = None))]
    #[allow(clippy::needless_pass_by_value)] // how arguments come
    fn load(config: PathBuf, keys: Option<PathBuf>, variable: Option<&str>) -> PyResult<Self> {
        let loaded = || {
            let config = read(&config, "the configuration")?;
            let keys = keys.as_deref().map(|keys| read(keys, "the key file"));
            let keys = keys.transpose()?;
            let Some(variable) = variable else {
                return parse(&config, keys.as_deref().map(Vec::as_slice));
            };
            if keys.is_some() {
                return Err(format!("keys come from a key file and from {variable}"));
            }
            let key = std::env::var_os(variable).unwrap_or_default();
            let key = Zeroizing::new(key.into_encoded_bytes());
            keygate::Policy::parse(&*config, Some(&[Key::new(&*key)]))
                .map_err(|error| format!("with the key in {variable}: {error}"))
        };
        Self::of(loaded())
    }

    /// Decides about a request. `raw_path` as ASGI has it; without it nothing is exempt.
    #[pyo3(signature = (method, raw_path, query, headers, explain = false))]
    fn decide(
        slf: &Bound<'_, Self>,
        method: &str,
        raw_path: Option<&[u8]>,
        query: &[u8],
        headers: &Bound<'_, PyAny>,
        explain: bool,
    ) -> PyResult<Decision> {
        let policy = slf.get();
        let mut target = Cow::Borrowed(raw_path.unwrap_or_default());
        // A '#' in the query counts too.
        if !query.is_empty() {
            let whole = target.to_mut();
            whole.push(b'?');
            whole.extend(query);
        }
        let (decision, findings) = if explain {
            let headers = fields(headers)?;
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let explanation = policy.policy.explain(method, &target, headers);
            (explanation.decision(), Some(explanation.findings()))
        } else {
            let mut evaluation = policy.policy.evaluate(method, &target);
            for field in headers.try_iter()? {
                let (name, value) = pair(&field?)?;
                if !evaluation.push(name.as_bytes(), value.as_bytes()) {
                    break;
                }
            }
            (evaluation.finish(), None)
        };
        Ok(Decision {
            policy: slf.clone().unbind(),
            made: decision,
            findings,
        })
    }

    /// What is probably a mistake in the configuration: codes and sentences.
    fn lints(&self) -> Vec<(&'static str, &'static str)> {
        let lints = self.policy.lints();
        let lints = lints.iter();
        lints
            .map(|lint| (lint.name(), lint.text(Language::En)))
            .collect()
    }

    #[getter]
    fn effective_mode(&self) -> &'static str {
        self.policy.effective_mode().name()
    }

    fn __repr__(&self) -> String {
        format!(
            "<keygate_asgi.Policy {}, {} keys>",
            self.policy.effective_mode().name(),
            self.policy.key_count()
        )
    }
}

/// The bytes of a text. Neither it nor what is said of it is an argument of an error.
fn text<'a>(text: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = text.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().into());
    }
    let text = text
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err("a text must be str or bytes"))?;
    let text = text
        .to_cow()
        .map_err(|_| ConfigError::new_err("the text is not Unicode"))?;
    Ok(match text {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    })
}

type Field<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// A header as ASGI has it: an iterable of two byte strings.
fn pair<'py>(field: &Bound<'py, PyAny>) -> PyResult<Field<'py>> {
    let wrong = || PyTypeError::new_err("a header must be a pair of byte strings");
    let bytes = |item: Bound<'py, PyAny>| item.cast_into().map_err(|_| wrong());
    if let Ok(tuple) = field.cast::<PyTuple>()
        && tuple.len() == 2
    {
        return Ok((bytes(tuple.get_item(0)?)?, bytes(tuple.get_item(1)?)?));
    }
    let list = field.cast::<PyList>().map_err(|_| wrong())?;
    if list.len() != 2 {
        return Err(wrong());
    }
    Ok((bytes(list.get_item(0)?)?, bytes(list.get_item(1)?)?))
}

fn fields<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<Field<'py>>> {
    headers.try_iter()?.map(|field| pair(&field?)).collect()
}

/// What was decided, and why. It holds no byte of a credential.
#[pyclass(frozen, module = "keygate_asgi")]
struct Decision {
    policy: Py<Policy>,
    made: keygate::Decision,
    findings: Option<Findings>,
}

impl Decision {
    /// Whether nothing of a header is kept. One that is not there has no value.
    fn drops_whole(&self, headers: &[Field<'_>], name: &[u8]) -> bool {
        let policy = self.policy.get();
        let same = |(other, _): &&Field<'_>| other.as_bytes().eq_ignore_ascii_case(name);
        let mut values = headers.iter().filter(same).peekable();
        match values.peek() {
            None => policy.drops(&self.made, name, b""),
            Some(_) => values.all(|(_, value)| policy.drops(&self.made, name, value.as_bytes())),
        }
    }

    /// A list of names without those of headers that are dropped. `None`: it has none of them.
    fn options_kept(&self, headers: &[Field<'_>], list: &[u8]) -> Option<Vec<u8>> {
        // Where white space alone is between them they are none, but somebody may read them as such.
        let options = list.split(|byte| matches!(byte, b',' | b' ' | b'\t'));
        let options: Vec<_> = options.filter(|option| !option.is_empty()).collect();
        let keeps = |option: &&&[u8]| !self.drops_whole(headers, option);
        let kept: Vec<_> = options.iter().filter(keeps).copied().collect();
        (kept.len() < options.len()).then(|| kept.join(&b", "[..]))
    }
}

type Answer<'py> = (u16, Bound<'py, PyList>, Bound<'py, PyBytes>);

#[pymethods]
impl Decision {
    /// Whether the request may pass.
    #[getter]
    fn allowed(&self) -> bool {
        self.made.is_allow()
    }

    fn __bool__(&self) -> bool {
        self.made.is_allow()
    }

    #[getter]
    fn verdict<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.made.verdict().name())
    }

    #[getter]
    fn reason<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.made.reason().name())
    }

    #[getter]
    fn effective_mode<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.made.effective_mode().name())
    }

    /// What decided, in words, for the operator.
    #[getter]
    fn text(&self) -> &'static str {
        self.made.reason().text(Language::En)
    }

    /// Whether it passes without a key as one request, which must not become a connection.
    #[getter]
    fn one_request(&self) -> bool {
        matches!(self.made.reason(), Reason::Preflight | Reason::Health)
    }

    #[getter]
    fn source(&self) -> Option<&str> {
        let index = self.made.source_index()?;
        self.policy.get().policy.source_name(index)
    }

    #[getter]
    fn header_index(&self) -> Option<usize> {
        self.made.header_index()
    }

    #[getter]
    fn key_index(&self) -> Option<usize> {
        self.made.key_index()
    }

    #[getter]
    fn key_label(&self) -> Option<&str> {
        let label = self.policy.get().policy.key_label(self.made.key_index()?)?;
        std::str::from_utf8(label).ok() // always: it is visible ASCII
    }

    #[getter]
    fn findings(&self) -> Option<Vec<&'static str>> {
        Some(self.findings?.iter().map(Finding::name).collect())
    }

    /// The headers to hand on: without what must go no further, with whose key it was.
    fn forward<'py>(
        &self,
        py: Python<'py>,
        headers: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let policy = self.policy.get();
        let headers = fields(headers)?;
        let kept = PyList::empty(py);
        for (name, value) in &headers {
            let is_list = [&b"connection"[..], b"trailer"]
                .iter()
                .any(|list| name.as_bytes().eq_ignore_ascii_case(list));
            if is_list && let Some(options) = self.options_kept(&headers, value.as_bytes()) {
                if !options.is_empty() {
                    kept.append((name, PyBytes::new(py, &options)))?;
                }
            } else if !policy.drops(&self.made, name.as_bytes(), value.as_bytes()) {
                kept.append((name, value))?;
            }
        }
        if let (Some(name), Some(label)) = (policy.policy.identity_header(), self.key_label()) {
            kept.append((
                PyBytes::new(py, name.as_bytes()),
                PyBytes::new(py, label.as_bytes()),
            ))?;
        }
        Ok(kept)
    }

    /// Status, headers and body of the answer to a denied request.
    fn denial<'py>(&self, py: Python<'py>) -> PyResult<Answer<'py>> {
        let denial = self.made.denial();
        let denial = denial.ok_or_else(|| PyValueError::new_err("the request may pass"))?;
        let policy = &self.policy.get().policy;
        let headers = PyList::empty(py);
        for (name, value) in (0..).map_while(|index| policy.denial_header(&self.made, index)) {
            let name = PyBytes::new(py, name.to_ascii_lowercase().as_bytes());
            headers.append((name, PyBytes::new(py, value.as_bytes())))?;
        }
        let body = denial.body().as_bytes();
        let length = body.len().to_string();
        headers.append((
            PyBytes::new(py, b"content-length"),
            PyBytes::new(py, length.as_bytes()),
        ))?;
        Ok((Denial::STATUS, headers, PyBytes::new(py, body)))
    }

    fn __repr__(&self) -> String {
        let (verdict, reason) = (self.made.verdict(), self.made.reason());
        format!(
            "<keygate_asgi.Decision {} {}>",
            verdict.name(),
            reason.name()
        )
    }
}

/// Whether a request of HTTP/1 has a body.
#[pyfunction]
fn body_follows(headers: &Bound<'_, PyAny>) -> PyResult<bool> {
    for field in headers.try_iter()? {
        let (name, value) = pair(&field?)?;
        let name = name.as_bytes();
        if name.eq_ignore_ascii_case(b"transfer-encoding")
            || name.eq_ignore_ascii_case(b"content-length") && value.as_bytes() != b"0"
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ConfigError", module.py().get_type::<ConfigError>())?;
    module.add_class::<Policy>()?;
    module.add_class::<Decision>()?;
    module.add_function(wrap_pyfunction!(body_follows, module)?)
}
