//! Each rule of the manifest, by value.

use super::super::{BuildsOn, check_leaks, render_tag};
use super::support::{arg, case, image, tags};
use crate::name::ImageName;
use crate::project::{Context, NamedContext, RegistryKind};

const OCI: &str = "registries: { r: { kind: oci, url: 'http://127.0.0.1:5000' } }\n";

fn names(body: &str) -> Vec<String> {
    case(body).project().images.keys().map(ToString::to_string).collect()
}

#[test]
fn axes_make_the_cross_product_and_include_appends() {
    let body = "images:\n  g:\n    matrix:\n      py: [3.9, 3.10]\n      os: [{ id: deb, tag: slim }, { id: alp, tag: tiny }]\n      exclude: [{ py: 3.9, tag: tiny }, { py: 3.10, os: { id: deb } }]\n      include: [{ py: 3.13, os: { id: x } }]\n    name: 'a-{{matrix.py}}-{{matrix.os.id}}'\n";
    assert_eq!(names(body), ["a-3.9-deb", "a-3.10-alp", "a-3.13-x"]);
}

#[test]
fn an_exclude_tests_the_full_product_and_warns_if_it_matches_nothing() {
    let body = "images:\n  g:\n    matrix:\n      a: [1, 2]\n      exclude:\n        - { a: 1 }\n        - { a: '1' }\n        - { a: 9 }\n    name: 'i{{matrix.a}}'\n";
    assert_eq!(names(body), ["i2"]);
    assert_eq!(case(body).problems(), ["exclude-unused 10:13"]);
}

#[test]
fn axes_come_from_folders_and_matrices_from_files() {
    let project = case("images:\n  g:\n    matrix: { dir: { glob: '*/Dockerfile' } }\n    name: '{{matrix.dir.name}}'\n    context: '{{matrix.dir.1}}'\n")
        .file("api/Dockerfile", "")
        .file("web/Dockerfile", "")
        .file("x/y/Dockerfile", "")
        .project();
    assert_eq!(image(&project, "api").dockerfile.value, "api/Dockerfile");
    assert_eq!(project.images.len(), 2);
    let project = case("images:\n  g:\n    matrix: { file: ci/m.yaml }\n    name: '{{matrix.n}}'\n")
        .file("ci/m.yaml", "- n: one\n- n: two\n")
        .project();
    assert_eq!(project.images.len(), 2);
}

#[test]
fn lists_splice_and_values_keep_their_type() {
    let body = "vars:\n  ps: [linux/amd64, linux/arm64]\nimages:\n  g:\n    matrix: { include: [{ n: a, slow: true, w: 3 }] }\n    name: '{{matrix.n}}'\n    platforms: ['{{vars.ps}}', linux/arm/v6]\n    weight: '{{matrix.w}}'\n    output: { sbom: '{{matrix.slow}}' }\n";
    let project = case(body).project();
    let a = image(&project, "a");
    assert_eq!(a.platforms.len(), 3);
    assert_eq!(a.weight, 3);
    assert!(a.output.sbom);
}

#[test]
fn later_levels_win_and_null_deletes() {
    let body = "defaults: { args: { A: d, B: d, C: d, D: d } }\nvariants: { v: { args: { B: v, C: v }, target: t } }\nimages:\n  a: { variant: v, args: { C: i, D: null }, target: null }\nprofiles:\n  dev: { images: { a: { args: { C: p, E: p } } } }\n";
    let project = case(body).project();
    let a = image(&project, "a");
    assert_eq!([arg(a, "A"), arg(a, "B"), arg(a, "C")], ["d", "v", "i"]);
    assert!(!a.args.contains_key("D") && a.target.is_none());
    assert!(a.args["B"].inherited && !a.args["C"].inherited);
    let project = case(body).profile("dev").set("args.E", "set {{x}}").project();
    let a = image(&project, "a");
    assert_eq!([arg(a, "C"), arg(a, "E")], ["p", "set {{x}}"]);
}

#[test]
fn a_profile_may_change_the_kind_of_a_registry() {
    let body = "registries: { r: { kind: ecr, region: eu-west-1 } }\nimages: { a: { push: { repository: a } } }\nprofiles: { local: { registries: { r: { kind: oci, url: 'http://127.0.0.1:5000/x' } } } }\n";
    let project = case(body).profile("local").project();
    let kind = &project.registries.values().next().unwrap().kind;
    let oci = RegistryKind::Oci { scheme: "http".into(), host: "127.0.0.1:5000".into(), prefix: "x".into() };
    assert_eq!(*kind, oci);
}

#[test]
fn set_keeps_what_is_special_about_an_arg() {
    let body = "images: { a: { args: { T: { value: x, sensitive: true, per_platform: { linux/amd64: y } } } } }\n";
    let project = case(body).set("args.T", "z").project();
    let a = image(&project, "a");
    assert!(a.args["T"].sensitive && a.args["T"].per_platform.is_empty());
    assert_eq!(super::super::show(&project)["images"]["a"]["args"]["T"]["value"], "***");
}

#[test]
fn args_files_stand_below_args_of_their_level() {
    let body = "defaults: { args_file: base.env }\nimages: { a: { args_file: [own.env], args: { B: own } } }\n";
    let project = case(body)
        .file("base.env", "\u{feff}# c\r\nexport A=1\r\nB=\"two words\"\r\nD='{{x}}'\n")
        .file("own.env", "B=file\nC=file\n")
        .project();
    let a = image(&project, "a");
    assert_eq!([arg(a, "A"), arg(a, "B"), arg(a, "C"), arg(a, "D")], ["1", "own", "file", "{{x}}"]);
    assert!(a.args["C"].inherited && !a.args["B"].inherited);
}

#[test]
fn vars_come_from_set_then_environment_then_file_then_default() {
    let body = "vars:\n  v: { env: V, file: v.txt, default: d }\n  w: 'w-{{vars.v}}'\nimages: { a: { args: { V: '{{vars.w}}' } } }\n";
    let value = |case: super::support::Case| arg(image(&case.project(), "a"), "V");
    assert_eq!(value(case(body)), "w-d");
    assert_eq!(value(case(body).file("v.txt", "f\n")), "w-f");
    assert_eq!(value(case(body).file("v.txt", "f\n").env("V", "e")), "w-e");
    assert_eq!(value(case(body).env("V", "e").set("v", "s")), "w-s");
}

#[test]
fn templates_render_late_and_args_may_use_each_other() {
    let body = "defaults: { args: { ALL: '{{args.ONE}}-{{name}}-{{lower variant}}' } }\nvariants: { V: {} }\nimages: { a: { variant: V, args: { ONE: '{{project}}' } } }\n";
    assert_eq!(arg(image(&case(body).project(), "a"), "ALL"), "p-a-v");
}

#[test]
fn helpers() {
    let render = |template: &str| {
        let body = format!(
            "images: {{ a: {{ matrix: {{ include: [{{ v: 2.1.11, l: [x, y], f: false }}] }}, name: a, args: {{ X: \"{template}\" }} }} }}\n"
        );
        arg(image(&case(&body).project(), "a"), "X")
    };
    for (template, expected) in [
        ("{{parts matrix.v}}", "2.1.11 2.1 2"),
        ("{{slug git.branch}}", "feature-x"),
        ("{{replace git.branch '/' '_'}}", "feature_x"),
        ("{{truncate git.commit 12}}", "0123456789ab"),
        ("{{default git.tag 'none'}}", "none"),
        ("{{#if (gte matrix.v '2.1.9')}}new{{else}}old{{/if}}", "new"),
        ("{{#if matrix.f}}yes{{else}}no{{/if}}", "no"),
        ("{{#each matrix.l}}{{@index}}{{this}} {{/each}}", "0x 1y "),
        ("{{#if (and (eq name 'a') (not (ne 'b' 'b')))}}t{{/if}}", "t"),
        ("{{join matrix.l ','}}|{{snake 'AbC'}}|{{camel 'ab-c'}}|{{upper 'x'}}", "x,y|ab_c|abC|X"),
        ("<{{name}}&>", "<a&>"),
    ] {
        assert_eq!(render(template), expected, "{template}");
    }
}

#[test]
fn contexts_edges_and_paths() {
    let body = "bases: { b: {} }\nimages:\n  a:\n    context: ./svc/../app/\n    contexts: { base: \"{{ref 'b'}}\", tools: ./tools, dist: { image: b }, 'docker.io/library/alpine': 'docker-image://alpine:3' }\n  c:\n    context: { paths: [go.mod, { from: cmd/x, to: x, only: ['*.go'] }] }\n";
    let project = case(body).project();
    let a = image(&project, "a");
    assert_eq!(a.context.value, Context::Folder("app".into()));
    assert_eq!(a.dockerfile.value, "app/Dockerfile");
    let context = |name: &str| a.contexts[name].value.clone();
    assert_eq!(context("base"), NamedContext::Image(ImageName::new("b")));
    assert_eq!(context("dist"), NamedContext::Image(ImageName::new("b")));
    assert_eq!(context("tools"), NamedContext::Folder("tools".into()));
    assert_eq!(context("docker.io/library/alpine"), NamedContext::Outside("alpine:3".into()));
    let Context::Assembled(parts) = &image(&project, "c").context.value else { panic!() };
    assert_eq!((parts[0].to.as_str(), parts[1].to.as_str()), ("go.mod", "x"));
}

#[test]
fn tags_are_split_and_typed() {
    let body = format!(
        "{OCI}vars: {{ version: '{{{{git.short}}}}' }}\nimages:\n  a:\n    push:\n      repository: a\n      tags: ['{{{{parts \"1.2\"}}}}', '{{{{vars.version}}}}', '{{{{git.date}}}}', '{{{{default git.tag \"\"}}}}', {{ tag: 'c-{{{{git.commit}}}}', on: change, immutable: true }}, {{ tag: no, when: 'false' }}, '{{{{key}}}}-{{{{published}}}}']\n"
    );
    let project = case(&body).project();
    let a = image(&project, "a");
    let commit = "c-0123456789abcdef0123456789abcdef01234567";
    let all = tags(a);
    assert_eq!(all[..5], ["r/a:1.2", "r/a:1", "r/a:0123456", "r/a:2026-01-31", format!("r/a:{commit}").as_str()]);
    let rules = &a.destinations[0].tags;
    let kinds: Vec<(bool, bool)> = rules.iter().map(|rule| (rule.fixed, rule.uses_git)).collect();
    assert_eq!(kinds, [(false, false), (true, true), (false, true), (true, true), (true, true), (true, false)]);
    assert!(rules[4].on_change && rules[4].immutable);
    let key = crate::digest::Key::from_bytes([0xab; 32]);
    assert_eq!(
        render_tag(&rules[5], Some(&key), Some("2026-02-01")).unwrap(),
        [format!("{}-2026-02-01", "ab".repeat(16))]
    );
}

#[test]
fn without_registries_images_go_to_a_layout() {
    let project = case("images: { Api: {} }\n").project();
    let destination = &image(&project, "Api").destinations[0];
    assert_eq!((destination.registry.as_str(), destination.repository.as_str()), ("layout", "api"));
    let project = case(&format!("{OCI}images: {{ a: {{}} }}\n")).project();
    assert!(image(&project, "a").destinations.is_empty());
}

#[test]
fn anchors_merge_keys_and_extensions() {
    let body = "x-common: &c\n  args: { A: '{{name}}' }\n  target: t\nx-more: &m { target: u, weight: 4 }\nimages:\n  a: { <<: [*c, *m] }\n  b: { <<: *c, target: own }\n";
    let project = case(body).project();
    let (a, b) = (image(&project, "a"), image(&project, "b"));
    assert_eq!((arg(a, "A"), a.target.as_ref().unwrap().value.as_str(), a.weight), ("a".to_owned(), "t", 4));
    assert_eq!((arg(b, "A"), b.target.as_ref().unwrap().value.as_str()), ("b".to_owned(), "own"));
}

#[test]
fn crlf_and_a_byte_order_mark_change_nothing() {
    let mut with = case("images: { a: { args: { A: 1 } } }\n");
    with.text = format!("\u{feff}{}", with.text.replace('\n', "\r\n"));
    assert_eq!(arg(image(&with.project(), "a"), "A"), "1");
    with.text = with.text.replace("A: 1", "A: 1 }, targget: { x: 1");
    assert_eq!(with.problems(), ["unknown-key 3:32"]);
}

#[test]
fn a_private_base_leaks_into_a_public_image() {
    let body = "registries: { priv: { kind: oci, url: 'https://a' }, pub: { kind: oci, url: 'https://b', public: true } }\nbases:\n  secret: { push: { registry: priv, repository: s } }\n  middle: {}\nimages:\n  a: { push: [{ registry: pub, repository: a }, { registry: priv, repository: a }] }\n  b: { push: { registry: pub, repository: b }, discloses: secret }\n  c: { push: { registry: priv, repository: c } }\n";
    let project = case(body).project();
    let edge = |image: &str, base: &str| BuildsOn {
        image: ImageName::new(image),
        base: ImageName::new(base),
        location: project.source.at(0, 1),
    };
    let edges = [edge("a", "middle"), edge("middle", "secret"), edge("b", "secret"), edge("c", "secret")];
    let problems = check_leaks(&project, &edges);
    let messages: Vec<&str> = problems.sorted().iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["the public image `a` would show the layers of the private `secret`"]);
}

#[test]
fn a_thousand_images_resolve_fast() {
    let mut body = format!(
        "{OCI}defaults: {{ args: {{ HASH: {{ value: '{{{{git.short}}}}', volatile: true }} }} }}\nvariants: {{ v: {{ dockerfile: d/Dockerfile }} }}\nimages:\n  g:\n    name: '{{{{matrix.n}}}}'\n    variant: v\n    args: {{ T: '{{{{matrix.n}}}}' }}\n    push: [{{ registry: r, repository: x, tags: ['{{{{name}}}}-{{{{git.short}}}}', '{{{{name}}}}-latest'] }}]\n    matrix:\n      include:\n"
    );
    (0..1000).for_each(|n| body.push_str(&format!("        - {{ n: image-{n} }}\n")));
    let case = case(&body);
    let begin = std::time::Instant::now();
    assert_eq!(case.project().images.len(), 1000);
    println!("1,000 images: {:?}", begin.elapsed());
    // The bound only catches a cost that grows with the square.
    assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn only_listed_environment_variables_are_visible() {
    let body = "env: [SEEN]\nimages: { a: { args: { A: '{{env.SEEN}}' } } }\n";
    assert_eq!(arg(image(&case(body).env("SEEN", "yes").project(), "a"), "A"), "yes");
    assert_eq!(case(body).problems(), ["missing-name 4:30"]);
    assert_eq!(case(&body.replace("[SEEN]", "[OTHER]")).env("SEEN", "yes").problems(), ["missing-name 4:30"]);
}

#[test]
fn registries_of_aws_say_who_we_are_and_how_repositories_are_made() {
    let body = "registries:\n  a: { kind: ecr, region: cn-north-1, role: 'arn:aws-cn:iam::210987654321:role/team/push' }\n  b: { kind: ecr, region: us-east-1, account: '345678901234', profile: p, cross_account: true, create: { immutable: { except: ['*-latest'] }, allow: '210987654321' } }\n";
    let project = case(body).project();
    let registry = |name: &str| &project.registries[&crate::name::RegistryName::new(name)];
    assert_eq!(registry("a").host().unwrap(), "210987654321.dkr.ecr.cn-north-1.amazonaws.com.cn");
    let RegistryKind::Ecr { create: Some(create), login, cross_account, .. } = &registry("b").kind else { panic!() };
    assert!(create.immutable && *cross_account);
    assert_eq!(
        (&create.except[..], &create.allow[..]),
        (&["*-latest".to_owned()][..], &["210987654321".to_owned()][..])
    );
    assert_eq!(login.profile.as_deref(), Some("p"));
    for (registry, problem) in [
        ("{ kind: ecr, region: us-east-1, role: 'arn:aws:iam::1:role/x' }", "invalid-value"),
        ("{ kind: ecr, region: us-east-1, profile: p }", "invalid-value"),
        ("{ kind: ecr, region: us-east-1, create: { allow: ['12'] } }", "invalid-value"),
        ("{ kind: ecr, region: us-east-1, create: { usage: x } }", "invalid-registry"),
        ("{ kind: ecr-public, alias: a, create: { scan_on_push: true } }", "invalid-registry"),
        ("{ kind: ecr-public, alias: a, cross_account: true }", "invalid-registry"),
    ] {
        let found = case(&format!("registries:\n  r: {registry}\n")).problems();
        assert!(found.len() == 1 && found[0].starts_with(problem), "{registry}: {found:?}");
    }
}
