//! Projects, what stays of others, doubts.

use crate::language::testing::{Memory, ask, dropped};
use crate::path::RelPath;
use crate::project::Language;

const PYTHON: Language = Language::Python;
const ALL: &str = "libs/db/src/acme_db/__init__.py libs/log/acme_log.py libs/web/web/app.py";
const WEB: &str = "libs/web/web/app.py";

#[test]
fn path_dependencies_in_all_their_forms() {
    let forms = [
        "dependencies = ['acme-db @ file:../../libs/db']",
        "dependencies = ['acme-db @ {root:uri}/../../libs/db']",
        "optional-dependencies.x = ['acme-db @ file:///${PROJECT_ROOT}/../../libs/db']",
        "[tool.uv.sources]\nacme-db = { path = '../../libs/db', editable = true }",
        "[tool.uv.sources]\nAcme_db = { workspace = true }",
        "[tool.uv.sources]\nacme-db = [{ workspace = true, marker = 'x' }]",
        "[tool.poetry.dependencies]\nacme-db = { path = '../../libs/db', develop = true }",
        "[tool.poetry.group.dev.dependencies.acme-db]\npath = '../../libs/db'",
        "[tool.pdm.dev-dependencies]\ndev = ['-e file:///${PROJECT_ROOT}/../../libs/db#egg=acme-db']",
        "[dependency-groups]\ndev = ['acme-db @ file:../../libs/db']",
    ];
    for form in forms {
        let manifest = format!("[project]\nname = 'api'\n{form}\n");
        assert_eq!(dropped(&small(&manifest, "", ""), PYTHON, &["services/api"]), WEB, "{form}");
    }
    let none = small("[project]\nname = 'api'\ndependencies = ['requests>=2']\n", "", "");
    assert_eq!(dropped(&none, PYTHON, &["services/api"]), ALL);
}

/// A project `api` with this manifest, requirements and source; `db`, which needs `log`; and `web`, which nobody needs.
fn small(manifest: &str, requirements: &str, source: &str) -> Memory {
    Memory::new([
        ("pyproject.toml", "[tool.ruff]\n"),
        ("conftest.py", ""),
        ("services/api/pyproject.toml", manifest),
        ("services/api/requirements.txt", requirements),
        ("services/api/base.txt", "# x\n./../../libs/db[extra] ; python_version > '3'\n"),
        ("services/api/api/main.py", source),
        ("libs/db/pyproject.toml", "[project]\nname = 'Acme.DB'\n[tool.uv.sources]\nacme-log = { workspace = true }\n"),
        ("libs/db/src/acme_db/__init__.py", ""),
        ("libs/db/schema.sql", ""),
        ("libs/log/pyproject.toml", "[project]\nname = 'acme-log'\n"),
        ("libs/log/acme_log.py", ""),
        ("libs/web/pyproject.toml", "[tool.poetry]\nname = 'web'\n"),
        ("libs/web/web/app.py", ""),
    ])
}

const API: &str = "[project]\nname = 'api'\n";

#[test]
fn requirements_files() {
    for (requirements, left_out) in [
        ("-e ../../libs/db\n", WEB),
        ("-e ./libs/db\n", WEB),
        ("acme-db @ file:../../libs/db\n", WEB),
        ("-r base.txt\n", WEB),
        ("--requirement=base.txt\n", WEB),
        ("-c nothing.txt\nrequests==2\n", ALL),
        ("", ALL),
    ] {
        assert_eq!(dropped(&small(API, requirements, ""), PYTHON, &["api"]), left_out, "{requirements}");
    }
    let inner = Memory::new([
        ("api/pyproject.toml", API),
        ("api/requirements/dev.txt", "-e ../../db\n"),
        ("db/pyproject.toml", "[project]\nname = 'db'\n"),
        ("db/db.py", ""),
    ]);
    assert_eq!(dropped(&inner, PYTHON, &["api"]), "");
}

#[test]
fn what_is_imported_counts_declared_or_not() {
    for (source, left_out) in [
        ("import acme_db", WEB),
        ("def f():\n    from acme_db.x import y", WEB),
        ("from . import acme_db", ALL),
        ("import requests", ALL),
    ] {
        assert_eq!(dropped(&small(API, "", source), PYTHON, &["api"]), left_out, "{source}");
    }
    let closure = ask(&small(API, "", "import acme_db"), PYTHON, &["api"]).unwrap();
    let of = |path: &str| closure.reasons.of(&RelPath::new(path.as_bytes()).unwrap()).unwrap_or_default();
    assert_eq!(of("libs/log/acme_log.py"), "needed by api via acme-db");
    assert_eq!(of("services/api/api/main.py"), "part of api");
    assert_eq!(of("conftest.py"), "");
}

#[test]
fn doubts_and_problems() {
    let memory = small("[project", "", "");
    assert!(ask(&memory, PYTHON, &["api"]).unwrap().whole.unwrap().starts_with("`services/api/pyproject.toml`: "));
    let memory = small(API, "", "");
    assert_eq!(
        ask(&memory, PYTHON, &["apo"]).unwrap_err(),
        "missing-package: `apo` is no Python project of the context"
    );
    assert_eq!(ask(&memory, PYTHON, &["."]).unwrap_err(), "missing-package: `.` is no Python project of the context");
}
