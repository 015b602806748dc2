//! The codes of all problems. Each has a page `docs/problems/<code>.md` and a fixture `tests/problems/<code>/`; a test says
//! which lack one.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal,)*) => {
        /// The stable name of a kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as written in messages and file names.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    // deploy.yaml as text and as types.
    /// The file is not YAML, or not UTF-8.
    YamlSyntax = "yaml-syntax",
    /// A key stands twice in one mapping.
    DuplicateKey = "duplicate-key",
    /// The document expands without bound.
    YamlTooLarge = "yaml-too-large",
    /// A key that the manifest does not know.
    UnknownKey = "unknown-key",
    /// A value of another type or form than the key takes.
    WrongType = "wrong-type",
    /// A key that must be there is not.
    MissingKey = "missing-key",
    /// `version:` is not one that this program reads.
    UnsupportedVersion = "unsupported-version",
    /// A file of another tool, or an older kind of deploy.yaml.
    OtherTool = "other-tool",
    // The lock.
    /// `deploy.lock` is not a lock file of this version.
    BadLock = "bad-lock",
    /// Something from outside has no pin in `deploy.lock`, and `--locked` forbids to add one.
    MissingPin = "missing-pin",
    // Dockerfiles and ignore files.
    /// A line of a Dockerfile that BuildKit would refuse.
    DockerfileSyntax = "dockerfile-syntax",
    /// A word at the start of a line that is no instruction.
    UnknownInstruction = "unknown-instruction",
    /// A flag that the instruction does not have.
    UnknownFlag = "unknown-flag",
    /// No FROM, or an instruction before it.
    MissingFrom = "missing-from",
    /// An empty line inside a continued instruction.
    EmptyContinuation = "empty-continuation",
    /// Two stages of one name.
    DuplicateStage = "duplicate-stage",
    /// A target or a stage's number that the Dockerfile does not have.
    UnknownStage = "unknown-stage",
    /// A stage copies from itself, or from a stage that comes later.
    StageOrder = "stage-order",
    /// FROM uses an arg that has no value.
    ArgWithoutValue = "arg-without-value",
    /// A substitution or a quote that cannot be expanded.
    BadSubstitution = "bad-substitution",
    /// A source of COPY, ADD or a bind mount that matches nothing.
    SourceMissing = "source-missing",
    /// A source depends on the environment of a base image that is not known.
    UnknownEnvironment = "unknown-environment",
    /// COPY, ADD or WORKDIR to a place where it cannot go.
    BadDestination = "bad-destination",
    /// ADD of an archive that cannot be unpacked.
    BadArchive = "bad-archive",
    /// An instruction that the embedded builder cannot carry out.
    NeedsBuildkit = "needs-buildkit",
    /// A step does what the manifest does not allow it.
    NotAllowed = "not-allowed",
    /// A pattern of an ignore file that Docker would refuse.
    IgnorePattern = "ignore-pattern",
    // The lock.
    // The manifest's meaning.
    /// A template that stands without quotes, so that YAML reads a mapping.
    UnquotedTemplate = "unquoted-template",
    /// A template that cannot be read, or uses a helper in a wrong way.
    BadTemplate = "bad-template",
    /// A template uses a name that is not there.
    MissingName = "missing-name",
    /// `{name}` where `{{name}}` is meant.
    SingleBraces = "single-braces",
    /// `${NAME}` where `{{env.NAME}}` is meant.
    DollarBrace = "dollar-brace",
    /// `{{ref}}` where no image can be named.
    MisplacedReference = "misplaced-reference",
    /// `--profile` names a profile that is not declared.
    UnknownProfile = "unknown-profile",
    /// `--set` names a var that is not declared.
    UnknownVariable = "unknown-variable",
    /// A required var has no value.
    MissingVariable = "missing-variable",
    /// A var has a value that `one_of` does not list.
    ValueNotAllowed = "value-not-allowed",
    /// Vars or args use each other in a circle.
    CircularValue = "circular-value",
    /// A variant that is not declared.
    UnknownVariant = "unknown-variant",
    /// An image that is not declared.
    UnknownImage = "unknown-image",
    /// A registry that is not declared.
    UnknownRegistry = "unknown-registry",
    /// A registry that lacks what its kind needs, or has what it does not take.
    InvalidRegistry = "invalid-registry",
    /// Two images of one name.
    DuplicateImage = "duplicate-image",
    /// A tag or `rebuild_every` depends on a day that no record will tell.
    UnknownDay = "unknown-day",
    /// A text that cannot be the name of an image.
    InvalidName = "invalid-name",
    /// A text that is not a platform.
    InvalidPlatform = "invalid-platform",
    /// A text that cannot be a repository.
    InvalidRepository = "invalid-repository",
    /// A text that cannot be a tag.
    InvalidTag = "invalid-tag",
    /// Two images on one tag.
    TagConflict = "tag-conflict",
    /// A matrix without `name`.
    MatrixWithoutName = "matrix-without-name",
    /// A matrix that gives no image.
    EmptyMatrix = "empty-matrix",
    /// An `exclude` that matches nothing.
    ExcludeUnused = "exclude-unused",
    /// A path that is absolute, an address, or leads out of where it must stay.
    InvalidPath = "invalid-path",
    /// A file that the manifest names and that cannot be read.
    MissingFile = "missing-file",
    /// A line of an args file that is not `NAME=value`.
    InvalidArgsFile = "invalid-args-file",
    /// A text that is not a length of time.
    InvalidDuration = "invalid-duration",
    /// A value that its key does not take.
    InvalidValue = "invalid-value",
    /// A required arg has no value.
    MissingArg = "missing-arg",
    /// A volatile value on a base.
    VolatileBase = "volatile-base",
    /// A secret as an arg of a public image.
    SecretArg = "secret-arg",
    /// A public image that builds on a private one.
    Leak = "leak",
    /// A function without an image in the private ECR of its region.
    LambdaWithoutEcr = "lambda-without-ecr",
    /// A `deploy:` that does not say what it deploys to, or says it in a form that AWS does not take.
    InvalidDeploy = "invalid-deploy",
    /// An image that the function it is deployed to cannot run.
    FunctionUnfit = "function-unfit",
    /// Two images for one function.
    FunctionConflict = "function-conflict",
    /// A Dockerfile that the manifest names is not there, or cannot be read.
    MissingDockerfile = "missing-dockerfile",
    // The graph.
    /// `{{ref 'x'}}` stands in an arg that nothing reachable reads.
    UnusedRef = "unused-ref",
    /// A text that stands where an image reference must, and is none.
    BadReference = "bad-reference",
    /// An arg of the image that its Dockerfile does not declare.
    UndeclaredArg = "undeclared-arg",
    /// A reference to a repository of ours with a tag that no image publishes.
    UnknownTag = "unknown-tag",
    /// An image whose files are of another platform than its configuration will say.
    PinnedPlatform = "pinned-platform",
    /// An image builds on one that is not made for its platform.
    MissingPlatform = "missing-platform",
    /// A context that is a folder or an image from outside, where an image of the manifest has the same name.
    FolderOrImage = "folder-or-image",
    /// An image of ours that a Dockerfile pins by digest, so that its changes do not arrive.
    PinnedOwnImage = "pinned-own-image",
    /// Images build on each other in a circle.
    Cycle = "cycle",
    // Contexts and the files in them.
    /// A context, or a part of one, that is not there.
    MissingContext = "missing-context",
    /// A part of a context that would stand outside it.
    BadContextPath = "bad-context-path",
    /// Two parts of a context give different things at one path.
    ContextOverlap = "context-overlap",
    /// A glob that cannot be understood.
    BadGlob = "bad-glob",
    /// A glob or a path that matches nothing.
    MatchesNothing = "matches-nothing",
    /// A package that `inputs:` names and that is not there.
    MissingPackage = "missing-package",
    /// `inputs:` names a package whose closure cannot be told, so that all sources count.
    NotNarrowed = "not-narrowed",
    /// An input that cannot be read.
    UnreadableInput = "unreadable-input",
    /// An input that is a pipe or a device.
    SpecialFile = "special-file",
    /// An input that is a Git LFS pointer instead of its contents.
    LfsPointer = "lfs-pointer",
    /// An input that is a submodule which was not fetched.
    EmptySubmodule = "empty-submodule",
    /// Inputs that a sparse checkout left out.
    SparseCheckout = "sparse-checkout",
    /// A file that only this program reads is part of an image.
    ManifestInContext = "manifest-in-context",
    /// A file that something else makes, and that is not there.
    GeneratedMissing = "generated-missing",
    /// The `.git` of a submodule or of another checkout is left out of a context that is copied.
    GitLeftOut = "git-left-out",
    /// An ignore file that docker does not read.
    IgnoreWithoutEffect = "ignore-without-effect",
    // The command line.
    /// A name or pattern on the command line that no image has.
    UnknownSelection = "unknown-selection",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
