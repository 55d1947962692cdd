"""Writes the verdict corpus, or with `--check` says whether the files are current.

Deterministic: the same keys, tokens and files on every run. See README.md.
"""

import importlib
import pathlib
import sys

from generator.corpus import Topic, rendered

HERE = pathlib.Path(__file__).parent
TOPICS = HERE / "generator" / "topics"


def main():
    for module in sorted(path.stem for path in TOPICS.glob("[a-z]*.py")):
        importlib.import_module(f"generator.topics.{module}")
    hold_to_the_rules(Topic.all)
    files = {HERE / f"{topic.name}.json": rendered(topic) for topic in Topic.all}
    stale = [path for path in HERE.glob("*.json") if path not in files]
    changed = [
        path for path, text in files.items() if not path.exists() or path.read_text() != text
    ]
    if "--check" in sys.argv[1:]:
        for path in [*changed, *stale]:
            print(f"not current: {path.name}")
        sys.exit(1 if changed or stale else 0)
    for path in changed:
        path.write_text(files[path])
    for path in stale:
        path.unlink()
    for topic in Topic.all:
        print(f"{len(topic.cases):5} {topic.name}")
    print(f"{sum(len(topic.cases) for topic in Topic.all):5} cases")


def hold_to_the_rules(topics):
    """Names are unique, references resolve, every policy is used, and no two cases are one."""
    wrong = []
    for topic in topics:
        names, contents, used = set(), {}, set()
        for case in topic.cases:
            assert case["name"] not in names, f"{topic.name}: {case['name']} twice"
            names.add(case["name"])
            content = repr(
                {key: value for key, value in case.items() if key not in ("name", "why")}
            )
            if content in contents:
                wrong.append(f"{topic.name}: {case['name']} is {contents[content]}")
            contents[content] = case["name"]
            if case["expect"]["verdict"] != "policy_error":
                assert case["policy"] in topic.policies, (
                    f"{topic.name}: {case['name']}: {case['policy']}"
                )
                used.add(case["policy"])
            for events in case.get("keys", {}).values():
                for event in events:
                    names = {event[kind] for kind in ("jwks", "discovery") if kind in event}
                    assert names <= set(topic.key_sets), f"{topic.name}: {event}"
        assert used == set(topic.policies), f"{topic.name}: unused {set(topic.policies) - used}"
    assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main()
