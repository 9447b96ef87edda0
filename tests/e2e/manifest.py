#!/usr/bin/env python3
"""manifest.py FILE: what a Kubernetes API server would find wrong in packaging/kubernetes/weft.yaml, as far as that can
be said without one: kinds, names that refer to each other, and that what the controller asks for it may have."""
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    documents = list(yaml.safe_load_all(file))
of = {}
for document in documents:
    assert set(document) <= {"apiVersion", "kind", "metadata", "data", "stringData", "rules", "roleRef", "subjects",
                             "spec"}, document
    of.setdefault(document["kind"], []).append(document)
    if not document["kind"].startswith("Cluster"):
        assert document["metadata"]["namespace"] == "kube-system", document["metadata"]

(daemons,), (account,), (role,), (binding,) = (of[kind] for kind in ("DaemonSet", "ServiceAccount", "ClusterRole",
                                                                    "ClusterRoleBinding"))
assert daemons["apiVersion"] == "apps/v1"
spec = daemons["spec"]["template"]["spec"]
assert spec["serviceAccountName"] == account["metadata"]["name"] == binding["subjects"][0]["name"]
assert binding["roleRef"]["name"] == role["metadata"]["name"] and binding["roleRef"]["kind"] == "ClusterRole"
assert daemons["spec"]["selector"]["matchLabels"] == daemons["spec"]["template"]["metadata"]["labels"]

# As policy/reflector.cc asks.
for group, resource in (("", "pods"), ("", "namespaces"), ("networking.k8s.io", "networkpolicies")):
    assert any(group in rule["apiGroups"] and resource in rule["resources"] and {"list", "watch"} <= set(rule["verbs"])
               for rule in role["rules"]), resource

volumes = {volume["name"]: volume for volume in spec["volumes"]}
configured = {document["metadata"]["name"]: document["data"] for document in of["ConfigMap"]}
for container in spec["containers"]:
    assert container["readinessProbe"]["httpGet"]["port"] in (6781, 6784)
    for mount in container.get("volumeMounts", []):
        assert mount["name"] in volumes, mount
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("configMapKeyRef")
        assert reference is None or reference["key"] in configured[reference["name"]], variable
assert volumes["secret"]["secret"]["secretName"] in [each["metadata"]["name"] for each in of["Secret"]]
# For the shell that calls this: what the containers run.
for container in spec["containers"]:
    print(container["name"], *container["command"])
