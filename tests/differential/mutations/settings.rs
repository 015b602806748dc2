//! What the manifest passes: args, labels, target, platform, contexts, images, secrets. And the place of the checkout.

use std::fs;

use super::{Class, class, documented};
use crate::case::{Arg, Base, Case};
use crate::dice::Dice;

pub(super) const CLASSES: &[Class] = &[
    class("an arg", |case, dice| {
        change_arg(case, dice, |name, arg| {
            !arg.volatile && !name.starts_with("UNUSED") && !name.starts_with("BUILDKIT")
        })
    }),
    class("a volatile arg", |case, dice| change_arg(case, dice, |_, arg| arg.volatile)),
    documented("an arg that nothing uses", "an arg that a stage declares and no instruction uses", |case, dice| {
        change_arg(case, dice, |name, _| name.starts_with("UNUSED"))
    }),
    class("an arg that no stage declares", |case, dice| {
        let known: Vec<&str> =
            ["ELSEWHERE", "NOWHERE"].into_iter().filter(|name| case.spec.args.contains_key(*name)).collect();
        let name = dice.pick(&known).map_or_else(|| dice.word().to_uppercase(), |name| (*name).to_owned());
        let value = dice.word();
        let arg = Arg { value: Some(value.clone()), choices: Vec::new(), volatile: false };
        case.spec.args.insert(name.clone(), arg);
        Some(format!("{name}={value}"))
    }),
    class("an arg of BuildKit's own", |case, dice| {
        let name = *dice.pick(&["BUILDKIT_INLINE_CACHE", "HTTP_PROXY", "no_proxy"])?;
        let value = if name.starts_with("BUILDKIT") { "0".to_owned() } else { dice.word() };
        case.spec.args.insert(name.to_owned(), Arg { value: Some(value), choices: Vec::new(), volatile: false });
        Some(name.to_owned())
    }),
    class("an arg that is not passed any more", |case, dice| {
        let passed = |(name, arg): &(&String, &Arg)| arg.value.is_some() && !name.starts_with("UNUSED");
        let passed: Vec<String> = case.spec.args.iter().filter(passed).map(|(name, _)| name.clone()).collect();
        let name = dice.pick(&passed)?.clone();
        case.spec.args.get_mut(&name)?.value = None;
        Some(format!("no {name}"))
    }),
    class("an arg of a platform", |case, dice| {
        let text = fs::read_to_string(case.root.join(&case.spec.dockerfile)).ok()?;
        let name = *dice.pick(&["TARGETARCH", "TARGETPLATFORM", "TARGETOS", "BUILDPLATFORM", "TARGETVARIANT"])?;
        let value = if name.ends_with("PLATFORM") { "linux/riscv64".to_owned() } else { dice.word() };
        text.contains("TARGET").then_some(())?;
        case.spec
            .args
            .insert(name.to_owned(), Arg { value: Some(value.clone()), choices: Vec::new(), volatile: false });
        Some(format!("{name}={value}"))
    }),
    class("a label", |case, dice| {
        let name = *dice.pick(&["given", "another", "a"])?;
        let value = dice.word();
        case.spec.labels.insert(name.to_owned(), (value.clone(), false));
        Some(format!("label {name}={value}"))
    }),
    class("a volatile label", |case, dice| {
        let label = case.spec.labels.values_mut().find(|(_, volatile)| *volatile)?;
        label.0 = dice.word();
        Some("volatile label".to_owned())
    }),
    class("the target", |case, dice| {
        let names = stages(case);
        let target = dice.pick(&names)?.clone();
        if case.spec.target.as_ref() == Some(&target) {
            return None;
        }
        case.spec.target = Some(target.clone());
        Some(format!("target {target}"))
    }),
    class("the target in other case", |case, dice| {
        let names = stages(case);
        let target = case.spec.target.clone().or_else(|| names.last().filter(|_| last_is_named(case)).cloned())?;
        let other = if dice.once_in(2) { target.to_uppercase() } else { target.to_lowercase() };
        case.spec.target = Some(other.clone());
        Some(format!("target {other}"))
    }),
    class("the platform", |case, dice| {
        // What runs or comes from elsewhere is there for this machine alone.
        if !case.spec.outside.is_empty() {
            return None;
        }
        let platforms: Vec<&str> = ["linux/arm64", "linux/amd64", "linux/arm/v7", "linux/riscv64"]
            .into_iter()
            .filter(|platform| *platform != case.spec.platform)
            .collect();
        case.spec.platform = (*dice.pick(&platforms)?).to_owned();
        Some(case.spec.platform.clone())
    }),
    class("an image from outside", |case, dice| {
        let names: Vec<String> = case.spec.outside.keys().cloned().collect();
        let name = dice.pick(&names)?.clone();
        let base = case.spec.outside.get_mut(&name)?;
        *base = match base {
            Base::Shell => Base::OtherShell,
            Base::OtherShell => Base::Shell,
            Base::Triggers => return None,
        };
        Some(format!("{name} is {base:?}"))
    }),
    class("an image from outside that nobody needs", |case, _| {
        if case.spec.contexts.contains_key("spare") {
            return None;
        }
        case.spec.contexts.insert("spare".to_owned(), "app/docs".to_owned());
        Some("a context `spare`".to_owned())
    }),
    class("the folder of a named context", |case, dice| {
        let name = case.spec.contexts.keys().next()?.clone();
        let folder = *dice.pick(&["app/docs", "app/lib", "app"])?;
        case.spec.contexts.insert(name.clone(), folder.to_owned());
        Some(format!("{name} is {folder}"))
    }),
    class("a copy of the folder of a named context", |case, _| {
        let (name, folder) = case.spec.contexts.iter().next().map(|(name, folder)| (name.clone(), folder.clone()))?;
        let copy = "copied".to_owned();
        let (from, to) = (case.root.join(folder), case.root.join(&copy));
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().ok()?;
        case.spec.contexts.insert(name, copy);
        done.success().then(|| "copied".to_owned())
    }),
    class("a secret from another file", |case, dice| {
        let id = case.spec.secrets.keys().next()?.clone();
        let path = format!("{}.txt", dice.word());
        case.write(&path, "other");
        case.spec.secrets.insert(id, path.clone());
        Some(path)
    }),
    class("a secret under another id", |case, dice| {
        let id = case.spec.secrets.keys().next()?.clone();
        let path = case.spec.secrets.remove(&id)?;
        let (text, new) = (fs::read_to_string(case.root.join(&case.spec.dockerfile)).ok()?, dice.word());
        let text = text.replace("id=token", &format!("id={new}")).replace("secrets/token", &format!("secrets/{new}"));
        fs::write(case.root.join(&case.spec.dockerfile), text).ok()?;
        case.spec.secrets.insert(new.clone(), path);
        Some(format!("secret {new}"))
    }),
    class("a checkout in another place", |case, dice| {
        let place = case.root.with_file_name(dice.word());
        fs::rename(&case.root, &place).ok()?;
        case.root = place;
        Some("moved".to_owned())
    }),
    class("a fresh checkout", |case, dice| {
        let place = case.root.with_file_name(dice.word());
        let done =
            std::process::Command::new("cp").args(["-r", "--no-dereference"]).arg(&case.root).arg(&place).status();
        // A checkout has no state folder.
        let _ = fs::remove_dir_all(place.join(".orchestrate"));
        case.root = place;
        // git keeps no empty folders, a copy does; and `cp -r` keeps the x bit alone, as git does.
        done.ok()?.success().then(|| "copied".to_owned())
    }),
];

fn change_arg(case: &mut Case, dice: &mut Dice, keep: impl Fn(&str, &Arg) -> bool) -> Option<String> {
    let names: Vec<String> =
        case.spec.args.iter().filter(|(name, arg)| keep(name, arg)).map(|(name, _)| name.clone()).collect();
    let name = dice.pick(&names)?.clone();
    let arg = case.spec.args.get_mut(&name)?;
    let others: Vec<&String> = arg.choices.iter().filter(|choice| Some(*choice) != arg.value.as_ref()).collect();
    let value = dice.pick(&others).map(|value| (*value).clone())?;
    arg.value = Some(value.clone());
    Some(format!("{name}={value}"))
}

fn stages(case: &Case) -> Vec<String> {
    let text = fs::read_to_string(case.root.join(&case.spec.dockerfile)).unwrap_or_default();
    let named = |line: &str| line.split_once(" AS ").map(|(_, name)| name.trim().to_owned());
    text.lines().filter(|line| line.starts_with("FROM")).filter_map(named).collect()
}

fn last_is_named(case: &Case) -> bool {
    let text = fs::read_to_string(case.root.join(&case.spec.dockerfile)).unwrap_or_default();
    text.lines().rfind(|line| line.starts_with("FROM")).is_some_and(|line| line.contains(" AS "))
}
