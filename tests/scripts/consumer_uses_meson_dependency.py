# SPDX-License-Identifier: MIT
"""A Meson project builds penstock as a subproject and asks for it by the name of the dependency."""
import shutil

from build_under_test import BACKEND, SCRATCH, SOURCE, meson_build, run

project = SCRATCH / "meson_dependency"
consumers = SOURCE / "tests/consumers"
(project / "subprojects").mkdir(parents=True, exist_ok=True)
shutil.copy(consumers / "main.cpp", project)
shutil.copy(consumers / "with_asio.cpp", project)
shutil.copy(consumers / "meson_dependency/meson.build", project)
subproject = project / "subprojects/penstock"
if not subproject.is_symlink():
    subproject.symlink_to(SOURCE, target_is_directory=True)
meson_build(project, project / "build", "--force-fallback-for=penstock", f"-Dpenstock:penstock_backend={BACKEND}")
run(project / "build/consumer")
run(project / "build/with_asio")
