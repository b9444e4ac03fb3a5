//! Deciding and explaining allocate nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;

use keygate::{AuthMode, Config, Exempt, Key, Language, Policy, Source};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Takes text without keeping it.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[test]
fn the_counter_counts() {
    assert_ne!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 0);
    assert_ne!(allocations(|| drop(std::hint::black_box(vec![0_u8; 9]))), 0);
}

#[test]
fn making_deciding_and_explaining_allocate_nothing() {
    let long = [b'k'; 256];
    let keys = [Key::new(&long).label("label"); 8];
    let sources = [Source::bearer("authorization"), Source::new("x-api-key")];
    let exempt = [Exempt::new("/healthz"); 8];
    let config = Config::new(AuthMode::Auto)
        .allow_lan_access(true)
        .sources(&sources)
        .exempt(&exempt);
    let huge = vec![b'k'; 1 << 20];
    let values: [&[u8]; 7] = [
        b"Bearer x",
        b"bearer kkkkkkkk",
        b"\"YOUR_KEY\"",
        &long,
        &huge,
        b"\xff",
        b"",
    ];
    for config in [config, config.keys(&keys)] {
        let mut policy = None;
        assert_eq!(
            allocations(|| policy = Policy::new(&config).ok()),
            0,
            "Policy::new"
        );
        let policy = policy.expect("a policy");
        for value in values {
            let headers = [
                ("Host", value),
                ("X-Api-Key", value),
                ("authorization", value),
                ("x_api_key", value),
                ("Authorization", value),
            ];
            for (method, target) in [
                ("GET", "/v1"),
                ("GET", "/%68ealthz/?key=1"),
                ("options", "/"),
                ("GET", "/healthz"),
            ] {
                assert_eq!(
                    allocations(|| _ = policy.decide(method, target, headers)),
                    0,
                    "decide"
                );
                let pushed = allocations(|| {
                    let mut evaluation = policy.evaluate(method, target);
                    for (name, value) in headers {
                        evaluation.push(name, value);
                    }
                    _ = evaluation.finish().denial();
                });
                assert_eq!(pushed, 0, "push");
                let mut written = Length(0);
                let explained = allocations(|| {
                    let explanation = policy.explain(method, target, headers);
                    for language in [Language::En, Language::Zh] {
                        explanation
                            .write(language, &mut written)
                            .expect("it takes all");
                    }
                });
                assert_eq!(explained, 0, "explain");
                assert_ne!(written.0, 0);
            }
        }
    }
}
