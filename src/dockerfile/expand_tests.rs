//! Each substitution of Docker's reference, and quoting.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn values() -> BTreeMap<String, String> {
    let pairs =
        [("x", "val"), ("empty", ""), ("path", "/a/b/c.tar.gz"), ("sp", "a b"), ("str", "foobarbaz"), ("1", "one")];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn what_a_word_becomes() {
    for (word, want) in [
        ("plain", "plain"),
        ("$x", "val"),
        ("${x}y", "valy"),
        ("$xy", ""),
        ("a$x/b", "aval/b"),
        ("'$x'", "$x"),
        ("\"$x\"", "val"),
        ("\\$x", "$x"),
        ("\"\\$x\"", "$x"),
        ("\"a\\b\"", "a\\b"),
        ("a\\b", "ab"),
        ("'a\\b'", "a\\b"),
        ("\"it's\"", "it's"),
        ("a'b c'd", "ab cd"),
        ("$", "$"),
        ("$ a", "$ a"),
        ("a$", "a$"),
        ("$1", "one"),
        ("${1}", "one"),
        ("$?", ""),
        ("${x:-d}", "val"),
        ("${no:-d}", "d"),
        ("${empty:-d}", "d"),
        ("${empty-d}", ""),
        ("${no-d}", "d"),
        ("${no:-$x}", "val"),
        ("${no:-${empty:-$x}}", "val"),
        ("${no:-'a}b'}", "a}b"),
        ("${x:+d}", "d"),
        ("${empty:+d}", ""),
        ("${empty+d}", "d"),
        ("${no+d}", ""),
        ("${x:?bad}", "val"),
        ("${empty?bad}", ""),
        ("${str#f*b}", "arbaz"),
        ("${str##f*b}", "az"),
        ("${str%b*}", "foobar"),
        ("${str%%b*}", "foo"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "/a/b/c.tar"),
        ("${path%%.*}", "/a/b/c"),
        ("${str#?oo}", "barbaz"),
        ("${str#nope}", "foobarbaz"),
        ("${no#x}", ""),
        ("${str/ba/BA}", "fooBArbaz"),
        ("${str//ba/BA}", "fooBArBAz"),
        ("${str//b?r/-}", "foo-baz"),
        ("${str/ba/}", "foorbaz"),
        ("${path//\\//-}", "-a-b-c.tar.gz"),
        ("${str/*/all}", "all"),
        ("\\", ""),
        ("a\\", "a"),
        ("", ""),
    ] {
        let got = Lexer::new('\\').expand(word, &values()).map(|expanded| expanded.text);
        assert_eq!(got.as_deref(), Ok(want), "{word}");
    }
}

#[test]
fn what_cannot_be_expanded() {
    for (word, part) in [
        ("${x", "`}` is missing"),
        ("${", "`}` is missing"),
        ("${}", "name must follow"),
        ("${{x}}", "name must follow"),
        ("${:x}", "name must follow"),
        ("${x^^}", "not a substitution"),
        ("${x:=d}", "`:=`"),
        ("${no:?}", "`no` has no value"),
        ("${no:?give it}", "give it"),
        ("${empty:?}", "must not be empty"),
        ("\"open", "`\"` is missing"),
        ("'open", "`'` is missing"),
        ("${x/a", "`/` is missing"),
        ("${x/a/b", "`}` is missing"),
        ("${str#\\a}", "not an escape"),
    ] {
        let error = Lexer::new('\\').expand(word, &values()).unwrap_err();
        assert!(error.message.contains(part), "{word}: {error}");
    }
    let deep = format!("{}{}", "${a:-".repeat(500), "}".repeat(500));
    assert!(Lexer::new('\\').expand(&deep, &values()).is_err());
}

#[test]
fn other_ways_to_read() {
    let lexer = Lexer::new('`');
    assert_eq!(lexer.expand("a`$x \\$x", &values()).unwrap().text, "a$x \\val");
    let raw = Lexer { raw_quotes: true, raw_escapes: true, skip_unset: true, ..Lexer::new('\\') };
    let expanded = raw.expand("a \"b c\" \\$d $no ${no:-e} ${no}", &BTreeMap::new()).unwrap();
    assert_eq!(expanded.words, ["a", "\"b c\"", "\\$d", "$no", "${no:-e}", "${no}"]);
    let body = Lexer { skip_quotes: true, ..Lexer::new('\\') };
    assert_eq!(body.expand("it's \"$x\"", &values()).unwrap().text, "it's \"val\"");
    assert_eq!(Lexer::new('\\').expand("$sp \"$sp\"", &values()).unwrap().words, ["a", "b", "a b"]);
}

#[test]
fn which_variables_were_needed() {
    let names = |word: &str| {
        let used = Lexer::new('\\').expand(word, &values()).unwrap().used;
        used.into_iter().map(|used| (used.name, used.set, used.needed)).collect::<Vec<_>>()
    };
    let entry = |name: &str, set, needed| (name.to_owned(), set, needed);
    assert_eq!(names("$x$no"), [entry("x", true, true), entry("no", false, true)]);
    assert_eq!(names("${no:-d}"), [entry("no", false, false)]);
    assert_eq!(names("${x:-$no}"), [entry("no", false, false), entry("x", true, false)]);
    assert_eq!(names("${no:-$nope}"), [entry("nope", false, true), entry("no", false, false)]);
    assert_eq!(names("'$x'"), []);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "[a${}:#%/?*+\\-'\"\\\\ x`]{0,40}") {
        for escape in ['\\', '`'] {
            let _ = Lexer::new(escape).expand(&text, &values());
            let _ = Lexer { skip_unset: true, raw_quotes: true, ..Lexer::new(escape) }.expand(&text, &values());
        }
    }

    #[test]
    fn text_without_signs_stays(text in "[a-z0-9 /._=,-]{0,40}") {
        prop_assert_eq!(Lexer::new('\\').expand(&text, &values()).unwrap().text, text);
    }
}
