//! The manual's commands give the answers printed there.

#[test]
fn the_manual_is_true() {
    trycmd::TestCases::new().case("README.md");
}
