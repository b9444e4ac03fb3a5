//! The documents: what the tables of `tests/README.md` name is in the tree, its figures are those that the checks
//! wrote, every class that a bug is planted for has its row there, every finding has one in `bindings/README.md`, no cell is too long to read, every binding
//! has the same headings, and links lead somewhere.

use std::collections::HashSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

const MAX_CELL: usize = 200;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file with one of these endings, but for what is built or installed.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type().expect("a type").is_dir() {
            if !matches!(&*name, "target" | "node_modules" | ".git" | ".venv") {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('|'))
}

/// The names that follow one of these marks.
fn names<'t>(text: &'t str, marks: &[&str]) -> HashSet<&'t str> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c));
    let after = |mark: &&str| text.split(*mark).skip(1).collect::<Vec<_>>();
    let rests = marks.iter().flat_map(after);
    rests.filter_map(|rest| rest.split(is_end).next()).collect()
}

#[test]
fn the_index_of_tests_is_true() {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "bindings"] {
        let endings = [".rs", ".py", ".go", ".c", ".h"];
        files(&root().join(folder), &endings, &mut sources);
    }
    let read = |path: &PathBuf| read_to_string(path).expect("a text");
    let sources: String = sources.iter().map(read).collect();
    let functions = names(&sources, &["fn ", "def ", "func "]);
    let bugs = read(&root().join("tests/controls/bugs.toml"));
    let planted = read(&root().join("tests/hosts/controls.toml")) + &bugs;
    let faults = names(&planted, &["\nname = \""]);

    let text = read(&root().join("tests/README.md"));
    let spans = rows(&text).flat_map(|row| row.split('`').skip(1).step_by(2));
    let is = |text: &str, joined: char| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joined;
        text.contains(joined)
            && text.starts_with(char::is_alphanumeric)
            && text.chars().all(is_part)
    };
    let (mut tests, mut missing) = (0, Vec::new());
    for span in spans {
        let name = span.rsplit("::").next().expect("a name");
        let name = name.split('[').next().expect("a name");
        let there = if ["src/", "tests/", "bindings/"]
            .iter()
            .any(|folder| span.starts_with(folder))
        {
            root().join(span).exists()
        } else if is(span, '-') {
            faults.contains(span)
        } else if is(name, '_') || name.starts_with("Test") {
            tests += 1;
            functions.contains(name)
        } else {
            true
        };
        if !there {
            missing.push(span);
        }
    }
    assert!(
        missing.is_empty(),
        "no such test, planted fault or file: {missing:#?}"
    );
    for class in bugs
        .lines()
        .filter_map(|line| line.strip_prefix("class = \""))
    {
        let row = format!("| {}", class.trim_end_matches('"'));
        assert!(
            rows(&text).any(|found| found.starts_with(&row)),
            "no row: {row}"
        );
    }
    assert!(tests > 100, "{tests} tests: the tables are not found");
}

/// The figures of a result, as `tests/figures.py` writes it, each with its day.
fn figures(path: &Path) -> Vec<(String, String)> {
    let text = read_to_string(path).expect("a result");
    let check = path.file_stem().expect("a name").to_string_lossy();
    let (head, figures) = text.split_once("\n[figures]\n").expect("figures");
    let is_date = |line: &&str| line.starts_with("date = ");
    let date = head.lines().find(is_date).expect("a date");
    let date = date.trim_start_matches("date = ").trim_matches('"');
    let figure = |line: &str| {
        let (name, figure) = line.split_once(" = ").expect("a figure");
        let marked = format!("<!-- {check}.{name} -->");
        (marked, format!("{}, {date}", figure.trim_matches('"')))
    };
    figures.lines().map(figure).collect()
}

#[test]
fn figures_are_those_of_the_results() {
    let mut results = Vec::new();
    files(&root().join("tests/results"), &[".toml"], &mut results);
    results.retain(|path| !path.ends_with("checks.toml"));
    let mut figures: HashSet<_> = results
        .iter()
        .flat_map(|path| figures(path))
        .map(|(mark, figure)| mark + &figure)
        .collect();
    let count = figures.len();
    let text = read_to_string(root().join("tests/README.md")).expect("a text");
    let (table, _) = text.split_once("\n### ").expect("the first table");
    let mut wrong = Vec::new();
    for row in rows(table).skip(2) {
        let cell = row.split('|').nth(4).expect("the column of figures").trim();
        if !figures.remove(cell) && cell.contains(|c: char| c.is_ascii_digit() || c == '<') {
            wrong.push(cell);
        }
    }
    assert!(
        wrong.is_empty() && figures.is_empty(),
        "`tests/figures.py fill` has to be run, or these are of no result: {wrong:#?}, or in no row: {figures:#?}"
    );
    assert!(count > 10, "{count} figures: they are not found");
}

#[test]
fn cells_are_short() {
    let mut documents = Vec::new();
    files(&root(), &[".md"], &mut documents);
    let (mut cells, mut long) = (0, Vec::new());
    for document in documents {
        let text = read_to_string(&document)
            .expect("a text")
            .replace("\\|", "/");
        for cell in rows(&text).flat_map(|row| row.split('|')) {
            cells += 1;
            if cell.trim().chars().count() > MAX_CELL {
                long.push(format!("{}: {}", document.display(), cell.trim()));
            }
        }
    }
    assert!(
        long.is_empty(),
        "cells of more than {MAX_CELL} characters: {long:#?}"
    );
    assert!(cells > 1000, "the tables are not found");
}

#[test]
fn every_finding_and_lint_is_in_the_tables_of_the_hosts() {
    let text = read_to_string(root().join("bindings/README.md")).expect("a text");
    let (_, text) = text.split_once("\n## Findings\n").expect("the table");
    let codes = rows(text).filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    let findings = keygate::Finding::ALL.map(keygate::Finding::name);
    let lints = keygate::Lint::ALL.map(keygate::Lint::name);
    assert_eq!(codes.collect::<Vec<_>>(), [&findings[..], &lints].concat());
}

/// The headings that every binding has, in this order; others may stand between them.
const HEADINGS: [&str; 4] = [
    "## Install",
    "## Configure",
    "## What it cannot carry",
    "## Figures",
];

#[test]
fn every_binding_has_the_same_headings() {
    let mut bindings = 0;
    for entry in read_dir(root().join("bindings")).expect("a folder") {
        let document = entry.expect("an entry").path().join("README.md");
        if let Ok(text) = read_to_string(&document) {
            bindings += 1;
            let found: Vec<_> = text
                .lines()
                .filter(|line| HEADINGS.contains(line))
                .collect();
            assert_eq!(found, HEADINGS, "{}", document.display());
        }
    }
    assert!(bindings >= 5, "{bindings} bindings: they are not found");
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(kept)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut documents = Vec::new();
    files(&root(), &[".md"], &mut documents);
    let (mut links, mut broken) = (0, Vec::new());
    for document in &documents {
        let text = read_to_string(document).expect("a text");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().expect("a link");
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            links += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                _ => document.parent().expect("a folder").join(path),
            };
            let is_there = match heading {
                "" => target.exists(),
                _ => read_to_string(&target).is_ok_and(|text| {
                    text.lines()
                        .any(|line| line.starts_with('#') && anchor(line) == heading)
                }),
            };
            if !is_there {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
    assert!(links > 50, "{links} links: they are not found");
}

/// What is released together has one version, that of the workspace; `tests/c/run` sees to the header.
#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let named = format!("\nversion = \"{version}\"");
    let needed = format!("keygate = {{ path = \"../..\", version = \"{version}\"");
    for (file, text) in [
        ("bindings/cli/Cargo.toml", &needed),
        ("bindings/tower/Cargo.toml", &named),
        ("bindings/tower/Cargo.toml", &needed),
        ("bindings/python/Cargo.toml", &named),
        ("bindings/python/Cargo.toml", &needed),
        ("bindings/python/pyproject.toml", &named),
        (
            "bindings/wasm/npm/package.json",
            &format!("\n  \"version\": \"{version}\""),
        ),
        ("bindings/wasm/README.md", &format!("keygate-{version}.tgz")),
        ("CHANGELOG.md", &format!("\n## {version} ")),
    ] {
        let content = read_to_string(root().join(file)).expect("a text");
        assert!(content.contains(text), "{file} does not have {text:?}");
    }
}
