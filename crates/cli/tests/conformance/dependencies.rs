//! The direction of dependencies: a crate uses only crates above it in the table.

use cargo_metadata::{DependencyKind, MetadataCommand};

/// From the top of the table to its bottom (ARCHITECTURE.md).
const ORDER: [&str; 10] = [
    "hatchery-failpoints",
    "hatchery-protocol",
    "hatchery-access",
    "hatchery-spawn",
    "hatchery-store",
    "hatchery-sandbox",
    "hatchery-agent",
    "hatchery-runtime",
    "hatchery-gateway",
    "hatchery-cli",
];

#[test]
fn a_crate_uses_only_crates_above_it() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let place = |name: &str| ORDER.iter().position(|listed| *listed == name);
    let mut seen = 0;
    for package in &metadata.packages {
        let Some(here) = place(&package.name) else { continue };
        seen += 1;
        for dependency in &package.dependencies {
            let ours = dependency.name.starts_with("hatchery-");
            if !ours || dependency.kind == DependencyKind::Development {
                continue;
            }
            let there = place(&dependency.name);
            assert!(
                there.is_some_and(|there| there < here),
                "{} uses {}",
                package.name,
                dependency.name
            );
        }
    }
    assert_eq!(seen, ORDER.len());
}

#[test]
fn the_pure_crates_use_nothing_that_reaches_outside() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let pure = ["hatchery-protocol", "hatchery-access", "hatchery-spawn"];
    for package in metadata.packages.iter().filter(|p| pure.contains(&p.name.as_str())) {
        for dependency in &package.dependencies {
            let reaches_out = ["tokio", "nix", "rustix", "rusqlite", "hyper", "getrandom"];
            let bad = dependency.kind != DependencyKind::Development
                && reaches_out.contains(&dependency.name.as_str());
            assert!(!bad, "{} uses {}", package.name, dependency.name);
        }
    }
}
