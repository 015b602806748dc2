//! Messages that name what the user wrote, and what to do about it.

use crate::place::Place;

fn place(image: &str, dockerfile: &str) -> Place {
    let manifest = format!("version: 1\nproject: x\nimages:\n  a: {image}\n");
    Place::with_manifest(&manifest).file("Dockerfile", dockerfile)
}

/// What is said holds `words` and not `others`.
fn says(place: &Place, arguments: &[&str], words: &[&str], others: &[&str]) {
    let said = place.run(arguments).exits(2).stderr;
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} are not in\n{said}");
    assert!(others.iter().all(|word| !said.contains(word)), "one of {others:?} is in\n{said}");
}

#[test]
fn a_typing_error_in_a_platform() {
    let place = place("{ platforms: linux/arm65 }", "FROM scratch\n");
    says(&place, &["check"], &["`linux/arm65`", "did you mean `linux/arm64`?"], &[]);
}

#[test]
fn a_value_that_may_not_count_and_chooses_a_stage() {
    let dockerfile =
        "ARG C=a\nFROM scratch AS sa\nCOPY deploy.yaml /a\nFROM scratch AS sb\nCOPY deploy.yaml /b\nFROM s$C\n";
    let volatile = place("{ args: { C: { value: a, volatile: true } } }", dockerfile);
    says(
        &volatile,
        &["check"],
        &["the arg `C` is volatile", "take `volatile` away", "deploy.yaml:4:"],
        &["s{volatile}"],
    );
    let sensitive = place("{ args: { C: { value: a, sensitive: true } } }", dockerfile);
    says(&sensitive, &["check"], &["the arg `C` is sensitive", "take `sensitive` away"], &["{sensitive"]);
    place("{ args: { C: a } }", dockerfile).run(&["check"]).exits(0);
}

#[test]
fn a_weight_starts_at_one() {
    for weight in ["0", "-1"] {
        let place = place(&format!("{{ weight: {weight} }}"), "FROM scratch\n");
        says(&place, &["check"], &["`weight` takes a number from 1 up"], &["at least 1"]);
    }
}

#[test]
fn git_outside_a_checkout_and_without_a_tag() {
    let place = place("{ labels: { a: '{{git.tag}}' } }", "FROM scratch\n");
    says(&place, &["check"], &["this folder is not in a git checkout"], &[]);
    says(&place.committed(), &["check"], &["the commit has no tag"], &["not in a git checkout"]);
}

#[test]
fn no_jobs_at_all() {
    says(&place("{}", "FROM scratch\n"), &["plan", "--offline", "-j", "0"], &["--jobs"], &[]);
}
