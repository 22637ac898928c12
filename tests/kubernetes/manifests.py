#!/usr/bin/env python3
"""What is in docker/kubernetes.

Usage: manifests.py types FILE     TypeScript that compiles if all documents of FILE fit Kubernetes' types
       manifests.py config FILE    its turnstile.ini
       manifests.py hooks FILE     its postStart, preStop and probe commands of the container "turnstile", as
                                   {"postStart": [...], ...} in JSON
       manifests.py check FILE     what types don't say: selectors, names and ports agree. Prints what is wrong
                                   and exits 1
"""
import json
import sys

import yaml


def documents(path):
    return [d for d in yaml.safe_load_all(open(path, encoding="utf-8")) if d]


def as_types(docs):
    lines = []
    for i, d in enumerate(docs):
        group = d["apiVersion"].replace(".k8s.io", "")
        group = "core/v1" if group == "v1" else group
        lines.append("import type { %s as K%d } from 'kubernetes-types/%s';" % (d["kind"], i, group))
        lines.append("export const d%d: K%d = %s;" % (i, i, json.dumps(d, indent=1)))
    return "\n".join(lines)


def pods(docs):
    return [d["spec"]["template"] for d in docs if d["kind"] == "Deployment"]


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def turnstile(docs):
    return next(c for p in pods(docs) for c in containers(p) if c["name"] == "turnstile")


def hooks(c):
    found = {name: hook["exec"]["command"] for name, hook in c["lifecycle"].items()}
    found.update((name, c[name]["exec"]["command"]) for name in ("livenessProbe", "readinessProbe"))
    return found


def selected(docs, labels):
    return [p for p in pods(docs) if labels.items() <= p["metadata"]["labels"].items()]


def check_ports(d, pods_there, wanted, problems):
    names = {port["name"] for p in pods_there for c in containers(p) for port in c.get("ports", [])}
    numbers = {port["containerPort"] for p in pods_there for c in containers(p) for port in c.get("ports", [])}
    for port in wanted:
        if port not in names | numbers:
            problems.append("%s %s: no container has the port %s" % (d["kind"], d["metadata"]["name"], port))


def check(docs):
    problems = []
    config = {d["metadata"]["name"] for d in docs if d["kind"] == "ConfigMap"}
    for d in docs:
        name, spec = "%s %s" % (d["kind"], d["metadata"]["name"]), d.get("spec", {})
        labels = spec.get("podSelector", spec.get("selector", {}))
        labels = labels.get("matchLabels", labels)
        if labels and not selected(docs, labels):
            problems.append("%s: selects no pod" % name)
        if d["kind"] == "Service":
            check_ports(d, selected(docs, labels), [p["targetPort"] for p in spec["ports"]], problems)
        if d["kind"] == "NetworkPolicy":
            check_ports(d, selected(docs, labels),
                        [p["port"] for rule in spec.get("ingress", []) for p in rule.get("ports", [])], problems)
    for p in pods(docs):
        volumes = {v["name"]: v for v in p["spec"].get("volumes", [])}
        for v in volumes.values():
            if "configMap" in v and v["configMap"]["name"] not in config:
                problems.append("no config map %s" % v["configMap"]["name"])
        for c in containers(p):
            problems += ["%s: no volume %s" % (c["name"], m["name"])
                         for m in c.get("volumeMounts", []) if m["name"] not in volumes]
            if c["name"] in ("turnstile", "redis"):
                s = dict(p["spec"].get("securityContext", {}), **c.get("securityContext", {}))
                if not (s.get("runAsNonRoot") and s.get("readOnlyRootFilesystem") and
                        s.get("allowPrivilegeEscalation") is False and s["capabilities"] == {"drop": ["ALL"]} and
                        s.get("seccompProfile") == {"type": "RuntimeDefault"}):
                    problems.append("%s: has a privilege" % c["name"])
    return problems


def main():
    what, path = sys.argv[1:]
    docs = documents(path)
    if what == "types":
        print(as_types(docs))
    elif what == "config":
        print(next(d["data"]["turnstile.ini"] for d in docs if d["kind"] == "ConfigMap"))
    elif what == "hooks":
        print(json.dumps(hooks(turnstile(docs))))
    else:
        problems = check(docs)
        print("\n".join("%s: %s" % (path, p) for p in problems))
        sys.exit(bool(problems))


main()
