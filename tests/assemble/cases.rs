//! The table: Dockerfiles without RUN.

/// Images that others build on: the name of the context and the Dockerfile. Built by us, given to both.
pub const BASES: &[(&str, &str)] = &[
    ("plainbase", "FROM scratch\nADD archives/base.tar /\n"),
    (
        "richbase",
        "FROM plainbase\nENV A=base B=\"two words\"\nCMD [\"base\", \"cmd\"]\nENTRYPOINT [\"/entry\"]\nLABEL one=1\nUSER web\n\
         WORKDIR /srv\nVOLUME /data\nEXPOSE 80\nHEALTHCHECK CMD true\nSTOPSIGNAL SIGINT\nSHELL [\"/bin/x\", \"-c\"]\n",
    ),
    (
        "triggerbase",
        "FROM plainbase\nONBUILD COPY a.txt /triggered/\nONBUILD ENV TRIGGERED=yes\nONBUILD LABEL trig=$GIVEN\n",
    ),
];

/// Both build them, with the same result.
pub const EQUAL: &[(&str, &str)] = &[
    // Destinations.
    ("file to root", "FROM scratch\nCOPY a.txt /\n"),
    ("file to name", "FROM scratch\nCOPY a.txt /x\n"),
    ("file to new folder with slash", "FROM scratch\nCOPY a.txt /new/deep/\n"),
    ("file to name in new folder", "FROM scratch\nCOPY a.txt /new/deep/name\n"),
    ("file over file", "FROM scratch\nCOPY a.txt /x\nCOPY b.txt /x\n"),
    ("file into existing folder without slash", "FROM scratch\nCOPY dir /d\nCOPY a.txt /d\n"),
    ("relative without workdir", "FROM scratch\nCOPY a.txt here\nCOPY a.txt ./there/\n"),
    ("dot destination", "FROM scratch\nWORKDIR /w\nCOPY a.txt .\nCOPY b.txt ./\n"),
    ("dot dot destination", "FROM scratch\nWORKDIR /w/x\nCOPY a.txt ../y\nCOPY a.txt ../../../../z\n"),
    ("two files", "FROM scratch\nCOPY a.txt b.txt /d/\n"),
    ("json form", "FROM scratch\nCOPY [\"names/with space.txt\", \"/with space/\"]\n"),
    ("trailing dot", "FROM scratch\nCOPY a.txt /d/\nCOPY b.txt /d/.\n"),
    // Folders.
    ("folder contents", "FROM scratch\nCOPY dir /d\n"),
    ("folder with slashes", "FROM scratch\nCOPY dir/ /d/\n"),
    ("folder merged", "FROM scratch\nCOPY dir /d\nCOPY dir-two /d\n"),
    ("all", "FROM scratch\nCOPY . .\n"),
    ("all to folder", "FROM scratch\nCOPY . /all/\n"),
    ("slash source", "FROM scratch\nCOPY / /all/\n"),
    ("empty folder", "FROM scratch\nCOPY empty /e\n"),
    ("empty folders inside", "FROM scratch\nCOPY empties /e\n"),
    ("modes", "FROM scratch\nCOPY modes /m\n"),
    ("modes over existing folder", "FROM scratch\nCOPY empties /m\nCOPY modes /m\nCOPY modes/sticky /m/group\n"),
    ("folder inside folder keeps mode of the destination", "FROM plainbase\nCOPY empties /tmp\n"),
    ("long names", "FROM scratch\nCOPY long /l\n"),
    ("names", "FROM scratch\nCOPY names /n\n"),
    ("big file", "FROM scratch\nCOPY big /\n"),
    ("nested twice", "FROM scratch\nCOPY dir/sub /s\nCOPY dir/sub2 /s\n"),
    // Links in the context.
    ("link is followed", "FROM scratch\nCOPY link /l\n"),
    ("link into folder", "FROM scratch\nCOPY link /l/\n"),
    ("link to folder", "FROM scratch\nCOPY linkdir /l\n"),
    ("through link to folder", "FROM scratch\nCOPY linkdir/one.txt /l/\n"),
    ("links inside a folder stay", "FROM scratch\nCOPY links /l\n"),
    ("absolute link is taken in the context", "FROM scratch\nCOPY absolute /l\n"),
    ("chain of links", "FROM scratch\nCOPY links/chain /l\n"),
    // Wildcards.
    ("star", "FROM scratch\nCOPY *.txt /w/\n"),
    ("star in folder", "FROM scratch\nCOPY dir/*.txt /w/\n"),
    ("star folder", "FROM scratch\nCOPY di* /w/\n"),
    ("star of folders and files", "FROM scratch\nCOPY dir/* /w/\n"),
    ("star in the middle", "FROM scratch\nCOPY dir/*/deep.txt /w/\n"),
    ("question mark", "FROM scratch\nCOPY ?.txt /w/\n"),
    ("class", "FROM scratch\nCOPY [ab].txt /w/\n"),
    ("escaped class", "FROM scratch\nCOPY names/[[]x].txt /w/\n"),
    ("star with none", "FROM scratch\nCOPY a.txt /x\nCOPY *.none /w/\n"),
    ("star and a name", "FROM scratch\nCOPY a.txt *.none /w/\n"),
    ("star hits hidden", "FROM scratch\nCOPY dir/.* /w/\n"),
    ("star of links", "FROM scratch\nCOPY link* /w/\n"),
    ("star to one name", "FROM scratch\nCOPY a.t* /w\n"),
    // chown, chmod.
    ("chown numbers", "FROM scratch\nCOPY --chown=7:8 dir /new/d\n"),
    ("chown number alone", "FROM scratch\nCOPY --chown=7 a.txt /new/\n"),
    ("chown name", "FROM scratch\nCOPY etc /etc\nCOPY --chown=app a.txt /new/\n"),
    ("chown name and group", "FROM scratch\nCOPY etc /etc\nCOPY --chown=app:staff dir /new/\n"),
    ("chown group alone of number", "FROM scratch\nCOPY etc /etc\nCOPY --chown=5:staff dir /new/\n"),
    ("chown name of base", "FROM plainbase\nCOPY --chown=web a.txt /srv/\n"),
    ("chown link", "FROM scratch\nCOPY --chown=3:4 links /l\n"),
    ("chown existing folder", "FROM scratch\nCOPY dir /d\nCOPY --chown=3:4 dir /d\n"),
    ("chown variable", "FROM scratch\nARG GIVEN\nENV U=9\nCOPY --chown=$U:10 a.txt /x/\n"),
    ("chmod", "FROM scratch\nCOPY --chmod=700 a.txt /x\n"),
    ("chmod folder", "FROM scratch\nCOPY --chmod=750 dir /new/d\n"),
    ("chmod special", "FROM scratch\nCOPY --chmod=4755 a.txt /x\n"),
    ("chmod with link", "FROM scratch\nCOPY --chmod=600 links /l\n"),
    // --link.
    ("link flag", "FROM scratch\nCOPY --link a.txt /x/\n"),
    ("link flag over base", "FROM plainbase\nCOPY --link a.txt /tmp/\n"),
    ("link flag through a link", "FROM plainbase\nCOPY --link a.txt /bin/\n"),
    ("link flag chmod", "FROM plainbase\nCOPY --link --chmod=700 a.txt /tmp/\n"),
    ("link flag add", "FROM plainbase\nADD --link archives/plain.tar /srv/\n"),
    // Destinations in a base.
    ("base folder with a mode", "FROM plainbase\nCOPY a.txt /tmp/\nCOPY a.txt /srv/\n"),
    ("through link of base", "FROM plainbase\nCOPY a.txt /bin/\nCOPY bin/run /bin/tool\n"),
    ("through absolute link of base", "FROM plainbase\nCOPY a.txt /var/run/app/\n"),
    ("onto link of base", "FROM plainbase\nCOPY a.txt /current.txt\n"),
    ("onto dangling link", "FROM plainbase\nCOPY a.txt /dangling\n"),
    ("onto dangling link as folder", "FROM plainbase\nCOPY a.txt /dangling/\n"),
    ("folder through link", "FROM plainbase\nCOPY dir /bin\n"),
    ("over a hard link", "FROM plainbase\nCOPY a.txt /usr/bin/tool\n"),
    // ADD.
    ("add file", "FROM scratch\nADD a.txt /x/\n"),
    ("add folder", "FROM scratch\nADD dir /x/\n"),
    ("add folder with archives", "FROM scratch\nADD archives /x/\n"),
    ("add tar", "FROM scratch\nADD archives/plain.tar /x/\n"),
    ("add tar to name", "FROM scratch\nADD archives/plain.tar /x\n"),
    ("add tar.gz", "FROM scratch\nADD archives/plain.tar.gz /\n"),
    ("add tar.bz2", "FROM scratch\nADD archives/plain.tar.bz2 /x/\n"),
    ("add tar.xz", "FROM scratch\nADD archives/plain.tar.xz /x/\n"),
    ("add tar.zst", "FROM scratch\nADD archives/plain.tar.zst /x/\n"),
    ("add archive of odd name", "FROM scratch\nADD archives/odd-name /x/\n"),
    ("add text that is called tar", "FROM scratch\nADD notes.tar /x/\n"),
    ("add gz of text", "FROM scratch\nADD archives/text.gz /x/\n"),
    ("add tar without entries", "FROM scratch\nADD archives/zeros.tar /x/\n"),
    ("add tar chown", "FROM scratch\nADD --chown=5:6 archives/plain.tar /new/x/\n"),
    ("add tar chmod", "FROM scratch\nADD --chmod=700 archives/plain.tar /new/x/\n"),
    ("add hard links", "FROM scratch\nADD archives/hard.tar /x/\n"),
    ("add rooted names", "FROM scratch\nADD archives/rooted.tar /x/\n"),
    ("add through its own link", "FROM scratch\nADD archives/through.tar /x/\n"),
    ("add over what is there", "FROM scratch\nCOPY . /x/\nADD archives/replace.tar /x/\n"),
    (
        "add over what is below",
        "FROM plainbase\nCOPY dir /srv/dir\nCOPY a.txt /srv/a.txt\nADD archives/replace.tar /srv\n",
    ),
    ("add special files", "FROM scratch\nADD archives/special.tar /x/\n"),
    ("add star of archives", "FROM scratch\nADD archives/plain.tar.* /x/\n"),
    ("copy archive stays", "FROM scratch\nCOPY archives/plain.tar /x/\n"),
    ("add link out of it", "FROM scratch\nADD archives/escape-link.tar /x/y/\n"),
    ("add names with dots", "FROM scratch\nADD archives/dots.tar /x/y/\n"),
    ("add into link of base", "FROM plainbase\nADD archives/plain.tar /bin\n"),
    // Heredocs.
    ("heredoc", "FROM scratch\nCOPY <<EOF /h.txt\nhello\n  $NOT_SET there\nEOF\n"),
    ("heredoc into folder", "FROM scratch\nCOPY <<name.txt /h/\nhello\nname.txt\n"),
    ("heredoc with variables", "FROM scratch\nENV V=value\nCOPY <<EOF /h\n$V ${V} ${V:-x} ${W:-y}\nEOF\n"),
    ("heredoc quoted", "FROM scratch\nENV V=value\nCOPY <<'EOF' /h\n$V\nEOF\n"),
    ("heredoc chomp", "FROM scratch\nCOPY <<-EOF /h\n\tone\n\t\ttwo\n\tEOF\n"),
    ("heredocs", "FROM scratch\nCOPY <<one <<two /h/\n1\none\n2\ntwo\n"),
    ("heredoc chown chmod", "FROM scratch\nCOPY --chown=1:2 --chmod=755 <<EOF /h/x\n1\nEOF\n"),
    ("heredoc and file", "FROM scratch\nCOPY a.txt <<two /h/\n2\ntwo\n"),
    ("heredoc add", "FROM scratch\nADD <<EOF /h\n1\nEOF\n"),
    // WORKDIR, USER.
    ("workdir chain", "FROM scratch\nWORKDIR /a\nWORKDIR b\nWORKDIR ../c/./d\nCOPY a.txt .\n"),
    ("workdir root", "FROM scratch\nCOPY a.txt /\nWORKDIR /\n"),
    ("workdir exists", "FROM plainbase\nWORKDIR /srv\nCOPY a.txt .\n"),
    ("workdir through link", "FROM plainbase\nWORKDIR /bin/new\nCOPY a.txt .\n"),
    ("workdir of a user by number", "FROM scratch\nUSER 12:13\nWORKDIR /a/b\n"),
    ("workdir of a user by name", "FROM plainbase\nUSER web\nWORKDIR /a/b\nCOPY a.txt .\n"),
    ("workdir variable", "FROM scratch\nARG GIVEN\nENV D=/env\nWORKDIR $D/$GIVEN\n"),
    ("workdir with slash", "FROM scratch\nWORKDIR /a/b/\n"),
    // Settings.
    (
        "env forms",
        "FROM scratch\nENV A=1 B=\"two words\" C=t\\ w\nENV OLD the rest of it\nENV A=$A-$OLD\nCOPY a.txt /$A/\n",
    ),
    ("env path", "FROM scratch\nENV PATH=/x:$PATH\nCOPY a.txt /\n"),
    (
        "env substitutions",
        "FROM scratch\nENV A=abc\nENV B=${A:-x} C=${Z:-x} D=${A:+y} E=${A#a} F=${A%c} G=${A/b/X}\nCOPY a.txt /$B$C/\n",
    ),
    ("arg", "FROM scratch\nARG GIVEN\nARG DEFAULT=d\nARG DEST\nCOPY a.txt $DEST$GIVEN$DEFAULT\n"),
    ("arg global", "ARG WHAT=scratch\nARG DIR=/g\nFROM ${WHAT}\nARG DIR\nCOPY a.txt $DIR/\n"),
    (
        "arg platform",
        "FROM scratch\nARG TARGETARCH\nARG TARGETPLATFORM\nCOPY a.txt /$TARGETARCH/\nLABEL p=$TARGETPLATFORM\n",
    ),
    ("arg several", "FROM scratch\nARG X=1 Y=2\nCOPY a.txt /$X$Y\n"),
    ("labels", "FROM scratch\nLABEL a=1 \"b c\"=\"d e\"\nLABEL multi=\"x\\\ny\"\nCOPY a.txt /\n"),
    ("cmd shell", "FROM scratch\nCOPY a.txt /\nCMD echo $HOME && ls\n"),
    ("cmd exec", "FROM scratch\nCOPY a.txt /\nCMD [\"a\", \"$b\"]\n"),
    ("cmd after entrypoint", "FROM scratch\nCOPY a.txt /\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\n"),
    ("cmd before entrypoint", "FROM scratch\nCOPY a.txt /\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n"),
    ("cmd empty", "FROM richbase\nCMD []\n"),
    ("entrypoint resets cmd of base", "FROM richbase\nENTRYPOINT [\"e\"]\n"),
    ("entrypoint shell", "FROM scratch\nCOPY a.txt /\nENTRYPOINT run it\n"),
    ("entrypoint empty", "FROM richbase\nENTRYPOINT []\n"),
    ("shell", "FROM scratch\nCOPY a.txt /\nSHELL [\"/bin/bash\", \"-ec\"]\nCMD hello\n"),
    ("expose", "FROM scratch\nCOPY a.txt /\nEXPOSE 80 443/tcp 53/udp 8000-8002\nENV P=99\nEXPOSE $P\n"),
    ("volume", "FROM scratch\nCOPY a.txt /\nVOLUME /a /b\nVOLUME [\"/c d\"]\n"),
    ("stopsignal", "FROM scratch\nCOPY a.txt /\nSTOPSIGNAL SIGTERM\n"),
    (
        "healthcheck",
        "FROM scratch\nCOPY a.txt /\nHEALTHCHECK --interval=1m30s --timeout=3s --start-period=1s --retries=4 CMD [\"x\"]\n",
    ),
    ("healthcheck shell", "FROM scratch\nCOPY a.txt /\nHEALTHCHECK CMD curl x || exit 1\n"),
    ("healthcheck none", "FROM richbase\nHEALTHCHECK NONE\n"),
    ("maintainer", "FROM scratch\nMAINTAINER Somebody <a@b>\nCOPY a.txt /\n"),
    ("user", "FROM scratch\nCOPY a.txt /\nUSER app:staff\n"),
    ("onbuild", "FROM scratch\nCOPY a.txt /\nONBUILD COPY b.txt /\nONBUILD RUN make\n"),
    // Bases and stages.
    ("only a base", "FROM plainbase\n"),
    ("base with settings", "FROM richbase\nCOPY a.txt .\n"),
    ("base env in destination", "FROM richbase\nCOPY a.txt /$A/\nENV C=$B\n"),
    ("onbuild fires", "FROM triggerbase\nCOPY b.txt /\n"),
    (
        "onbuild fires between stages",
        "FROM scratch AS one\nONBUILD COPY a.txt /fired\nCOPY b.txt /\nFROM one\nCOPY b.txt /c\n",
    ),
    (
        "stage on stage",
        "FROM scratch AS one\nCOPY a.txt /\nENV X=1\nCMD [\"x\"]\nFROM one\nCOPY b.txt /$X\nENTRYPOINT [\"e\"]\n",
    ),
    (
        "copy from stage",
        "FROM scratch AS one\nCOPY dir /d\nCOPY --chown=3:4 a.txt /own\nFROM scratch\nCOPY --from=one /d /e\nCOPY --from=one /own /\n",
    ),
    ("copy from number", "FROM scratch\nCOPY dir /d\nFROM scratch\nCOPY --from=0 /d/one.txt /\n"),
    (
        "copy from keeps hard links",
        "FROM scratch AS one\nADD archives/hard.tar /x/\nFROM scratch\nCOPY --from=one /x /y\n",
    ),
    ("copy from image", "FROM scratch\nCOPY --from=plainbase /usr /usr\nCOPY --from=plainbase /srv /srv\n"),
    ("copy from image file", "FROM scratch\nCOPY --from=plainbase /srv/file /\nCOPY --from=plainbase /bin/tool /t\n"),
    ("copy from image all", "FROM scratch\nCOPY --from=plainbase / /\n"),
    ("copy from wildcard", "FROM scratch\nCOPY --from=plainbase /usr/bin/to* /t/\n"),
    (
        "copy from stage relative",
        "FROM scratch AS one\nWORKDIR /w\nCOPY a.txt .\nFROM scratch\nCOPY --from=one w/a.txt /\n",
    ),
    ("copy from own base", "FROM plainbase AS one\nCOPY a.txt /srv/\nFROM plainbase\nCOPY --from=one /srv /srv2\n"),
    ("unused stage", "FROM scratch AS unused\nRUN false\nFROM scratch\nCOPY a.txt /\n"),
    ("comments and continuation", "# c\nFROM scratch\nCOPY \\\n  # inner\n  a.txt \\\n  b.txt \\\n  /d/\n"),
    ("escape directive", "# escape=`\nFROM scratch\nCOPY a.txt `\n  /d/\n"),
    ("nothing but settings", "FROM scratch\nENV A=1\nLABEL b=2\n"),
    ("chown unknown name", "FROM plainbase\nCOPY --chown=nosuch:nosuch a.txt /srv/\n"),
    ("chown without passwd", "FROM scratch\nCOPY b.txt /\nCOPY --chown=app a.txt /new/\n"),
    ("user with unknown name", "FROM plainbase\nUSER nosuch\nWORKDIR /w\n"),
    ("arg default overridden", "FROM scratch\nARG GIVEN=default\nARG Q=\"a b\"\nCOPY a.txt /$GIVEN/$Q/\n"),
    (
        "copy from follows links",
        "FROM scratch\nCOPY --from=plainbase /current.txt /x\nCOPY --from=plainbase /var/run /y\n",
    ),
    ("copy from link in wildcard", "FROM scratch\nCOPY --from=plainbase /*.txt /x/\n"),
    ("two sources one name", "FROM scratch\nCOPY a.txt b.txt /x\n"),
    ("file and folder", "FROM scratch\nCOPY a.txt dir /x/\n"),
    ("workdir relative with slash", "FROM scratch\nWORKDIR a/\nWORKDIR b/\nCOPY a.txt c\n"),
    ("onbuild chain", "FROM triggerbase AS one\nFROM one\nCOPY a.txt /\n"),
    ("onbuild workdir", "FROM scratch AS one\nONBUILD WORKDIR /on\nCOPY a.txt /\nFROM one\nCOPY a.txt .\n"),
    ("volume then copy", "FROM scratch\nVOLUME /data\nCOPY a.txt /data/\n"),
    ("unicode env", "FROM scratch\nENV N=h\u{e4}\nCOPY a.txt /$N/\nCMD [\"h\u{e4}\"]\n"),
    ("add folder link", "FROM scratch\nADD linkdir /x\n"),
    ("add archive through link", "FROM scratch\nCOPY a.txt /\nADD archives/plain.tar archives/hard.tar /x/\n"),
    ("copy over special", "FROM scratch\nADD archives/special.tar /x/\nCOPY a.txt /x/pipe\n"),
    ("copy from special", "FROM scratch AS one\nADD archives/special.tar /x/\nFROM scratch\nCOPY --from=one /x /y\n"),
    ("same file again", "FROM scratch\nCOPY a.txt /x\nCOPY a.txt /x\n"),
];

/// Both refuse them.
pub const REFUSED: &[(&str, &str)] = &[
    ("missing source", "FROM scratch\nCOPY missing.txt /\n"),
    ("missing among others", "FROM scratch\nCOPY a.txt missing.txt /d/\n"),
    ("missing behind a folder", "FROM scratch\nCOPY dir/missing/x /\n"),
    ("broken link", "FROM scratch\nCOPY broken /x\n"),
    ("out of the context", "FROM scratch\nCOPY ../secret /\n"),
    ("link out of the context", "FROM scratch\nCOPY outside /x\n"),
    ("unknown flag", "FROM scratch\nCOPY --chwon=1 a.txt /\n"),
    ("chown name without an image", "FROM scratch\nCOPY --chown=app:app a.txt /new/\n"),
    ("chown group name without an image", "FROM scratch\nCOPY --chown=1:app a.txt /new/\n"),
    ("chown name with link", "FROM plainbase\nCOPY --link --chown=web a.txt /srv/\n"),
    ("workdir of a user without an image", "FROM scratch\nUSER app\nWORKDIR /x\n"),
    ("add through a link to nothing", "FROM scratch\nADD archives/away.tar /x/\n"),
    ("folder onto link of base", "FROM plainbase\nCOPY . /\n"),
    ("copy from dangling link", "FROM scratch\nCOPY --from=plainbase /dangling /x\n"),
    ("wildcard in a folder that is missing", "FROM scratch\nCOPY a.txt /\nCOPY nowhere/*.txt /w/\n"),
    ("empty env name", "FROM scratch\nENV =x\nCOPY a.txt /\n"),
    ("two sources and no folder", "FROM scratch\nCOPY a.txt b.txt /x\nCOPY dir/one.txt /x/y/\n"),
    ("folder over file", "FROM scratch\nCOPY a.txt /x\nCOPY dir /x\n"),
    ("folder over file inside", "FROM scratch\nCOPY dir /d\nCOPY conflict/file /d/sub/deep.txt\n"),
    ("file over folder inside", "FROM scratch\nCOPY conflict/dir /d\nCOPY dir /d\n"),
    ("below a file", "FROM scratch\nCOPY a.txt /x\nCOPY b.txt /x/y\n"),
    ("workdir on a file", "FROM scratch\nCOPY a.txt /x\nWORKDIR /x\n"),
    ("loop of links", "FROM plainbase\nCOPY a.txt /loop/\n"),
    ("missing in stage", "FROM scratch AS one\nCOPY a.txt /\nFROM scratch\nCOPY --from=one /b /\n"),
    ("cut archive", "FROM scratch\nADD archives/cut.tar /x/\n"),
    ("hard link to nothing", "FROM scratch\nADD archives/bad-hard.tar /x/\n"),
    ("hard link out of it", "FROM scratch\nADD archives/outside-hard.tar /x/\n"),
    ("bad port", "FROM scratch\nCOPY a.txt /\nEXPOSE eighty\n"),
    ("bad signal", "FROM scratch\nCOPY a.txt /\nSTOPSIGNAL SIGNOTHING\n"),
    ("unknown instruction", "FROM scratch\nCOPPY a.txt /\n"),
    ("unknown stage", "FROM scratch\nCOPY --from=3 a /\n"),
    ("bad pattern", "FROM scratch\nCOPY [a.txt /\n"),
    ("later stage", "FROM scratch AS one\nCOPY --from=two /x /\nFROM scratch AS two\nCOPY --from=one /x /\n"),
];

/// Random Dockerfiles, the same ones for the same seed: both build them with the same result, or both refuse them.
pub fn generated(count: usize) -> Vec<(String, String)> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut pick = |from: &[&str]| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::try_from(state >> 33).unwrap() % from.len();
        from[index].to_owned()
    };
    let sources = [
        "a.txt",
        "b.txt",
        "dir",
        "dir/",
        "dir/sub",
        "*.txt",
        "dir/*",
        "link",
        "linkdir",
        "links",
        "modes",
        "empties",
        "archives/plain.tar",
        "archives/hard.tar",
        "d*",
        "conflict/file",
        "names/.w*",
        "dir/s*/d*.txt",
        ".",
    ];
    let places = [
        "/",
        "/x",
        "/x/",
        "/x/y",
        "/x/y/",
        "/bin/",
        "/srv",
        "/var/run/z",
        "/current.txt",
        "w",
        "./w/",
        "../v",
        "/tmp/",
        "/usr/bin/tool",
    ];
    let flags = ["", "", "", "--chown=7:9 ", "--chmod=711 ", "--link ", "--chown=5 --chmod=640 "];
    (0..count)
        .map(|number| {
            let mut text = format!("FROM {}\n", pick(&["scratch", "plainbase", "richbase", "triggerbase"]));
            for _ in 0..4 {
                let line = match pick(&["copy", "copy", "add", "workdir", "env", "from", "user"]).as_str() {
                    "copy" => format!("COPY {}{} {}", pick(&flags), pick(&sources), pick(&places)),
                    "add" => format!("ADD {}{} {}", pick(&flags), pick(&sources), pick(&places)),
                    "workdir" => format!("WORKDIR {}", pick(&["/w", "rel", "/bin/w", "../up", "/srv"])),
                    "env" => format!("ENV {}={}", pick(&["A", "PATH", "Z"]), pick(&["1", "$A/x", "\"q r\""])),
                    "from" => format!(
                        "COPY --from=plainbase {} {}",
                        pick(&["/usr", "/srv/", "/etc/pass*", "/bin/tool"]),
                        pick(&places)
                    ),
                    _ => format!("USER {}", pick(&["3", "3:4", "0"])),
                };
                text.push_str(&line);
                text.push('\n');
            }
            (format!("generated {number}"), text)
        })
        .collect()
}
