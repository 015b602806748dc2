//! What is refused, and where it is underlined.

use proptest::prelude::*;

use super::super::parse;
use super::support::{Case, case};
use crate::problem::{Source, to_json};

/// A manifest of another form than the head of [`case`].
fn whole(text: &str) -> Case {
    Case { text: text.to_owned(), ..case("") }
}

#[test]
fn all_problems_of_a_stage_come_out_at_once() {
    let body = "registries: { r: { kind: oci, url: 'http://127.0.0.1:5000' } }\nimages:\n  a:\n    variant: ligth\n    platforms: [linux]\n    args: { A: '{{matrx.x}}', B: \"{{ref 'nobody'}}\" }\n    timeout: ten\n    dockerfile: /etc/Dockerfile\n    push: { repository: Bad, tags: ['x y/z', '{{nme}}'] }\nvariants: { light: {} }\n";
    assert_eq!(
        case(body).problems(),
        [
            "unknown-variant 6:14",
            "invalid-platform 7:17",
            "missing-name 8:19",
            "unknown-image 8:42",
            "invalid-duration 9:14",
            "invalid-path 10:17",
            "invalid-repository 11:25",
            "invalid-tag 11:37",
            "missing-name 11:49",
        ]
    );
}

#[test]
fn form_and_syntax_come_out_together() {
    let body = "images:\n  a: { weight: -1, weight: 2 }\n  b: { name: {{x}} }\n  c: { dockerfle: x, output: { sbom: maybe } }\n";
    assert_eq!(
        case(body).problems(),
        ["wrong-type 4:16", "duplicate-key 4:20", "unquoted-template 5:14", "unknown-key 6:8", "wrong-type 6:38"]
    );
}

#[test]
fn unquoted_templates_are_seen_where_yaml_stops() {
    assert_eq!(case("images: { a: { target: {{x}}-y } }\n").problems(), ["unquoted-template 3:24"]);
    assert_eq!(case("images:\n  a:\n    target: {{x}}-y\n").problems(), ["unquoted-template 5:13"]);
}

#[test]
fn documents_that_expand_without_bound_are_refused() {
    let mut text = "version: 1\nproject: p\nx-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("x-{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    let begin = std::time::Instant::now();
    let problems = whole(&text).problems();
    assert!(problems[0].starts_with("yaml-too-large"), "{problems:?}");
    assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
    let deep = format!("version: 1\nproject: p\nx-a: {}{}\n", "[".repeat(1000), "]".repeat(1000));
    assert!(whole(&deep).problems()[0].starts_with("yaml-"));
}

#[test]
fn two_merge_keys_are_one_too_many() {
    let body = "x-a: &a { target: t }\nx-b: &b { weight: 2 }\nimages:\n  i:\n    <<: *a\n    <<: *b\n";
    assert_eq!(case(body).problems(), ["duplicate-key 8:5"]);
}

#[test]
fn two_images_on_one_tag() {
    let body = "registries: { r: { kind: oci, url: 'http://h' }, s: { kind: oci, url: 'https://h' } }\nimages:\n  a: { push: { registry: r, repository: x, tags: [t] } }\n  b: { push: { registry: s, repository: x, tags: [u, t] } }\n";
    let case = case(body);
    assert_eq!(case.problems(), ["tag-conflict 6:54"]);
    let json = to_json(&case.run().unwrap_err());
    assert_eq!((&json[0]["places"][1]["line"], &json[0]["places"][1]["column"]), (&5.into(), &51.into()));
}

#[test]
fn a_missing_name_is_an_error_in_conditions_too() {
    for template in ["{{#if matrix.no}}x{{/if}}", "{{#if (eq vars.no 'x')}}x{{/if}}", "{{upper no}}", "{{git.tag}}"] {
        let problems = case(&format!("images: {{ a: {{ target: \"{template}\" }} }}\n")).problems();
        assert_eq!(problems.len(), 1, "{template}: {problems:?}");
        assert!(problems[0].starts_with("missing-name 3:"), "{template}: {problems:?}");
    }
    assert!(case("images: { a: { target: \"{{default git.tag 'x'}}\" } }\n").problems().is_empty());
}

#[test]
fn arrays_records_and_references_do_not_stand_everywhere() {
    assert_eq!(case("images: { a: { target: \"{{ref 'b'}}\" }, b: {} }\n").problems(), ["misplaced-reference 3:27"]);
    assert_eq!(case("images: { a: { target: 'x{{git}}' } }\n").problems(), ["bad-template 3:28"]);
    assert_eq!(case("images: { a: { target: '{{uper git.short}}' } }\n").problems(), ["bad-template 3:27"]);
}

#[test]
fn circles_are_shown_whole() {
    assert_eq!(case("vars: { a: '{{vars.b}}', b: '{{vars.a}}' }\nimages: {}\n").problems(), ["circular-value 3:9"]);
    assert_eq!(case("images: { i: { args: { A: '{{args.A}}' } } }\n").problems(), ["circular-value 3:24"]);
}

#[test]
fn names_from_the_command_line_are_checked() {
    assert_eq!(case("images: {}\n").set("nope", "1").problems(), ["unknown-variable 1:1"]);
    assert_eq!(case("images: {}\n").profile("nope").problems(), ["unknown-profile 1:1"]);
    assert_eq!(
        case("vars: { v: { one_of: [a, b], default: a } }\n").set("v", "c").problems(),
        ["value-not-allowed 1:3"]
    );
    assert_eq!(case("vars: { v: { required: true } }\n").problems(), ["missing-variable 3:9"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics(text in "\\PC{0,200}") {
        let _ = parse(&Source::new("deploy.yaml", text.as_str()));
    }

    #[test]
    fn resolving_never_panics(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "version: 1\n", "project: p\n", "images:\n", "  a: ", "    b: ", "{", "}", "[", "]", "{{name}}", "\"{{", "}}\"", "&a ",
                "*a", "<<: ", "- ", "\n", "matrix: ", "name: ", "push: ", "args: ", "null", "'x'", ": ", ", ", "#", "|\n", "\u{fdd0}",
                "include: ", "\r\n", "\t", "ref 'a'", "é",
            ]),
            0..40,
        )
    ) {
        let _ = whole(&words.concat()).run();
        let _ = case(&words.concat()).run();
    }
}
