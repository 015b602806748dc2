//! The Dockerfile's text.

use std::fs;

use super::contents::rewrite;
use super::{Class, class};
use crate::case::{Arg, Case};
use crate::dice::Dice;

pub(super) const CLASSES: &[Class] = &[
    class("a comment in the Dockerfile", |case, dice| {
        edit(case, dice, |lines, dice| {
            let at = *dice.pick(&starts(lines))?;
            lines.insert(at, format!("# {}", dice.word()));
            Some("comment".to_owned())
        })
    }),
    class("blanks in the Dockerfile", |case, dice| {
        edit(case, dice, |lines, dice| {
            let at = *dice.pick(&whole(lines))?;
            let (word, rest) = lines[at].split_once(' ')?;
            if word.eq_ignore_ascii_case("run") || word.eq_ignore_ascii_case("onbuild") {
                return None;
            }
            lines[at] = format!("  {word} \t {rest}  ");
            lines.insert(at, String::new());
            Some(format!("blanks in line {at}"))
        })
    }),
    class("a line continued on the next", |case, dice| {
        edit(case, dice, |lines, dice| {
            let escape = if lines[0].contains("escape=`") { '`' } else { '\\' };
            let at = *dice.pick(&whole(lines))?;
            let (word, rest) = lines[at].split_once(' ')?;
            if word.eq_ignore_ascii_case("run") || word.eq_ignore_ascii_case("onbuild") {
                return None;
            }
            lines[at] = format!("{word} {escape}\n    {rest}");
            Some(format!("line {at} on two"))
        })
    }),
    class("case of an instruction", |case, dice| {
        edit(case, dice, |lines, dice| {
            let at = *dice.pick(&starts(lines))?;
            let (word, rest) = lines[at].split_once(' ')?;
            let other = if word.chars().any(char::is_lowercase) { word.to_uppercase() } else { word.to_lowercase() };
            lines[at] = format!("{other} {rest}");
            Some(format!("{other} in line {at}"))
        })
    }),
    class("blanks in a command", |case, dice| {
        edit(case, dice, |lines, dice| {
            let words = ["RUN ", "CMD ", "ENTRYPOINT ", "HEALTHCHECK ", "ONBUILD ", "MAINTAINER "];
            let command = |at: &usize| words.iter().any(|word| lines[*at].starts_with(word));
            let found: Vec<usize> = starts(lines).into_iter().filter(command).collect();
            let at = *dice.pick(&found)?;
            let blanks: Vec<usize> = lines[at].match_indices(' ').map(|(place, _)| place).collect();
            let place = *dice.pick(&blanks)?;
            lines[at].insert_str(place, dice.pick(&[" ", "\t", "   "])?);
            Some(format!("blanks in line {at}"))
        })
    }),
    class("a command on two lines", |case, dice| {
        edit(case, dice, |lines, dice| {
            let words = ["RUN ", "CMD ", "ENTRYPOINT ", "HEALTHCHECK ", "ONBUILD "];
            let command =
                |at: &usize| words.iter().any(|word| lines[*at].starts_with(word)) && !lines[*at].contains("<<");
            let found: Vec<usize> = starts(lines).into_iter().filter(command).collect();
            let at = *dice.pick(&found)?;
            let blanks: Vec<usize> = lines[at].match_indices(' ').map(|(place, _)| place).collect();
            let place = *dice.pick(&blanks)?;
            let comment = if dice.once_in(2) { "# aside\n" } else { "" };
            lines[at].insert_str(place, &format!("\\\n{comment}"));
            Some(format!("line {at} on two"))
        })
    }),
    class("an ONBUILD in other case", |case, dice| {
        edit(case, dice, |lines, dice| {
            let found: Vec<usize> = starting(lines, "ONBUILD");
            let at = *dice.pick(&found)?;
            lines[at] = lines[at].replace("ONBUILD COPY", "ONBUILD copy").replace("ONBUILD ENV", "ONBUILD Env");
            Some(format!("case of line {at}"))
        })
    }),
    class("args in another order", |case, dice| {
        edit(case, dice, |lines, dice| {
            let args = starting(lines, "ARG");
            let pairs: Vec<usize> = args.iter().copied().filter(|at| args.contains(&(at + 1))).collect();
            let at = *dice.pick(&pairs)?;
            lines.swap(at, at + 1);
            Some(format!("swap args in line {at}"))
        })
    }),
    class("an unused stage edited", |case, dice| {
        edit(case, dice, |lines, dice| {
            let at = lines.iter().position(|line| line.starts_with("COPY unused"))?;
            lines[at] = format!("COPY unused /{}", dice.word());
            Some("another destination in the unused stage".to_owned())
        })
    }),
    class("a new stage that nobody needs", |case, dice| {
        edit(case, dice, |lines, dice| {
            let last = *starting(lines, "FROM").last()?;
            let name = dice.word();
            lines.insert(last, format!("FROM scratch AS {name}\nCOPY main.txt /{name}\n"));
            Some(format!("stage {name}"))
        })
    }),
    class("a stage renamed", |case, dice| {
        edit(case, dice, |lines, dice| {
            let named = |line: &String| line.split_once(" AS ").map(|(_, name)| name.to_owned());
            let names: Vec<String> = lines.iter().filter_map(named).filter(|name| !name.contains('-')).collect();
            let old = dice.pick(&names)?.clone();
            let new = dice.word();
            for line in lines.iter_mut() {
                for form in [" AS {}", "--from={} ", "--from={}/", "from={},", "FROM {}"] {
                    let (old, new) = (form.replace("{}", &old), form.replace("{}", &new));
                    let ends = line.len() == old.len() || line.ends_with(&old) || old.ends_with([' ', ',']);
                    if ends && (!form.starts_with("FROM") || *line == old || line.starts_with(&format!("{old} "))) {
                        *line = line.replace(&old, &new);
                    }
                }
                *line = line.replace(&format!("--from={} ", old.to_lowercase()), &format!("--from={new} "));
                *line = line.replacen(&format!("FROM {old} AS"), &format!("FROM {new} AS"), 1);
            }
            Some(format!("stage {old} is {new}"))
        })
    }),
    class("another destination", |case, dice| {
        edit(case, dice, |lines, dice| {
            let copies: Vec<usize> = whole(lines)
                .into_iter()
                .filter(|at| lines[*at].starts_with("COPY") && !lines[*at].ends_with(']'))
                .collect();
            let at = *dice.pick(&copies)?;
            let slash = if lines[at].ends_with('/') { "/" } else { "" };
            let line = format!("{}/{}{slash}", lines[at].trim_end_matches('/'), dice.word());
            lines[at] = line;
            Some(format!("destination in line {at}"))
        })
    }),
    class("one more instruction", |case, dice| {
        edit(case, dice, |lines, dice| {
            let word = dice.word();
            let forms =
                ["LABEL {}=1", "ENV {}=1", "CMD [\"/{}\"]", "EXPOSE 4000", "USER 1234", "WORKDIR /{}", "ARG {}=1"];
            let line = dice.pick(&forms)?.replace("{}", &word);
            lines.push(line.clone());
            Some(line)
        })
    }),
    class("one instruction less", |case, dice| {
        edit(case, dice, |lines, dice| {
            let inner: Vec<usize> =
                whole(lines).into_iter().filter(|at| !lines[*at].to_uppercase().starts_with("FROM")).collect();
            if inner.len() < 2 || lines.iter().any(|line| line.contains("<<")) {
                return None;
            }
            let line = lines.remove(*dice.pick(&inner)?);
            Some(format!("no `{line}`"))
        })
    }),
    class("two steps swap", |case, dice| {
        edit(case, dice, |lines, dice| {
            let copies: Vec<usize> = whole(lines).into_iter().filter(|at| lines[*at].starts_with("COPY")).collect();
            let pairs: Vec<usize> = copies.iter().copied().filter(|at| copies.contains(&(at + 1))).collect();
            let at = *dice.pick(&pairs)?;
            lines.swap(at, at + 1);
            Some(format!("swap lines {at} and {}", at + 1))
        })
    }),
    class("two sources swap", |case, dice| {
        edit(case, dice, |lines, dice| {
            let many = |at: &usize| {
                let words: Vec<&str> = lines[*at].split(' ').filter(|word| !word.starts_with("--")).collect();
                words[0] == "COPY" && words.len() > 3 && !lines[*at].contains(['[', '<'])
            };
            let copies: Vec<usize> = whole(lines).into_iter().filter(many).collect();
            let at = *dice.pick(&copies)?;
            let mut words: Vec<&str> = lines[at].split(' ').collect();
            let first = words.iter().skip(1).position(|word| !word.starts_with("--"))? + 1;
            words.swap(first, first + 1);
            lines[at] = words.join(" ");
            Some(format!("swap sources in line {at}"))
        })
    }),
    class("words as JSON", |case, dice| {
        edit(case, dice, |lines, dice| {
            let plain = |at: &usize| lines[*at].starts_with("COPY ") && !lines[*at].contains(['[', '<', '$', '-', '"']);
            let copies: Vec<usize> = whole(lines).into_iter().filter(plain).collect();
            let at = *dice.pick(&copies)?;
            let words: Vec<String> = lines[at].split_whitespace().skip(1).map(|word| format!("{word:?}")).collect();
            lines[at] = format!("COPY [{}]", words.join(", "));
            Some(format!("JSON in line {at}"))
        })
    }),
    class("a word in quotes", |case, dice| {
        edit(case, dice, |lines, dice| {
            let plain = |at: &usize| lines[*at].starts_with("COPY ") && !lines[*at].contains(['[', '<', '$', '"']);
            let copies: Vec<usize> = whole(lines).into_iter().filter(plain).collect();
            let at = *dice.pick(&copies)?;
            let (rest, last) = lines[at].rsplit_once(' ')?;
            lines[at] = format!("{rest} \"{last}\"");
            Some(format!("quotes in line {at}"))
        })
    }),
    class("a value in quotes", |case, dice| {
        edit(case, dice, |lines, dice| {
            let pairs = |at: &usize| {
                let words: Vec<&str> = lines[*at].split(' ').collect();
                ["ENV", "LABEL"].contains(&words[0]) && words.len() == 2 && !lines[*at].contains(['$', '"'])
            };
            let found: Vec<usize> = whole(lines).into_iter().filter(pairs).collect();
            let at = *dice.pick(&found)?;
            let (name, value) = lines[at].split_once('=')?;
            lines[at] = format!("{name}='{value}'");
            Some(format!("quotes in line {at}"))
        })
    }),
    class("a source spelled otherwise", |case, dice| {
        edit(case, dice, |lines, dice| {
            let plain = |at: &usize| lines[*at].starts_with("COPY ") && !lines[*at].contains(['[', '<', '$', '-', '"']);
            let copies: Vec<usize> = whole(lines).into_iter().filter(plain).collect();
            let at = *dice.pick(&copies)?;
            let source = lines[at].split(' ').nth(1)?.to_owned();
            let form = *dice.pick(&["./", "/", "././", "../"])?;
            lines[at] = lines[at].replacen(&source, &format!("{form}{}", source.trim_start_matches(['.', '/'])), 1);
            Some(format!("`{form}` in line {at}"))
        })
    }),
    class("a comment in a document", |case, dice| {
        edit(case, dice, |lines, dice| {
            let at = lines.iter().position(|line| line.starts_with("# a comment") || line.starts_with("# raw"))?;
            if !lines.iter().any(|line| line.contains("<<")) {
                return None;
            }
            lines[at] = format!("# {} $HOME", dice.word());
            Some("comment in a document".to_owned())
        })
    }),
    class("a default that is not used", |case, dice| {
        let given = |(name, arg): &(&String, &Arg)| arg.value.is_some() && !name.starts_with("UNUSED");
        let names: Vec<String> = case.spec.args.iter().filter(given).map(|(name, _)| name.clone()).collect();
        let name = dice.pick(&names)?.clone();
        default(case, dice, &name)
    }),
    class("a default that is used", |case, dice| {
        let names = ["NAME", "FILE", "FOLDER", "VERSION", "KIND", "UNUSED_TOO", "LATE"];
        let text = fs::read_to_string(case.root.join(&case.spec.dockerfile)).ok()?;
        let declared = |name: &&str| text.lines().any(|line| line.starts_with("ARG") && line.contains(*name));
        let not_given = |name: &&str| case.spec.args.get(*name).is_none_or(|arg| arg.value.is_none());
        let free: Vec<&str> = names.into_iter().filter(declared).filter(not_given).collect();
        let name = *dice.pick(&free)?;
        default(case, dice, name)
    }),
    class("a Dockerfile with ends of Windows", |case, dice| {
        let change = |text: &str, dice: &mut Dice| {
            let mark = if dice.once_in(2) { "\u{feff}" } else { "" };
            Some(format!("{mark}{}", text.replace("\r\n", "\n").replace('\n', "\r\n")))
        };
        if fs::read_to_string(case.root.join(&case.spec.dockerfile)).ok()?.contains("<<") {
            return None;
        }
        rewrite(case, change, dice)?;
        Some("CRLF".to_owned())
    }),
    class("a directive", |case, dice| {
        let change = |text: &str, _: &mut Dice| {
            let directive = text.starts_with("# check") || text.starts_with("# escape");
            (!directive).then(|| format!("# check=skip=all\n{text}"))
        };
        rewrite(case, change, dice)?;
        Some("check=skip".to_owned())
    }),
    class("the Dockerfile under another name", |case, dice| {
        let path = format!("{}.{}", case.spec.dockerfile, dice.word());
        fs::rename(case.root.join(&case.spec.dockerfile), case.root.join(&path)).ok()?;
        // An own ignore file goes with it, if there is one.
        let own = |dockerfile: &str| case.root.join(format!("{dockerfile}.dockerignore"));
        let _ = fs::rename(own(&case.spec.dockerfile), own(&path));
        case.spec.dockerfile.clone_from(&path);
        Some(path)
    }),
    class("a flag that does nothing", |case, dice| {
        edit(case, dice, |lines, dice| {
            let copies: Vec<usize> =
                whole(lines).into_iter().filter(|at| lines[*at].starts_with("COPY main.txt")).collect();
            let at = *dice.pick(&copies)?;
            lines[at] = lines[at].replacen("COPY ", "COPY --chmod=0644 ", 1);
            Some(format!("--chmod=0644 in line {at}"))
        })
    }),
];

/// Changes the lines of a Dockerfile.
fn edit(
    case: &mut Case,
    dice: &mut Dice,
    change: impl FnOnce(&mut Vec<String>, &mut Dice) -> Option<String>,
) -> Option<String> {
    let mut what = None;
    let rewritten = |text: &str, dice: &mut Dice| {
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        what = Some(change(&mut lines, dice)?);
        Some(format!("{}\n", lines.join("\n")))
    };
    rewrite(case, rewritten, dice)?;
    what
}

const KEYWORDS: [&str; 17] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The lines that begin an instruction.
fn starts(lines: &[String]) -> Vec<usize> {
    let keyword = |line: &String| {
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        KEYWORDS.contains(&word.as_str())
    };
    (0..lines.len()).filter(|at| keyword(&lines[*at])).collect()
}

/// The lines that are an instruction by themselves.
fn whole(lines: &[String]) -> Vec<usize> {
    let open = |line: &String| line.trim_end().ends_with(['\\', '`']) || line.contains("<<");
    starts(lines).into_iter().filter(|at| !open(&lines[*at]) && (*at == 0 || !open(&lines[*at - 1]))).collect()
}

fn starting(lines: &[String], word: &str) -> Vec<usize> {
    let begins = |line: &String| line.to_uppercase().starts_with(&format!("{word} "));
    (0..lines.len()).filter(|at| begins(&lines[*at])).collect()
}

/// Another default for an arg.
fn default(case: &mut Case, dice: &mut Dice, name: &str) -> Option<String> {
    let choices = case.spec.args.get(name).map(|arg| arg.choices.clone()).unwrap_or_default();
    edit(case, dice, |lines, dice| {
        let value = dice.pick(&choices).cloned().unwrap_or_else(|| dice.word());
        let declared: Vec<usize> = starting(lines, "ARG").into_iter().filter(|at| lines[*at].contains(name)).collect();
        let at = *dice.pick(&declared)?;
        let words = lines[at].split(' ').map(|word| match word.split('=').next() {
            Some(found) if found == name => format!("{name}={value}"),
            _ => word.to_owned(),
        });
        lines[at] = words.collect::<Vec<_>>().join(" ");
        Some(format!("{name}={value} in line {at}"))
    })
}
