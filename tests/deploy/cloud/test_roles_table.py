"""docs/operating.md tells of every role that is granted, and of no other."""

import re

from deploy.cloud.resources import read
from deploy.project import ROOT

#: Given when functions are released, and to the system of CI that is lent the deployer.
GIVEN_OTHERWISE = {"run.invoker", "iam.workloadIdentityUser"}


def test_the_roles_in_the_documentation_are_those_that_are_granted() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    section = text.partition("### Who may what")[2].partition("\n#")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")][2:]
    told = {role for row in rows for role in re.findall(r"`([a-zA-Z]+\.[a-zA-Z.]+)`", row[2])}
    granted = {rule["role"].removeprefix("roles/") for rule in read()["grants"]}
    assert told - GIVEN_OTHERWISE == granted
