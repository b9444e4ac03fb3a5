//! The commands in the documents give the answers printed there.

#[test]
fn documents_are_true() {
    trycmd::TestCases::new()
        .case("README.md")
        .case("401.md")
        .case("../../README.md");
}
