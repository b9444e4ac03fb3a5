//! The modules of the core know each other in one direction only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The module at the top that a file belongs to.
fn module(path: &Path, src: &Path) -> String {
    let inside = path.strip_prefix(src).expect("inside of src");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The names right behind `crate::`, those in a list included.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for (at, _) in line.match_indices("crate::") {
            if line[..at].ends_with('$') || line[..at].ends_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            let rest = &line[at + "crate::".len()..];
            let name = |text: &str| -> String {
                let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
                text.trim().chars().take_while(is_name).collect()
            };
            match rest.strip_prefix('{') {
                Some(list) => found.extend(list.split([',', '}']).map(name)),
                None => drop(found.insert(name(rest))),
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn no_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&src, &mut paths);
    let modules: BTreeSet<_> = paths.iter().map(|path| module(path, &src)).collect();
    let mut knows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &paths {
        let own = module(path, &src);
        if own == "lib" {
            continue;
        }
        for other in named(&fs::read_to_string(path).expect("a text")) {
            assert!(
                modules.contains(&other),
                "{}: crate::{other} is no module",
                path.display()
            );
            if other != own {
                knows.entry(own.clone()).or_default().insert(other);
            }
        }
    }
    // What knows none of those that are left is taken away until nothing is.
    let mut left = modules;
    left.remove("lib");
    loop {
        let free: Vec<_> = left
            .iter()
            .filter(|module| {
                knows
                    .get(*module)
                    .is_none_or(|known| known.is_disjoint(&left))
            })
            .cloned()
            .collect();
        if free.is_empty() {
            break;
        }
        println!("{}", free.join(" "));
        for module in free {
            left.remove(&module);
        }
    }
    let circle: Vec<_> = left.iter().map(|module| (module, &knows[module])).collect();
    assert!(
        circle.is_empty(),
        "these modules know each other in a circle: {circle:?}"
    );
}
