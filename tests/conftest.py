"""Where the fixtures are."""

pytest_plugins = [
    "tests.fixtures.guard",
    "tests.fixtures.tools",
    "tests.fixtures.order",
    "tests.fixtures.platform",
    "tests.fixtures.site",
    "tests.fixtures.recorder",
    "tests.fixtures.proxy",
    "tests.fixtures.stack",
    "tests.fixtures.program",
    "tests.fixtures.tls",
    "tests.fixtures.modes",
    "tests.fixtures.dispatching",
    "tests.fixtures.github_emulator",
    "tests.fixtures.fleet",
    "tests.fixtures.browser",
    "tests.fixtures.reference_function",
    "tests.fixtures.terminal",
    "tests.fixtures.troubles",
    "tests.fixtures.waking",
    "tests.fixtures.wheel",
]
